#!/usr/bin/env bash
# The walls between the crates: who may import whom, what no core may reach, what no core may call.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo metadata --locked --format-version 1 --all-features | python3 scripts/walls.py
python3 scripts/limits.py

# Libraries only: tests may read a clock.
pure() {
    local types=$1
    shift
    CLIPPY_CONF_DIR=$PWD/scripts/purity cargo clippy --quiet --locked --no-deps "${@/#/--package=sluicegate-}" --lib -- \
        -A warnings -D clippy::disallowed_methods "$types" clippy::disallowed_types -D clippy::iter_over_hash_type
}
pure -D rtp contract proto sfu engine room
# str0m takes its crypto provider as shared objects, so the key slot of `transport` needs a lock
pure -A transport
echo "walls: the pure crates read no clock, start no thread, open no socket, iterate over no hash map"
