#!/usr/bin/env bash
# What needs no server: format, walls, lints, licences, unit and property tests, simulation.
# shellcheck source=scripts/env.sh
source "$(dirname "$0")/env.sh"

step "format" 120 cargo fmt --all --check
step "dependencies" 600 cargo fetch --locked
step "lints" 1200 cargo clippy --quiet --workspace --all-targets --locked -- -D warnings
step "walls" 600 scripts/walls.sh
step "licences, sources, bans" 300 cargo-deny --offline --log-level error --all-features check bans licenses sources
step "unit and property tests, simulation" 1500 cargo test --quiet --workspace --locked
