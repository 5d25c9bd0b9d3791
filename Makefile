# Every target sets up what it needs. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# One worker more than cores, because many tests wait for a browser or another process.
WORKERS = $(shell $(BIN)/python -c 'import os; print((os.cpu_count() or 1) + 1)')
# Tests start hundreds of commands. Without cached bytecode, each of them compiles all modules.
unexport PYTHONDONTWRITEBYTECODE
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

.DEFAULT_GOAL := help
.PHONY: help install demo demo-pages test test-slow test-all check audit format messages pictures fuzz mutants bench bench-peers lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

# The virtual environment belongs to one interpreter, version and folder. The stamp file names them and is
# written last. A failed, moved or outdated environment is therefore created again.
INTERPRETER := $(shell $(PYTHON) -c 'import os, sys; print(os.path.realpath(sys.executable), sys.version.split()[0])' 2>&1) in $(CURDIR)
ifneq ($(INTERPRETER),$(shell cat $(VENV)/.interpreter 2>/dev/null))
.PHONY: $(VENV)/.interpreter
endif

$(VENV)/.interpreter:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; try: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV) >&2 || { rm -rf $(VENV); \
		echo "cannot create $(VENV): the venv module does not work; try: apt-get install python3-venv" >&2; exit 1; }
	@echo '$(INTERPRETER)' > $@

# Extras are remembered, because a new version of Python creates the environment again.
EXTRAS ?= $(shell cat .extras 2>/dev/null)
ifneq ($(EXTRAS),$(shell cat .extras 2>/dev/null))
.PHONY: .extras
endif

.extras:
	@echo '$(EXTRAS)' > $@

$(VENV)/.run: requirements.lock pyproject.toml $(VENV)/.interpreter .extras
	@echo "installing packages (once, about a minute)" >&2
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@test -z '$(EXTRAS)' || $(PIP) --no-build-isolation --editable '.[$(EXTRAS)]'
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

install: $(VENV)/.run ## Install .venv/bin/auditor without development tools; EXTRAS=cluster,pdf adds extras
	@$(BIN)/python -m compileall -q auditor probes storage # the service cannot write here, see deploy/

demo: $(VENV)/.run ## Run the demo and serve its dashboard: 100 fictional associations, 14 audit runs
	@$(BIN)/auditor demo --serve

demo-pages: $(VENV)/.run ## Run the demo and only write its pages to open; ends by itself
	@$(BIN)/auditor demo

test: $(VENV)/.dev ## Run the tests (minutes)
	@$(PYTEST)

test-slow: $(VENV)/.dev ## Run the slow tests: every page in every language, 30 demo runs (10 minutes)
	@$(PYTEST) -m "slow and not bench"

test-all: $(VENV)/.dev ## Run all tests, with more random cases
	@$(PYTEST) -m "not bench" --hypothesis-profile exploring

check: $(VENV)/.dev ## Check format, lint rules, types, import layers and wording
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python .ci/check_text.py

audit: $(VENV)/.dev ## Check the pinned dependencies for known vulnerabilities (needs network)
	@PATH="$(BIN):$$PATH" $(BIN)/python .ci/audit.py requirements.lock

format: $(VENV)/.dev ## Format the code and fix lint errors with ruff
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

MESSAGE_FUNCTIONS = _ gettext gettext_noop translate _n:1,2 translate_plural:1,2
LOCALES = auditor/core/i18n/locales

messages: $(VENV)/.run ## Update the message catalogues from code and templates
	@$(BIN)/pybabel -q extract --mapping-file=pyproject.toml --no-default-keywords \
		$(MESSAGE_FUNCTIONS:%=--keyword=%) --no-location --sort-output --output=$(LOCALES)/messages.pot auditor
	@for language in $(notdir $(patsubst %/,%,$(wildcard $(LOCALES)/*/))); do \
		$(BIN)/pybabel -q update --input-file=$(LOCALES)/messages.pot --locale=$$language \
			--output-file=$(LOCALES)/$$language/interface.po --no-wrap --no-fuzzy-matching --ignore-obsolete \
			--ignore-pot-creation-date || exit 1; \
	done
	@rm $(LOCALES)/messages.pot

pictures: $(VENV)/.dev demo-pages ## Take the pictures of docs/images from the demo
	@$(BIN)/python -m tests.browser.pictures demo docs/images

FUZZ_SECONDS = 600

fuzz: $(VENV)/.dev ## Fuzz the parsers with coverage guidance for 10 minutes (FUZZ_SECONDS=600)
	@$(PIP) 'atheris>=3,<4' # not in the lock file: nothing else needs it
	@$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS)

FAULTS = 12

mutants: $(VENV)/.dev ## Plant faults into each module that judges, and count those noticed (FAULTS=12 of each, a quarter of an hour)
	@$(PIP) 'mutmut>=3.8,<4' # not in the lock file: nothing else needs it
	@$(BIN)/python -m tests.mutants --per-module $(FAULTS)

bench: $(VENV)/.dev ## Run the benchmarks of pages and re-evaluation (hours)
	@$(BIN)/python -m pytest tests/bench -m bench -s

bench-peers: $(VENV)/.dev ## Install the programs that tests/bench/race.py compares with
	@$(BIN)/python -m tests.bench.peers

lock: ## Update the lock files from pyproject.toml (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml --group build -o requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml --extra pdf --group build --group dev -o requirements-dev.lock

clean: ## Remove the virtual environment, the demo, planted faults and the caches
	rm -rf $(VENV) demo mutants .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
