# Two commands do everything on a machine with Python 3.11 and make: `make run` and `make test`.
# Each installs into .venv first; a stamp file says that the install is up to date, so it happens once.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do command -v $$p && break; done)
VENV ?= .venv
ARGS ?=
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
NEEDED := pyproject.toml constraints.txt
CPU_INDEX := https://download.pytorch.org/whl/cpu

.PHONY: setup setup-dev run test lint types claims clean help

help:
	@echo "make run     install if needed, then the main job (options: make run ARGS='algo=simpo seed=1')"
	@echo "make test    install if needed, then ruff, pyright and pytest"
	@echo "make setup   the install alone"
	@echo "make claims  measure again what the README's table says (takes longer than a test should)"
	@echo "make clean   remove caches and build folders; runs under outputs/ and .venv stay"

setup: $(VENV)/.installed

setup-dev: $(VENV)/.installed-dev

run: setup
	@$(BIN)/python -m xpo $(ARGS)

test: lint types
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup-dev
	$(BIN)/pyright

claims: setup
	$(BIN)/python -m xpo.claims $(ARGS)

clean:
	rm -rf build dist .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("xpo needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

# On Linux a plain torch brings gigabytes of CUDA packages. Without an NVIDIA driver the CPU index is asked
# first, briefly; where it is out of reach the next line takes whatever pip finds for the same version.
$(VENV)/.torch: constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV): this takes some minutes the first time"
	@if [ "$$(uname)" = Linux ] && ! command -v nvidia-smi > /dev/null 2>&1; then \
	  $(PIP) install --quiet --no-deps --timeout 10 --retries 1 --index-url $(CPU_INDEX) -c constraints.txt torch \
	    > /dev/null 2>&1 || echo "$(CPU_INDEX) is out of reach: torch comes from pip's own index"; \
	fi
	@$(PIP) install --quiet -c constraints.txt torch hatchling editables
	@touch $@

$(VENV)/.installed: $(NEEDED) $(VENV)/.torch
	@$(PIP) install --quiet -c constraints.txt --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-dev: $(NEEDED) $(VENV)/.torch
	@$(PIP) install --quiet -c constraints.txt --no-build-isolation --editable '.[dev]'
	@touch $@ $(VENV)/.installed
