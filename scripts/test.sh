#!/usr/bin/env bash
# Everything that a change must pass.
# shellcheck source=scripts/env.sh
source "$(dirname "$0")/env.sh"

step "what the tests need" - scripts/need.sh build test
scripts/unit.sh
scripts/build.sh
scripts/e2e.sh
echo "==> all: $SECONDS s"
