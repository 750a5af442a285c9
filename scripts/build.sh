#!/usr/bin/env bash
# The release build of the server.
# shellcheck source=scripts/env.sh
source "$(dirname "$0")/env.sh"

step "what building needs" - scripts/need.sh build
step "release build" 1800 cargo build --release --locked --bin sluicegate
