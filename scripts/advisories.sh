#!/usr/bin/env bash
# Known vulnerabilities in dependencies, from the public advisory database.
# shellcheck source=scripts/env.sh
source "$(dirname "$0")/env.sh"

step "what the check needs" - scripts/need.sh build test
step "advisories" 300 cargo-deny --log-level error check advisories
