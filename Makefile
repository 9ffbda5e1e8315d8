# One word for each thing a newcomer does. Needs git, make and Python 3.11 or newer.
PYTHON ?= python3
UV := .venv/bin/uv
ENVIRONMENT := .venv/.complete
unexport PYTHONDONTWRITEBYTECODE # a task is a process: without bytecode each compiles what it imports

.PHONY: help run up down test soak fuzz bench conformance check sql clean lock docs

help: ## what each word does
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 13

run: $(ENVIRONMENT) ## land a sample and run it to the statement
	@.venv/bin/python -m deploy.embedded run

up: $(ENVIRONMENT) ## the same stack left running, with the Airflow UI
	@.venv/bin/python -m deploy.embedded up

down: $(ENVIRONMENT) ## stop what `make up` started
	@.venv/bin/python -m deploy.embedded down

sql: export QUERY := $(value Q)
sql: $(ENVIRONMENT) ## DuckDB on the current release: make sql, or make sql Q="select …"
	@.venv/bin/python -m deploy.embedded sql "$$QUERY"

test: $(ENVIRONMENT) ## the whole suite
	@.venv/bin/python -m pytest

soak: $(ENVIRONMENT) ## slow drills
	@.venv/bin/python -m pytest -m soak

fuzz: $(ENVIRONMENT) ## bytes at every reader, mapping and contract: make fuzz, or make fuzz ARGS="--seconds 3600"
	@.venv/bin/python -m fuzz $(ARGS)

bench: $(ENVIRONMENT) ## measure it: make bench, or make bench ARGS="--events 1000000 --repeat 1"
	@.venv/bin/python -m bench $(ARGS)

conformance: $(ENVIRONMENT) ## charges of every provider before the official FOCUS validator
	@.venv/bin/python -m conformance $(ARGS)

check: $(ENVIRONMENT) ## ruff and types
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy etl sample deploy bench conformance fuzz tests

docs: $(ENVIRONMENT) ## write docs/data-dictionary.md from contracts, tables and models
	@.venv/bin/python -m etl.dictionary docs/data-dictionary.md

lock: $(ENVIRONMENT) ## requirements.txt from pyproject.toml
	@$(UV) pip compile -q pyproject.toml --group dev --universal --no-header --no-annotate -o requirements.txt

clean: ## remove everything that was made here
	@if [ -x .venv/bin/python ]; then .venv/bin/python -m deploy.embedded down; fi
	@rm -rf .venv .run .fuzz .conformance .pytest_cache .ruff_cache .mypy_cache .hypothesis *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(ENVIRONMENT): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 …"; exit 1; }
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv (a minute or two the first time)"
	@.venv/bin/python -m pip install -q --disable-pip-version-check "$$(grep '^uv==' requirements.txt)"
	@$(UV) pip sync -q --python .venv/bin/python --compile-bytecode requirements.txt
	@$(UV) pip install -q --python .venv/bin/python --no-deps --no-build-isolation -e .
	@touch $@
