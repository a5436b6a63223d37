# Two commands do everything: `make run` and `make test`. Both begin with `make setup`.
PYTHON ?= $(firstword $(foreach name,python3.12 python3.13 python3.14 python3 python,$(shell $(name) -c 'import sys; sys.version_info >= (3, 12) and print("$(name)")' 2>/dev/null)) python3.12)
VENV := .venv
BIN := $(VENV)/bin
BIOME := node_modules/.bin/biome
DATA ?= $(CURDIR)/data
PORT ?= 8787

.PHONY: run test setup setup-test check check-web format-web bench lock vendor clean

run: setup  ## the demo: an archive, a subscription with its past, the live chain, the page
	@$(BIN)/revisit demo --data "$(DATA)" --port $(PORT)

test: setup-test check  ## everything CI checks; prints the figures at the end
	@$(BIN)/python tests/run.py

check: setup-test check-web
	@$(BIN)/ruff check shared functions tests bench
	@$(BIN)/mypy

check-web:  ## format and lint of the page's files; needs Node.js and npm
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory node_modules/stamp && $(BIOME) check --error-on-warnings --max-diagnostics=20; \
		elif [ "$$REVISIT_REQUIRE_ALL" = 1 ]; then echo "check-web: npm is required here and missing"; exit 1; \
		else echo "check-web: skipped, npm is missing (install Node.js to check web/)"; fi

format-web: node_modules/stamp  ## rewrite the page's files in the common format
	@$(BIOME) check --write

# What checks the page's files, and no part of it. Its binaries come inside their packages: no script of a package runs.
node_modules/stamp: package.json package-lock.json
	@npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

setup: $(VENV)/runtime.stamp

setup-test: $(VENV)/test.stamp .venv-bqemulator/stamp .venv-terraform/stamp

$(VENV)/runtime.stamp: locks/runtime.txt pyproject.toml | $(BIN)/python
	@echo "Setting up Revisit (a minute the first time) ..."
	@$(BIN)/python -m pip install --quiet --require-hashes -r locks/tools.txt
	@$(BIN)/python -m pip install --quiet --no-compile --require-hashes -r locks/runtime.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib shared >/dev/null || true  # on all cores at once
	@touch $@

$(VENV)/test.stamp: locks/test.txt locks/uv.txt $(VENV)/runtime.stamp
	@$(BIN)/python -m pip install --quiet --require-hashes -r locks/uv.txt
	@$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r locks/test.txt
	@touch $@

# What stands in for BigQuery and for Terraform's providers pins libraries that the suite has in other versions.
.venv-%/stamp: locks/%.txt | $(VENV)/test.stamp
	@echo "Setting up $* for the tests ..."
	@$(BIN)/python -m venv .venv-$*
	@$(BIN)/python -m uv pip install --quiet --python .venv-$*/bin/python --require-hashes --compile-bytecode -r $<
	@touch $@

$(BIN)/python:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null \
		|| { echo "Revisit needs Python 3.12 or newer: install it, or name one with make PYTHON=/path/to/python3.12"; exit 2; }
	@"$(PYTHON)" -m venv $(VENV)

bench: setup-test  ## every benchmark at its full size (an hour, and 12 GB below bench-data/)
	@for file in bench/*.py; do name=$$(basename $$file .py); \
		grep -q 'arguments(' $$file && [ $$name != common ] && $(BIN)/python -m bench.$$name; done; true

lock: setup-test  ## renew the pins after a change of locks/*.in
	@$(BIN)/python tests/lock.py

vendor: setup-test  ## fetch the page's libraries anew after a change of locks/vendor.json; wants npm
	@$(BIN)/python tests/vendor.py

clean:
	@rm -rf $(VENV) .venv-bqemulator .venv-terraform .venv-functions node_modules .mypy_cache .pytest_cache .ruff_cache
