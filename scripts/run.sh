#!/usr/bin/env bash
# Builds and starts a development server. Arguments and environment go to the server: make run, or scripts/run.sh --bind 0.0.0.0
# shellcheck source=scripts/env.sh
source "$(dirname "$0")/env.sh"

scripts/build.sh
exec target/release/sluicegate --dev "$@"
