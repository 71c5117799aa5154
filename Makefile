# Everything from a bare checkout: Python 3.11+, make and git are all that is needed. `make` lists what there is.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := .venv/bin
# In the order of what a job says: its call, the spool, Postgres, the browser; then the rest.
BENCHES := log_call counters spool_decode ingest push_latency push_fanout dashboard api_start up views monitor eta sae_step sae_tracking backtest images dpo cluster_kill
NPM := cd frontend && PATH="$(CURDIR)/$(BIN):$$PATH" npm
DASHBOARD_SOURCES := $(shell find frontend/src frontend/public frontend/index.html frontend/*.ts frontend/*.json -type f 2>/dev/null)

# Caches lie in HOME, or in the checkout where HOME cannot be written.
HOME_WRITABLE := $(shell [ -n "$$HOME" ] && [ -d "$$HOME" ] && [ -w "$$HOME" ] && echo yes)
ifneq ($(HOME_WRITABLE),yes)
export PIP_CACHE_DIR := $(CURDIR)/.cache/pip
export npm_config_cache := $(CURDIR)/.cache/npm
export XDG_CACHE_HOME := $(CURDIR)/.cache
endif
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export npm_config_update_notifier := false
export NODE_USE_SYSTEM_CA := 1

.PHONY: help setup demo up cluster compose-smoke test check bench bench-peers bench-sae chaos clean

help:
	@echo "make demo    run a real study end to end, and show its progress here and in the dashboard"
	@echo "make up      start Headway and stay (Ctrl-C stops everything)"
	@echo "make cluster start it with nginx before three API instances, and stay"
	@echo "make compose-smoke   run what docker-compose.yml says as processes here, and a study through it"
	@echo "make test    all tests, backend and frontend, with their counts"
	@echo "make check   formatting, lint, types and import rules, backend and frontend"
	@echo "make bench   measure, and print a table a bench (make bench-peers first: other trackers beside ours)"
	@echo "make bench-sae   SAE training beside SAELens, sparsify and dictionary_learning, and their formats both ways"
	@echo "make chaos   the long tests that kill things"
	@echo "make clean   remove what was installed and built (never data)"

setup: .venv/.installed frontend/dist/.built

demo: setup
	@exec $(BIN)/headway demo

up: setup
	@exec $(BIN)/headway up

cluster: setup
	@exec $(BIN)/headway cluster

compose-smoke: setup
	@exec $(BIN)/python scripts/compose_smoke.py

test: setup
	@sh scripts/test-tools
	@exec $(BIN)/python scripts/test.py

check: .venv/.installed frontend/node_modules/.installed
	@exec $(BIN)/python scripts/check.py

bench: setup
	@missed=""; for bench in $(BENCHES); do \
		printf '\n== %s\n' $$bench; $(BIN)/python backend/bench/$$bench.py || missed="$$missed $$bench"; \
	done; [ -z "$$missed" ] || { echo "Missed their aim:$$missed"; exit 1; }

bench-peers: .venv-bench/.installed

.venv-bench/.installed: .venv/.installed
	@$(BIN)/python -m venv .venv-bench
	@.venv-bench/bin/python -m pip install --quiet trackio tensorboard numpy backtesting empyrical-reloaded
	@touch $@

bench-sae: .venv-bench-sae/.installed
	@$(BIN)/python backend/bench/sae_formats.py
	@exec $(BIN)/python backend/bench/sae_peers.py

# dictionary-learning asks for an older torch than the other two: each is put in, then torch as ours is. torchvision comes
# along for another torch, and nobody needs it.
.venv-bench-sae/.installed: .venv/.installed
	@echo "Installing the trainers that ours is measured beside"
	@$(BIN)/python -m venv .venv-bench-sae
	@.venv-bench-sae/bin/python -m pip install --quiet torch==2.13.0 sae-lens==6.54.12 eai-sparsify==1.3.3
	@.venv-bench-sae/bin/python -m pip install --quiet dictionary-learning==0.1.0
	@.venv-bench-sae/bin/python -m pip install --quiet torch==2.13.0
	@.venv-bench-sae/bin/python -m pip uninstall --quiet --yes torchvision
	@touch $@

chaos: setup
	@$(BIN)/pytest backend/tests/chaos && $(BIN)/pytest -m chaos backend/headway/jobs/kinds

clean:
	rm -rf .venv .cache build backend/headway.egg-info frontend/node_modules frontend/dist
	rm -rf .pytest_cache .ruff_cache .hypothesis .import_linter_cache

.venv/.made:
	@sh scripts/make-venv .venv
	@touch $@

.venv/.installed: requirements.txt pyproject.toml .venv/.made
	@echo "Installing the exact versions of requirements.txt"
	@$(BIN)/python -m pip install --quiet --requirement requirements.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q backend/headway
	@touch $@

frontend/node_modules/.installed: frontend/package-lock.json .venv/.installed
	@echo "Installing the dashboard's packages"
	@$(NPM) ci --no-audit --no-fund --loglevel=error
	@touch $@

frontend/dist/.built: $(DASHBOARD_SOURCES) frontend/node_modules/.installed
	@echo "Building the dashboard"
	@$(NPM) run --silent build -- --logLevel warn
	@touch $@
