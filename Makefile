# `make demo` and `make test` are all a newcomer needs; every target installs what it needs first.
SHELL := bash
PYTHON ?= python3
BIN := .venv/bin
# CPU torch: from a folder of wheels where PIP_FIND_LINKS names one, else from PyTorch's own CPU index through uv.
UV_TORCH := $(if $(PIP_FIND_LINKS),--find-links "$(PIP_FIND_LINKS)",--torch-backend cpu)
export DVC_NO_ANALYTICS := 1
export DO_NOT_TRACK := 1

.PHONY: help install demo demo-small up test test-all check format clean
help:
	@echo "make demo        the whole loop on real LLMs, then stops everything"
	@echo "make up          the same, and stays up until Ctrl-C"
	@echo "make demo-small  the loop on the smallest weights and a few dozen queries"
	@echo "make test        install if needed, run the tests"
	@echo "make test-all    the same and the long ones; CI runs these"
	@echo "make check       ruff, mypy, import contracts, declared dependencies, deploy/"

install: .venv/.installed
.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet "$$(grep '^uv==' constraints.txt)"
	$(BIN)/uv pip install --compile-bytecode -p $(BIN)/python $(UV_TORCH) -c constraints.txt -e '.[dev]'
	@touch $@

demo: install
	$(BIN)/routemoa demo

demo-small: install
	$(BIN)/routemoa demo --small

up: install
	$(BIN)/routemoa demo --stay

test test-all: export OMP_NUM_THREADS := 1  # beside the servers that tests start, threads that spin for each other only waste the cores
test: install
	$(BIN)/python -m pytest -m "not long"

test-all: install
	$(BIN)/python -m pytest

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/hadolint deploy/Dockerfile
	$(BIN)/yamllint --strict --config-file deploy/.yamllint.yaml deploy
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec deploy/compose.yaml
	$(BIN)/kubernetes-validate --strict --quiet $(filter-out %/kustomization.yaml,$(wildcard deploy/kubernetes/*.yaml))

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .demo build var
