#!/usr/bin/env bash
# Real clients against the release build: Chromium and Node, then Python. Each test file starts a server of its own.
# Arguments name test files of tests/e2e (api.test.mjs ...); none: all, and Python.
# shellcheck source=scripts/env.sh
source "$(dirname "$0")/env.sh"

export SLUICEGATE_BIN=${SLUICEGATE_BIN:-$PWD/target/release/sluicegate}
export E2E_PYTHON=$tools/venv/bin/python NODE_ENV=production PYTHONDONTWRITEBYTECODE=1
files=("${@/#/tests/e2e/}")
(($# > 0)) || files=(tests/e2e/*.test.mjs)
step "Chromium and Node" 1200 node --test --test-concurrency=1 --test-reporter=spec "${files[@]}"
(($# > 0)) || step "Python" 400 "$E2E_PYTHON" -m pytest -q -p no:cacheprovider --timeout=90 tests/e2e/python
