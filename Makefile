# Everything runs from a virtual environment in .venv, which `make setup` creates once.
# Pass options through ARGS:  make live ARGS="--speed 5 --duration 120"

PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
STAMP   := $(VENV)/.installed
BENCHES := $(sort $(filter-out benchmarks/_%,$(wildcard benchmarks/*.py)))
ARGS    ?=
PROOFS  := $(wildcard $(addsuffix /test_*.py,$(addprefix tests/acceptance/,breaker crews execution risk))) \
           tests/acceptance/live/test_kill_any_component.py tests/unit/audit/test_audit_tampering.py \
           tests/integration/crews/test_injected_crews.py
DATA    ?= $(SPIKEGUARD_MARKET_DATA)
# Whole files go to one process each, in the order of their folders: the acceptance tests, which take
# longest, come first. A process that had to be ended because a test hung is not replaced.
PYTEST  := $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

.DEFAULT_GOAL := help
.PHONY: help setup live test lint bench prove evaluate reference clean

help:  ## Show this list
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## Create .venv and install everything (a second run returns at once)

# The versions come from constraints.txt; the stamp is only written when the installation is whole.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null || { \
	  echo "spikeguard needs Python 3.11, 3.12 or 3.13; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 | head -1)." >&2; \
	  echo "Name another one:  make $(or $(MAKECMDGOALS),setup) PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot create virtual environments (on Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@echo "Installing into $(VENV) (once; takes a few minutes) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

live: $(STAMP)  ## Trade on the embedded exchange with the terminal view; Ctrl-C ends it
	@$(BIN)/python -m crews.run live $(ARGS)

test: $(STAMP)  ## Run the tests (minutes)
	@$(BIN)/python tests/support/official_client.py  # Binance's own, which judges our exchange
	@$(PYTEST) $(ARGS)

lint: $(STAMP)  ## ruff, mypy --strict and the import contracts
	@$(BIN)/ruff check -q src tests benchmarks docs
	@$(BIN)/ruff format -q --check src tests benchmarks docs
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(STAMP)  ## Run every measurement in benchmarks/ and print its figures
	@set -e; for bench in $(BENCHES); do echo "== $$bench"; $(BIN)/python $$bench; done

# The proofs first, in full, each file in a process of its own: what thousands of trials leave behind
# must not slow the next ones down. Counts become docs/guarantees.md only when all of them held.
prove: $(STAMP)  ## Run the long tests, and every proof in full; writes docs/guarantees.md
	@rm -rf .proofs
	@ls $(PROOFS) | SPIKEGUARD_PROOFS=full SPIKEGUARD_PROOF_RESULTS=.proofs \
	  xargs -n 1 -P 2 $(BIN)/python -m pytest -q -m '' $(ARGS)
	@$(BIN)/python tests/support/guarantees.py .proofs docs/guarantees.md
	@$(BIN)/python -m pytest -q -m long $(addprefix --ignore ,$(PROOFS)) $(ARGS)
	@SPIKEGUARD_PROOFS=full $(BIN)/python -m pytest -q tests/unit/market tests/unit/execution $(ARGS)

evaluate: $(STAMP)  ## Measure detectors and sentiment on recorded data (DATA=folder); writes their pages
	@$(BIN)/python -m crews.run evaluate guardian --data "$(DATA)" --tune 200 --report docs/detection.md
	@$(BIN)/python -m crews.run evaluate spikes --data "$(DATA)" --tune 64 --report docs/detection.md
	@$(BIN)/python -m crews.run evaluate sentiment --data "$(DATA)" --report docs/sentiment.md

reference: $(STAMP)  ## Write the configuration file and its page anew from the models
	@$(BIN)/python -m crews.run config schema --format yaml > .reference
	@mv .reference config/crewai_config.yaml
	@$(BIN)/python -m crews.run config schema --format markdown > .reference
	@mv .reference docs/configuration.md

clean:  ## Remove caches and .venv; data/ stays
	@rm -rf $(VENV) .judges .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
	@find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
