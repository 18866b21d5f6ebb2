# Every target works in a fresh clone: `.venv` is made and filled when it is missing or out of date.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ROOMS := rights schemas proofs plumbing logbook sources services projections auditor devstack benchmarks tests

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench bench-quick up down status doctor format clean

help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

setup: $(READY) ## Make .venv, install everything, and fetch what the embedded stack needs
	@$(BIN)/python -m devstack.downloads

$(READY): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "habeas needs Python 3.11 or later; name one with PYTHON=python3.x"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

demo: $(READY) ## Run the main job end to end and stay up (ARGS=--once: print a summary and stop)
	@$(BIN)/habeas demo $(ARGS)

test: $(READY) ## Run all tests, real broker included
	@$(BIN)/python -m pytest $(ARGS)

check: $(READY) ## Lint, types, import contracts, spelling
	@$(BIN)/ruff format --check $(ROOMS)
	@$(BIN)/ruff check $(ROOMS)
	@$(BIN)/mypy $(ROOMS)
	@$(BIN)/lint-imports
	@$(BIN)/codespell

format: $(READY) ## Format, and mend what can be mended by rule
	@$(BIN)/ruff format $(ROOMS)
	@$(BIN)/ruff check --fix $(ROOMS)

bench: $(READY) ## Measure, as ratios against a hand-written limit in the same run
	@$(BIN)/python -m benchmarks $(ARGS)

bench-quick: $(READY) ## The same in under three minutes; fails on a collapse
	@$(BIN)/python -m benchmarks --quick

up: $(READY) ## Start the stack and every service, and stay in the foreground
	@$(BIN)/habeas up

down: $(READY) ## Stop what `up` started
	@$(BIN)/habeas down

status: $(READY) ## Say what runs
	@$(BIN)/habeas status

doctor: $(READY) ## Say what is missing, and the command that mends it
	@$(BIN)/habeas doctor

clean: ## Remove the installation and the stack's state
	@rm -rf $(VENV) .habeas
