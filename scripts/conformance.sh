#!/usr/bin/env bash
# The shared conformance, where it lies beside this checkout: copied to target/conformance, run once from there.
# shellcheck source=scripts/env.sh
source "$(dirname "$0")/env.sh"

readonly source=../shared/conformance copy=$PWD/target/conformance
[[ -d $source ]] || { echo "no $source: nothing to run"; exit 0; }

readonly browser=join.,auth.,room.,pc.,media.camera_mic,media.mute_unmute,media.unpublish_republish,media.unsubscribe_again,media.auto_subscribe_off,media.disable_enable,media.screen_share,media.connection_quality,data.,stream.,rpc.
readonly api=http.,twirp.,room.
readonly python=api.rooms,http.bad_token,rtc.tone_is_heard,rtc.video_picture
readonly net=net.loss_5,net.no_udp

mkdir -p "$copy"
cp -RL --no-preserve=mode,ownership "$source/." "$copy/"
export NODE_ENV=production
step "what the conformance needs" - scripts/need.sh net
step "packages: browser" 300 npm ci --loglevel=error --no-fund --no-audit --prefix "$copy/browser"
step "packages: api" 300 npm ci --loglevel=error --no-fund --no-audit --prefix "$copy/api"
step "packages: Python, environment" 60 python3 -m venv "$copy/api/.venv"
step "packages: Python" 300 "$copy/api/.venv/bin/pip" install --quiet -r "$copy/api/requirements.txt" numpy==2.4.6

failed=()
try() {
    step "$@" || failed+=("$1")
}
try "conformance: api" 600 scripts/with-server.sh node "$copy/api/run.mjs" --only "$api"
try "conformance: Python" 400 scripts/with-server.sh "$copy/api/.venv/bin/python" "$copy/api/py_run.py" "$python"
try "conformance: browser" 1200 scripts/with-server.sh node "$copy/browser/run.mjs" --only "$browser" --verbose
try "conformance: a bad network" 400 \
    env PORTS=dev MEDIA_PORTS=7882-7899 bash "$copy/in-net" scripts/with-server.sh node "$copy/browser/run.mjs" --only "$net" --verbose
((${#failed[@]} == 0)) || { printf 'failed: %s\n' "${failed[@]}" >&2; exit 1; }
