# Two commands for a newcomer: `make demo` and `make test`. One before a commit: `make check`.
# Programs are installed into .uv and .venv, data are kept in .paysaga. Only root, in a folder that the
# user nobody may not enter, gets a copy of PostgreSQL's programs in /var/cache/paysaga (ADR 18).
.DEFAULT_GOAL := help
.PHONY: help demo test check format lint types layers conformance audit new-provider chaos fuzz crash-matrix bench bench-production bench-scale rehearse-production clean

PYTHON ?= $(or $(shell cat .venv/locked 2>/dev/null),python3)
# Modules of other projects would come before those of .venv.
unexport PYTHONPATH PYTHONHOME PYTHONSAFEPATH
# How many test at a time; they mostly wait for servers. TESTERS=0: one after the other.
TESTERS ?= 4
RUN := .venv/bin/python

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

# A PYTHON that is given replaces the one that .venv was made with; else that one stays, if it works.
GIVEN := $(if $(filter file,$(origin PYTHON)),,$(PYTHON))
ifneq ($(GIVEN),)
ifneq ($(GIVEN),$(shell cat .venv/locked 2>/dev/null))
.venv/locked: FORCE
endif
endif
ifneq ($(shell test -x .venv/bin/python || echo gone),)
.venv/locked: FORCE
endif
.PHONY: FORCE
FORCE:

.venv/locked: uv.lock pyproject.toml deploy/install.py deploy/pip_settings.py deploy/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Paysaga needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -E -m deploy.install
	@echo "$(PYTHON)" >$@

demo: .venv/locked ## start everything, push real payments through, stay up (ONCE=1: exit after the table)
	@$(RUN) -m cli demo $(if $(ONCE),--once)

test: .venv/locked ## the whole test suite
	@$(RUN) -m pytest -n $(TESTERS) --dist loadfile --no-loadscope-reorder $(ARGS)

check: format lint types layers ## everything that must hold before a commit
	@$(MAKE) --no-print-directory test ARGS="--cov --cov-report= $(ARGS)"
	@$(RUN) -m coverage report --fail-under=100

format: .venv/locked
	@.venv/bin/ruff format --check .

lint: .venv/locked
	@.venv/bin/ruff check .

types: .venv/locked
	@$(RUN) -m mypy .

layers: .venv/locked
	@$(RUN) -c "from importlinter.cli import lint_imports_command as lint; lint()" --no-cache

conformance: .venv/locked ## independent SDKs against the sandbox and against our provider code
	@$(RUN) -m verification.conformance.run

audit: .venv/locked ## compare every book of the stack in .paysaga, name each difference
	@$(RUN) -m cli audit $(ARGS)

chaos: .venv/locked ## N payments by SEED while everything fails, then an audit (N=2000 SEED=7)
	@$(RUN) -m verification.chaos --payments $(or $(N),500) --seed $(or $(SEED),1) $(ARGS)

new-provider: .venv/locked ## a working skeleton: provider, sandbox side and tests (NAME=paynow)
	@$(RUN) -m tests.new_provider "$(NAME)"

fuzz: .venv/locked ## hostile input for parsers, endpoints and sockets, new each time (N=2000 examples a test)
	@FUZZ_EXAMPLES=$(or $(N),2000) $(RUN) -m pytest tests/fuzz --timeout 0 $(ARGS)

crash-matrix: .venv/locked ## kill a process at every step of every scenario, then audit (ARGS="--every 12": a sample)
	@$(RUN) -m verification.crash $(ARGS)

rehearse-production: .venv/locked ## compose's stack with its real servers, broken under load (needs Go, npm, HAProxy; skips without)
	@$(RUN) -m verification.rehearsal $(ARGS)

bench: .venv/locked ## measure payments against a bare workflow, in one run (ARGS="--open 800": half the time, no bar on memory)
	@$(RUN) -m verification.benchmarks $(ARGS)

bench-production: .venv/locked ## the same against compose's stack with its real servers (needs what rehearse-production needs)
	@$(RUN) -m verification.benchmarks.production $(ARGS)

bench-scale: .venv/locked ## throughput with 1 to 3 workers and 1 to 2 API processes
	@$(RUN) -m verification.benchmarks.scale $(ARGS)

clean: ## remove what the commands made
	rm -rf .venv .uv .paysaga .conformance .mypy_cache .ruff_cache .pytest_cache
