# keyart's commands. Everything is installed into .venv from requirements.lock; nothing outside the project is touched.
PYTHON ?= python3
WORLD ?= taste
SEED ?= 7
VENV := .venv
BIN := $(VENV)/bin
export PYTHONDONTWRITEBYTECODE ?= 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test cluster-test soak check audit bench store lock zip wheel clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(VENV)/.ready ## the virtual environment, pinned, with Delta's jars beside pyspark's

$(VENV)/.ready: requirements.lock setup.py lib/keyart/jars.py
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 12) else "keyart: needs Python 3.11 or 3.12, $(PYTHON) is " + sys.version.split()[0] + "; run make PYTHON=python3.11 ...")'
	@PYTHONPATH=lib $(PYTHON) -m keyart.java
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "keyart: python's venv module is missing (Debian: apt-get install python3-venv)" >&2; exit 2; }
	@echo "installing what requirements.lock names (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m keyart.jars
	@touch $@

demo: setup ## the whole pipeline on films: VIDEOS=folder for your own, WORLD=taste|null|homogeneous, SEED=n
	@$(BIN)/python -m keyart.demo.run --config conf/demo.yaml --set demo.world=$(WORLD) --set demo.seed=$(SEED) \
		$(if $(VIDEOS),--videos "$(VIDEOS)")

# Files in their order: the long ones, of Spark, come first, and short ones fill both processes to the end.
test: setup ## all tests, in two processes with a session each (PYTEST="-k name" to choose)
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder --durations=15 $(PYTEST)

soak: setup ## long runs: thousands of simulations, deliveries under kill -9, a minute of hostile input a reader, of serving
	@$(BIN)/python -m pytest -q -m soak $(PYTEST)

cluster-test: setup ## the pipeline by spark-submit on a master and two workers of its own, kills too, against this machine
	@$(BIN)/python -m pytest -q -m cluster $(PYTEST)

bench: setup ## side-by-side ratios against peers, to build/bench.json (BENCH="scan shots" to choose)
	@for name in $(or $(BENCH),$(basename $(notdir $(shell grep -l 'results import.*record' bench/*.py)))); do \
		echo "bench/$$name.py"; $(BIN)/python bench/$$name.py || exit 1; done

check: setup ## lint, format and types; the Dockerfile too
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy
	@$(BIN)/hadolint Dockerfile

audit: ## known vulnerabilities of what requirements.lock pins (1: some; 3: the service does not answer; AUDIT_SERVICE=osv)
	@$(PYTHON) .ci/audit

store: setup ## two rows of every table as this version writes them, for tests of migrations (at a release)
	@$(BIN)/python tests/data/store_tables.py

lock: ## resolve requirements.in into requirements.lock (needs uv: pip install uv)
	uv pip compile requirements.in --universal --python-version 3.11 --no-emit-index-url --generate-hashes \
		--custom-compile-command "make lock" -o requirements.lock

zip: ## dist/keyart.zip for spark-submit --py-files
	@mkdir -p dist
	@$(PYTHON) -c 'import sys; sys.path.insert(0, "lib"); from keyart.bundle import write_zip; print(write_zip("dist/keyart.zip"))'

wheel: setup ## dist/keyart-*.whl for Databricks and pip
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation -w dist .
	@ls dist/*.whl

clean: ## remove what was built, keep the environment
	rm -rf build dist lib/*.egg-info
