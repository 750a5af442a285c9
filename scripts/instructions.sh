#!/usr/bin/env bash
# Instructions per forwarded packet, counted by callgrind: a run of many packets minus a run of few, for 1, 100 and 500 subscribers.
# shellcheck source=scripts/env.sh
source "$(dirname "$0")/env.sh"

command -v valgrind >/dev/null || { echo "install valgrind first" >&2; exit 1; }
# valgrind 3.19 knows neither AVX-512 nor VAES, so aws-lc takes its AES-NI code there: the count of the sealing is of that
step "the benchmark" 1800 cargo bench --locked -p sluicegate-sim --bench packet_path --no-run
bench=$(find target/release/deps -name 'packet_path-*' -executable -type f -printf '%T@ %p\n' | sort -rn | head -n 1 | cut -d ' ' -f 2)

count() {
    local log out
    log=$(mktemp) out=$(mktemp)
    timeout 1200 valgrind --tool=callgrind --callgrind-out-file="$out" "$bench" --instructions "$1" "$2" >"$log.left" 2>"$log"
    sed -n 's/.*Collected : //p' "$log" | tr -d ' '
    cat "$log.left" >&2
    rm -f "$log" "$log.left" "$out"
}

for subscribers in ${*:-1 100 500}; do
    few=$(count "$subscribers" 100) many=$(count "$subscribers" 1100)
    echo "$subscribers subscribers: $(((many - few) / (1000 * subscribers))) instructions per forwarded packet"
done
