# make demo, make test: with python3 (3.11 or newer, with venv), make and git, and nothing else.
# Every target builds .venv from the hashed lock when it is missing or older than the lock.

PYTHON ?= python3
BIN := .venv/bin
# Most tests wait for polls and timeouts: more processes than cores.
PARALLEL := -n 6 --dist worksteal

MINUTES ?= 3

# Where it is set, every process that a test starts compiles the whole package anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-all fresh versions soak bench check docs coverage format mutants lock clean
.DEFAULT_GOAL := help

help:
	@echo "make demo      a worker archives real folders on a local SWF (no AWS account needed)"
	@echo "make test      the tests, under 5 minutes"
	@echo "make test-all  the tests with the whole matrices and long runs"
	@echo "make fresh     distributions built and installed anew, README typed in an empty folder, real deciders"
	@echo "make versions  the tests on the wire, on other Pythons and with the lowest allowed versions"
	@echo "make soak      a fleet under faults, kills and restarts, for minutes (MINUTES=3)"
	@echo "make bench     speed, scale and idle costs against a hand-written loop, under 10 minutes"
	@echo "make check     lint, types, layers, every branch of the core"
	@echo "make docs      these pages and a reference made of the code, as a site in build/site"
	@echo "make coverage  the tests of make test under coverage, which takes twice as long"
	@echo "make mutants   plants defects in the core and the shell; a test must fail for each"
	@echo "make format    formats the code"
	@echo "make lock      writes requirements.lock anew"

.venv/.ready: requirements.lock pyproject.toml tools/venv.sh
	@PYTHON="$(PYTHON)" sh tools/venv.sh

demo: .venv/.ready
	@$(BIN)/swf-worker demo

test: .venv/.ready
	$(BIN)/pytest -m "not full and not fresh" $(PARALLEL)

test-all: .venv/.ready
	$(BIN)/pytest -m "not fresh" $(PARALLEL)

fresh: .venv/.ready
	$(BIN)/pytest -m fresh tests

versions: .venv/.ready
	$(BIN)/python -m tools.versions $(if $(TOLD),--told $(TOLD)) $(VERSIONS)

soak: .venv/.ready
	$(BIN)/python -m tests.soak --seconds $$(( $(MINUTES) * 60 ))

check: .venv/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -q -m "not full" -n 2 tests/core
	@$(BIN)/coverage combine -q
	$(BIN)/python tools/coverage_floor.py core

# -W: whatever is missing, or leads nowhere, ends the build.
docs: .venv/.ready
	$(BIN)/sphinx-build -q -W --keep-going -E -d build/doctrees docs build/site
	@echo "build/site/index.html"

coverage: .venv/.ready
	@$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -m "not full and not fresh" $(PARALLEL)
	@$(BIN)/coverage combine -q
	$(BIN)/python tools/coverage_floor.py core whole

# Other libraries are compared where they install; they are no dependency of ours.
bench: .venv/.ready
	@PYTHON="$(PYTHON)" sh tools/peers.sh
	$(BIN)/python -m benchmarks

mutants: .venv/.ready
	$(BIN)/python -m tools.mutants

format: .venv/.ready
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --all-extras --group dev \
	  --no-header --no-annotate pyproject.toml -o requirements.lock

clean:
	rm -rf .venv .venvs .venv-peers build bench.json .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* .import_linter_cache
