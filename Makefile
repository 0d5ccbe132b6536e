# One command a verb. `make` alone lists them. XMODAL_HOME in the environment wins over every default.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PY := $(BIN)/python
READY := .venv/.ready
CONFIG ?= configs/demo.yaml
ARGS ?=

# Read by Ray when it starts: Serve's fast proxy (5 to 25 times the default one), and who may talk.
export RAY_SERVE_ENABLE_HA_PROXY ?= 1
export RAY_SERVE_THROUGHPUT_OPTIMIZED ?= 1
export RAY_SERVE_HAPROXY_NBTHREAD ?= 1
export RAY_AUTH_MODE ?= token
export RAY_USAGE_STATS_ENABLED ?= 0

.PHONY: help setup demo down shop serve test lint bench bench-serve docs

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' Makefile

setup: $(READY)  ## make .venv with everything in it (once; a second run installs nothing)

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 or newer found; install one or say PYTHON=..."; exit 2; }
	@test -x $(PY) || $(PYTHON) -m venv .venv || { \
		echo "error: $(PYTHON) cannot make a virtual environment; on Debian: apt install python3-venv"; exit 2; }
	@echo "installing into .venv, once: 3 to 5 minutes"
	$(PY) -m pip install -qq --progress-bar off -c constraints.txt -e ".[offline,export,dev]"
	@touch $@

demo: $(READY)  ## the whole job on the demo shop, then its search page on http://127.0.0.1:8000
	$(PY) jobs/pipeline.py --config configs/demo.yaml $(ARGS)
	$(PY) -m serve.up --config configs/demo.yaml $(ARGS)

down: $(READY)  ## end what `make demo` or `make serve` started, and nothing else
	$(PY) -m serve.down --config $(CONFIG)

shop: $(READY)  ## the whole job on your folder: make shop CATALOG=<folder> [GLOSSARY=<file>] [BUDGET=2h]
	@test -n "$$CATALOG" || { echo "error: say which folder: make shop CATALOG=<your folder>"; exit 2; }
	$(PY) jobs/pipeline.py --config configs/shop.yaml --catalog "$$CATALOG" --glossary "$$GLOSSARY" \
		$(if $(BUDGET),--set budget=$(BUDGET)) $(ARGS)

serve: $(READY)  ## serve the home's release until Ctrl-C: make serve CONFIG=configs/shop.yaml
	$(PY) -m serve.up --foreground --config $(CONFIG) $(ARGS)

test: $(READY)  ## all tests in two processes (tests/conftest.py says which where), with coverage
	$(BIN)/pytest -n 2 --dist loadgroup --no-loadscope-reorder --cov --cov-report=term $(ARGS)

lint: $(READY)  ## format, rules, types, floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)  ## every question in benchmarks/, each with its ratio
	@for file in benchmarks/bench_*.py; do echo "== $$file"; $(PY) $$file $(ARGS) || exit 1; done

bench-serve: $(READY)  ## throughput and latency of the service under load: make bench-serve CONFIG=...
	$(PY) benchmarks/bench_serve.py --config $(CONFIG) $(ARGS)

docs: $(READY)  ## write docs/settings.md, docs/help.md and docs/openapi.json anew
	$(PY) docs/generate.py
