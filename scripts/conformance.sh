#!/usr/bin/env bash
# The shared conformance, where it lies beside this checkout: copied to target/conformance, run once from there.
# shellcheck source=scripts/env.sh
source "$(dirname "$0")/env.sh"

readonly source=../shared/conformance copy=$PWD/target/conformance
[[ -d $source ]] || { echo "no $source: nothing to run"; exit 0; }

# what is not built yet
readonly browser_skip=codec.,media.top_layer,media.set_quality,media.dynacast,media.speakers
readonly api_skip=egress.,ingress.,dispatch.,sip.
readonly python=api.rooms,rtc.,http.
# with every participant on another worker than the one before
readonly workers=join.two,pc.,media.camera_mic,media.mute_unmute,media.unpublish_republish,media.disable_enable,data.,rpc.basic
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
try "conformance: api" 600 scripts/with-server.sh node "$copy/api/run.mjs" --skip "$api_skip"
try "conformance: Python" 400 scripts/with-server.sh "$copy/api/.venv/bin/python" "$copy/api/py_run.py" "$python"
try "conformance: browser" 1500 scripts/with-server.sh node "$copy/browser/run.mjs" --skip "$browser_skip" --verbose
try "conformance: browser, two workers" 600 \
    env WORKERS=2 scripts/with-server.sh node "$copy/browser/run.mjs" --only "$workers" --verbose
try "conformance: a bad network" 400 \
    env PORTS=dev MEDIA_PORTS=7882-7899 bash "$copy/in-net" scripts/with-server.sh node "$copy/browser/run.mjs" --only "$net" --verbose
((${#failed[@]} == 0)) || { printf 'failed: %s\n' "${failed[@]}" >&2; exit 1; }
