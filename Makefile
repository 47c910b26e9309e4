# Each target sets up what it needs in .venv and then runs; nothing else has to be installed but Python ≥ 3.11.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8501
ADDRESS ?= 127.0.0.1

.PHONY: app test lint bench soak clean

app: $(VENV)/app-ready
	$(BIN)/python -m pages.shared.start --server.port $(PORT) --server.address $(ADDRESS)

test: $(VENV)/test-ready lint
	$(BIN)/python -m pytest -n auto --dist loadscope

lint: $(VENV)/test-ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/test-ready
	$(BIN)/python -m benchmarks

soak: $(VENV)/test-ready
	$(BIN)/python -m pytest -m soak

$(VENV)/app-ready: requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -r requirements.txt
	touch $@

$(VENV)/test-ready: requirements.txt requirements-dev.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	touch $@ $(VENV)/app-ready

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "NERO Dashboard needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Run: make PYTHON=python3.11 app")'
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
