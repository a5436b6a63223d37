# Two commands do everything: `make run` and `make test`. Both begin with `make setup`.
PYTHON ?= $(firstword $(foreach name,python3.12 python3.13 python3.14 python3 python,$(shell $(name) -c 'import sys; sys.version_info >= (3, 12) and print("$(name)")' 2>/dev/null)) python3.12)
VENV := .venv
BIN := $(VENV)/bin
BIOME := node_modules/.bin/biome
DATA ?= $(CURDIR)/data
PORT ?= 8787

.PHONY: run test test-thorough setup setup-test check check-web format-web bench bench-quick lock vendor clean

# exec: make passes a SIGTERM on to the server.
run: setup  ## the demo: an archive, a subscription with its past, the live chain, the page
	@exec $(BIN)/revisit demo --data "$(DATA)" --port $(PORT)

test: setup-test  ## everything CI checks: `make check` beside the tests; prints the figures at the end
	@$(BIN)/python tests/run.py

test-thorough: setup-test  ## the same with every property tried on its full number of examples
	@HYPOTHESIS_PROFILE=thorough $(BIN)/python tests/run.py

check: setup-test check-web
	@$(BIN)/ruff check shared functions tests bench locks .ci
	@$(BIN)/ruff format --quiet --check shared functions tests bench locks .ci
	@$(BIN)/mypy

check-web:  ## format and lint of the page's files; needs Node.js and npm
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory node_modules/stamp && $(BIOME) check --error-on-warnings --max-diagnostics=20; \
		elif [ "$$REVISIT_REQUIRE_ALL" = 1 ]; then echo "check-web: npm is required here and missing"; exit 1; \
		else echo "check-web: skipped, npm is missing (install Node.js to check web/)"; fi

format-web: node_modules/stamp  ## rewrite the page's files in the common format
	@$(BIOME) check --write

# What checks the page's files, and no part of it. Its binaries come inside their packages: no script of a package runs.
node_modules/stamp: package.json package-lock.json
	@npm ci --ignore-scripts --no-audit --no-fund --silent || { echo "npm cannot install biome: is there a network?"; exit 1; }
	@touch $@

setup: $(VENV)/runtime.stamp

setup-test: $(VENV)/test.stamp .venv-bqemulator/stamp .venv-terraform/stamp

# LC_ALL: pip prints and reads paths in the locale's encoding.
$(VENV)/runtime.stamp: locks/runtime.txt locks/tools.txt locks/uv.txt pyproject.toml | $(BIN)/python
	@echo "[2/3] Revisit's packages (a minute the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/tools.txt -r locks/uv.txt
	@$(BIN)/python locks/install.py locks/runtime.txt $(VENV)
	@echo "[3/3] Revisit itself"
	@LC_ALL=C.UTF-8 $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/python locks/link.py
	@$(BIN)/python -m compileall -q -j 0 shared >/dev/null || true
	@touch $@

$(VENV)/test.stamp: locks/test.txt $(VENV)/runtime.stamp
	@echo "[tests 1/3] The tests' packages"
	@$(BIN)/python locks/install.py locks/test.txt $(VENV)
	@touch $@

# bqemulator (BigQuery) and Terraform's providers need other versions of libraries than the suite.
.venv-bqemulator/stamp: STEP = 2/3
.venv-terraform/stamp: STEP = 3/3
.venv-%/stamp: locks/%.txt | $(VENV)/test.stamp
	@echo "[tests $(STEP)] A virtual environment for $*"
	@$(BIN)/python -m venv --without-pip .venv-$*
	@$(BIN)/python locks/install.py $< .venv-$*
	@touch $@

$(BIN)/python:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null \
		|| { echo "Revisit needs Python 3.12 or newer: install it, or name one with make PYTHON=/path/to/python3.12"; exit 2; }
	@echo "[1/3] A virtual environment in $(VENV), with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv $(VENV)

bench: setup-test  ## every benchmark at its full size (an hour, and 12 GB below bench-data/)
	@$(BIN)/python -m bench

bench-quick: setup-test  ## every benchmark at a small size; fails where one breaks, not where one misses its goal
	@$(BIN)/python -m bench --quick

lock: setup-test  ## renew the pins after a change of locks/*.in
	@$(BIN)/python tests/lock.py

vendor: setup-test  ## fetch the page's libraries anew after a change of locks/vendor.json; wants npm
	@$(BIN)/python tests/vendor.py

clean:
	@rm -rf $(VENV) .venv-bqemulator .venv-terraform .venv-functions node_modules .mypy_cache .pytest_cache .ruff_cache
