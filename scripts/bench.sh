#!/usr/bin/env bash
# The benchmarks of the packet path.
# shellcheck source=scripts/env.sh
source "$(dirname "$0")/env.sh"

step "what building needs" - scripts/need.sh build
step "benchmarks" 3600 cargo bench --workspace --locked
