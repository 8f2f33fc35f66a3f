# Ting. `make help` tells what there is. Every target may be run again at any time: what is up to date is left alone.

.DEFAULT_GOAL := help
BOOTSTRAP = $(FIND_PYTHON); $$p scripts/bootstrap.py
.PHONY: help setup run test lint format bench bench-data bench-engine bench-lines bench-log lock clean
SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
# Packages come without byte code: it is made, and kept, for what is really imported.
unexport PYTHONDONTWRITEBYTECODE

PY := .venv/bin/python
# .venv's Python where there is one that runs; else the newest on this machine, to make it.
FIND_PYTHON := p=$(PY); $$p -c 'import sys' 2>/dev/null || { for v in {20..11}; do p=python3.$$v; $$p -c 'import sys' \
	2>/dev/null && break; p=; done; }; p=$${p:-python3}; $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	|| { echo "Ting needs Python 3.11 or newer; none was found. On Debian: apt-get install python3 python3-venv" >&2; exit 1; }
# Where `make run` listens: HOST and PORT for the web app and signaling, RTC_PORT for media over UDP;
# media over TCP then uses the port below it. Unset, `ting` decides (127.0.0.1, 7880, 7882 and 7881).
SERVE_FLAGS := $(if $(HOST),--host $(HOST)) $(if $(PORT),--port $(PORT)) \
	$(if $(RTC_PORT),--rtc-udp-port $(RTC_PORT) --rtc-tcp-port $(shell expr '$(RTC_PORT)' - 1))

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: ## what running needs: .venv, the Rust engine where cargo is, the web app (with Node.js 20 or newer)
	@$(BOOTSTRAP) run

run: setup ## start a development server in the foreground; HOST, PORT and RTC_PORT change where it listens
	@exec .venv/bin/ting serve --dev $(SERVE_FLAGS)

test: ## lint, then the unit, integration, security, web and browser tests, and a summary
	@$(BOOTSTRAP) test
	@exec $(PY) scripts/check.py lint test

lint: ## ruff, mypy, import-linter, eslint, tsc, dependency-cruiser, rustfmt and clippy
	@$(BOOTSTRAP) lint
	@exec $(PY) scripts/check.py lint

format: ## let ruff put Python files into form
	@$(BOOTSTRAP) lint
	@.venv/bin/ruff check --quiet --fix-only . ; .venv/bin/ruff format --quiet .

bench: ## every scenario against every installed server, under 30 minutes; BENCH_FLAGS as in `--only call --repeats 1`
	@$(BOOTSTRAP) bench
	@exec $(PY) -m benchmarks.bench $(BENCH_FLAGS)

bench-engine: ## CPU time per forwarded packet of the engine alone; BENCH_FLAGS are handed to bench_forward.py
	@$(BOOTSTRAP) bench
	@exec $(PY) benchmarks/bench_forward.py $(BENCH_FLAGS)

bench-lines: ## what is seen and heard on bad lines, about a minute a row; BENCH_FLAGS as in `--rows narrow up`
	@$(BOOTSTRAP) bench
	@exec $(PY) -m benchmarks.bench_lines $(BENCH_FLAGS)

bench-data: ## files, many small messages, a call beside files over data channels, 500 joins; BENCH_FLAGS as in `--rows file`
	@$(BOOTSTRAP) test
	@exec $(PY) -m benchmarks.bench_data $(BENCH_FLAGS)

bench-nodes: ## what a link between nodes adds, a cluster of three with a node that is killed, traffic by wanted layers; a few minutes
	@$(BOOTSTRAP) test
	@$(PY) benchmarks/bench_nodes.py $(BENCH_FLAGS)
	@$(PY) -m benchmarks.bench_cluster
	@exec $(PY) -m benchmarks.bench_node_traffic

bench-log: ## lasting chat beside Synapse's and Prosody's, half an hour; BENCH_FLAGS as in `--quick --only ting`
	@$(BOOTSTRAP) bench
	@exec $(PY) -m benchmarks.bench_log $(BENCH_FLAGS)

lock: ## write the locks in requirements/ anew from pyproject.toml, with the newest versions that fit
	@$(BOOTSTRAP) run
	@exec bash scripts/lock.sh "$$(command -v uv || echo .run/tools/bin/uv)"

clean: ## remove everything that the other targets made
	@rm -rf .venv .run sfu/rust/target build dist web/dist web/node_modules test-results .mypy_cache .pytest_cache .ruff_cache \
		.hypothesis .import_linter_cache .coverage
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
