#!/usr/bin/env bash
# with-server.sh COMMAND...: starts the release build on free ports of loopback, runs the command with LIVEKIT_URL set,
# stops the server. WORKERS=n: with n media workers, every participant on the next one; with
# ONE_PORT=1 they share their UDP port. PORTS=dev: the ports of --dev instead, for a network namespace of its own.
# shellcheck source=scripts/env.sh
source "$(dirname "$0")/env.sh"

free_ports() {
    python3 -c '
import socket
kinds = [socket.SOCK_STREAM, socket.SOCK_STREAM, socket.SOCK_STREAM, socket.SOCK_DGRAM]
sockets = [socket.socket(socket.AF_INET, kind) for kind in kinds]
for s in sockets:
    s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in sockets))'
}

arguments=(--dev --node-ip 127.0.0.1)
port=7880
if [[ ${PORTS:-free} != dev ]]; then
    read -r port metrics tcp media < <(free_ports)
    rtc="udp_port: $media, tcp_port: $tcp"
    [[ -z ${WORKERS:-} ]] || rtc="udp_port: 0, tcp_port: $tcp, workers: $WORKERS, worker_warm_percent: 0"
    [[ -z ${ONE_PORT:-} ]] || rtc="udp_port: $media, tcp_port: $tcp, workers: $WORKERS, worker_warm_percent: 0"
    arguments+=(--config-body "{port: $port, prometheus: {port: $metrics}, rtc: {$rtc}}")
fi
log=$(mktemp)
"${SLUICEGATE_BIN:-target/release/sluicegate}" "${arguments[@]}" >"$log" 2>&1 &
server=$!
finish() {
    local status=$?
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    ((status == 0)) || { echo "--- the server's last lines" >&2; tail -n 60 "$log" >&2; }
    rm -f "$log"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

for ((i = 0; ; i++)); do
    curl -sf --max-time 1 "http://127.0.0.1:$port/" >/dev/null && break
    kill -0 "$server" 2>/dev/null || { echo "the server ended" >&2; exit 1; }
    ((i < 100)) || { echo "the server does not answer" >&2; exit 1; }
    sleep 0.1
done
export LIVEKIT_URL=ws://127.0.0.1:$port LIVEKIT_API_KEY=devkey LIVEKIT_API_SECRET=secret
"$@"
