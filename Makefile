# The logic is in scripts/; each target is one of them.
.DEFAULT_GOAL := help
.PHONY: help need run build test unit e2e advisories bench

help:
	@echo "make run         install what is missing, build, start a development server on this machine"
	@echo "make test        format, lints, walls, licences, tests, then real clients against the release build (Debian)"
	@echo "make unit        of that, what needs no server"
	@echo "make e2e         the real clients alone"
	@echo "make advisories  known vulnerabilities in dependencies (needs the open network)"
	@echo "make bench       the benchmarks of the packet path"

need:
	@scripts/need.sh build test

run:
	@scripts/run.sh

build:
	@scripts/build.sh

test:
	@scripts/test.sh

unit: need
	@scripts/unit.sh

e2e: need build
	@scripts/e2e.sh

advisories:
	@scripts/advisories.sh

bench:
	@scripts/bench.sh
