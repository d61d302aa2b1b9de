# The few verbs of this project. CI (.ci/run) calls these and nothing else.
# `make PYTHON=python3.12 install` chooses another interpreter; CAROUSEL_HOST and CAROUSEL_PORT say where `make serve` listens.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What `make evaluate` scores on: $(SET).$(FROM) and $(SET).$(TO), a sentence a line.
SET ?= ../shared/data/everyday/en-de/dev
FROM ?= en
TO ?= de
STAMP := $(VENV)/.installed
C_SOURCES := $(wildcard translator/*.c translator/*.h training/*.c)
# Tests run in a process a core, each with one thread: more threads than cores only get in each other's way.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile

SCHEMATHESIS ?= schemathesis
ADDRESS ?= http://127.0.0.1:8000
SECONDS_TO_FUZZ ?= 600
.DEFAULT_GOAL := help
.PHONY: help install serve test unit browser fuzz check format demo evaluate evaluate-default robustness bench endurance train-toy clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP)  ## Put everything into .venv (repeats only when the requirements change)

$(STAMP): pyproject.toml constraints.txt $(C_SOURCES)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Carousel needs Python 3.11 or later, and '$(PYTHON)' is not that: install it, or name one, as in make PYTHON=python3.12 install." >&2; \
	  exit 1; }
	@# Debian ships venv without ensurepip: then the system's own pip fills the environment.
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { \
	  $(PYTHON) -m venv --clear --without-pip $(VENV) && $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; } || { \
	  echo "No virtual environment could be made: install Python's venv (on Debian: apt-get install python3-venv), then run make again." >&2; \
	  exit 1; }
	@rm -f translator/_kernels*.so training/_kernels*.so
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[serve,train,dev]'
	@ls translator/_kernels*.so training/_kernels*.so >/dev/null 2>&1 || \
	  echo "The kernels (translator/kernels.c, training/kernels.c) were left out, as they could not be compiled; all works, and takes longer. With a compiler: touch translator/kernels.c, then run make again." >&2
	@touch $@

serve: install  ## Serve the translator on CAROUSEL_HOST:CAROUSEL_PORT (127.0.0.1:8000)
	@exec $(BIN)/carousel serve

test: install  ## Run every test: unit, integration, learning
	$(PYTEST)

unit: install  ## Run the unit tests only (under a minute)
	$(PYTEST) -m 'not integration and not learning and not browser'

browser: install  ## Run the tests of the page, in the Chromium of this machine
	@command -v chromium chromium-browser google-chrome >/dev/null || { echo "There is no Chromium here: install it (on Debian: apt-get install chromium), then run make browser again." >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[browser]'
	$(PYTEST) tests/browser

# schemathesis wants other versions of what is pinned here: it lives in an environment of its own.
fuzz:  ## Send a running service what its OpenAPI allows and forbids, for ten minutes (ADDRESS=http://127.0.0.1:8000)
	@command -v $(SCHEMATHESIS) >/dev/null || { echo "There is no schemathesis here: pip install it into an environment of its own, then give SCHEMATHESIS=that/bin/schemathesis." >&2; exit 1; }
	$(SCHEMATHESIS) run $(ADDRESS)/openapi.json --max-time $(SECONDS_TO_FUZZ) --max-examples 100000 --continue-on-failure \
	  --phases examples,coverage,fuzzing --request-timeout 60 \
	  --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance

check: install  ## Lint, formatting, types, and the arrows between the packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install  ## Put the code into its one form
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

demo: install  ## Translate ten everyday sentences each way
	@$(BIN)/python benchmarks/demo.py

evaluate: install  ## Score the default model on two files (SET=data/dev FROM=en TO=de ARGS="--json")
	@test -f "$(SET).$(FROM)" && test -f "$(SET).$(TO)" || { \
	  echo "There are no files $(SET).$(FROM) and $(SET).$(TO): name a text and its translation, as in make evaluate SET=data/dev FROM=en TO=de." >&2; \
	  exit 1; }
	$(BIN)/carousel evaluate --from $(FROM) --to $(TO) "$(SET).$(FROM)" "$(SET).$(TO)" $(ARGS)

evaluate-default: install  ## Score every direction of the default model on its held-out sentences (ARGS="--data FOLDER")
	@$(BIN)/python benchmarks/evaluate_default.py $(ARGS)

robustness: install  ## Translate untidy text of every kind, and compare with tidy text (ARGS="--answers")
	$(BIN)/python benchmarks/robustness.py $(ARGS)

bench: install  ## Measure training speed beside other toolkits (ARGS="--help" says what it needs)
	$(BIN)/python benchmarks/training_speed.py $(ARGS)

endurance: install  ## Load the service for ten minutes with clients good and bad (ARGS="--source SENTENCES --locust PYTHON")
	$(BIN)/python -m benchmarks.endurance $(ARGS)

train-toy: install  ## Train the toy model (digits to words) from scratch, two minutes on a CPU
	rm -rf runs/toy
	$(BIN)/python -m training.toy runs/toy/data
	$(BIN)/carousel train --config configs/toy.toml

clean:  ## Remove .venv, caches and what builds leave behind (not runs/)
	rm -rf $(VENV) build dist *.egg-info translator/_kernels*.so training/_kernels*.so .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
