.DEFAULT_GOAL := help
BIN := .venv/bin/

install:  ## Make .venv with memla and its development tools
	python3 -m venv .venv && $(BIN)pip install -q -c requirements/ci.txt torch && $(BIN)pip install -q -c requirements/ci.txt -e ".[dev]"

format:  ## Format the code
	$(BIN)ruff format . && $(BIN)ruff check --fix-only -q .

lint:  ## Check format, style and the direction of imports
	$(BIN)ruff format --check . && $(BIN)ruff check . && $(BIN)lint-imports --no-logo

types:  ## Check types
	$(BIN)mypy

test:  ## Run the default tests
	$(BIN)pytest -n 2 --dist loadfile

slow:  ## Run the slow tests
	$(BIN)pytest -m slow -p no:randomly

docs:  ## Build the documentation into docs/_build
	$(BIN)python docs/generate.py && $(BIN)sphinx-build -q -W --keep-going docs docs/_build

bench:  ## Measure speed; JSON on stdout
	$(BIN)python -m bench

examples:  ## Run every example
	for example in examples/*.py; do $(BIN)python $$example || exit 1; done

reproduce:  ## Make the runs of every recipe and a page of each; LIMIT=200 for fewer facts
	$(BIN)python -m tools.reproduce $(if $(LIMIT),--limit $(LIMIT))

build:  ## Build the wheel into dist and check what is in it
	$(BIN)python -m build --wheel --outdir dist . && $(BIN)python tools/check_wheel.py dist

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: install format lint types test slow docs bench examples reproduce build help
