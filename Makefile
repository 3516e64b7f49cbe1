# Everything that tillroll needs, from python3 (3.11 or newer) on. `make` alone lists the targets.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
ARGS ?=
WORKERS ?= 3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALLED := .venv/.installed
PEERS := .venv/.peers
RESOLVE := build/resolve

.PHONY: help venv demo test check lint types imports generated format kafka kafka-stop bench bench-full constraints clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(INSTALLED) ## Make .venv with the pinned versions of constraints.txt (only when they changed)

# The stamp lies in .venv, so that removing the folder is enough to start afresh. The build backend goes in first,
# pinned like the rest: an isolated build would fetch whatever version is newest today.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "tillroll needs Python 3.11 or newer; $(PYTHON) is: $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Name another one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { \
	  echo "$(PYTHON) cannot make a virtual environment; on Debian and Ubuntu install python3-venv." >&2; exit 1; }
	$(PIP) install --quiet --constraint constraints.txt hatchling
	$(PIP) install --quiet --constraint constraints.txt --no-build-isolation --editable '.[dev,testing,tpcds]'
	@touch $@

demo: $(INSTALLED) ## Import a retail history, project it and tell the story of the shoe
	$(BIN)/tillroll demo $(ARGS)

# Tests of outages mostly wait, so there are more processes than the two cores that CI has. Each has its own broker.
test: $(INSTALLED) ## Run the tests (ARGS="tests/unit -k merge" for some of them; WORKERS=0: in one process)
	$(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=loadfile $(ARGS)

check: lint types imports generated ## Lint, format, types, import rules, generated files in step

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

imports: $(INSTALLED)
	$(BIN)/lint-imports

generated: $(INSTALLED) ## Generated files are in step with the schemas
	$(BIN)/tillroll schema check
	$(BIN)/tillroll schema generate --check
	$(BIN)/tillroll schema docs --check

format: $(INSTALLED) ## Format the code and mend what the linter can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

kafka: $(INSTALLED) ## Start a Kafka broker on this machine without containers (Java 17 and Maven)
	deploy/kafka/start

kafka-stop: ## Stop that broker
	deploy/kafka/stop

bench: $(PEERS) ## Measure tillroll beside what a user would take instead (some eighteen minutes)
	$(BIN)/python -m bench $(ARGS)

bench-full: $(PEERS) ## The same at length (hours), written into docs/performance.md
	$(BIN)/python -m bench --sizes full --docs $(ARGS)

# Peers that go with the pinned versions join .venv; the others get environments of their own. One that cannot be
# had is no reason to stop: its line in the results says so.
$(PEERS): $(INSTALLED) $(wildcard bench/peers/*)
	-$(PIP) install --quiet --constraint constraints.txt --no-build-isolation --editable '.[bench]'
	-for listed in $(patsubst bench/peers/%.txt,%,$(wildcard bench/peers/*.txt)); do \
	  $(PYTHON) -m venv .venv-peers/$$listed && \
	  .venv-peers/$$listed/bin/python -m pip --disable-pip-version-check install --quiet --requirement bench/peers/$$listed.txt; \
	  [ ! -f bench/peers/$$listed.pom.xml ] || mvn --batch-mode --quiet --file bench/peers/$$listed.pom.xml \
	    dependency:copy-dependencies -DexcludeTransitive=true -DoutputDirectory=$(CURDIR)/.venv-peers/$$listed/jars; done
	@touch $@

constraints: ## Resolve every dependency anew and pin what comes out in constraints.txt
	rm -rf $(RESOLVE)
	$(PYTHON) -m venv $(RESOLVE)
	$(RESOLVE)/bin/python -m pip install --quiet '.[dev,testing,tpcds,bench]'
	{ echo "# Made by 'make constraints'. Exact versions of all that .venv holds; pip takes them by --constraint."; \
	  $(RESOLVE)/bin/python -m pip freeze --exclude tillroll; } > constraints.txt.new
	mv constraints.txt.new constraints.txt
	rm -rf $(RESOLVE)

clean: ## Remove .venv, caches and build output; logs and read models stay
	rm -rf .venv .venv-peers build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
