# Each target sets up what it needs in .venv and then runs; nothing else has to be installed but Python ≥ 3.11.
# What is installed is what requirements.lock pins: by uv where it is installed, which is faster, else by pip.
PYTHON ?= python3
VENV := .venv
OLDEST := .venv-oldest
BIN := $(VENV)/bin
PORT ?= 8501
ADDRESS ?= 127.0.0.1
CLASS_PORT ?= 8502
CLASS_ADDRESS ?= 0.0.0.0
UV := $(shell command -v uv 2>/dev/null)
install = $(if $(UV),$(UV) pip install --python $(1)/bin/python,$(1)/bin/python -m pip install) --quiet

.PHONY: app class test test-all lint bench soak docs frontend messages lock oldest clean

app: $(VENV)/app-ready
	$(BIN)/python -m pages.shared.start --server.port $(PORT) --server.address $(ADDRESS)

# The same, and a page in the room's network on which students answer the lesson's questions, and nothing else.
class: $(VENV)/app-ready
	$(BIN)/python -m pages.shared.start --server.port $(PORT) --server.address $(ADDRESS) \
	    --class --class-port $(CLASS_PORT) --class-address $(CLASS_ADDRESS)

test: $(VENV)/test-ready lint
	$(BIN)/python -m pytest -n auto --dist loadscope

test-all: test soak docs

lint: $(VENV)/test-ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/test-ready
	$(BIN)/python -m benchmarks

soak: $(VENV)/test-ready
	$(BIN)/python -m pytest -m soak

docs: $(VENV)/test-ready
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs build/docs

# What the browser runs of pages/components, from its TypeScript; needs node and npm.
frontend:
	cd frontend && npm ci --ignore-scripts --no-audit --no-fund && npm run build

# The catalogues of other languages, brought up to what the sources say: nero.pot, and every .po beside it.
messages: $(VENV)/app-ready
	$(BIN)/python -c "from nero_core import wording; wording.renew()"

# Writes the pins anew where the bounds ask for it; `make lock NEWER=--upgrade` takes the newest of everything.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --no-annotate $(NEWER) \
	    --custom-compile-command "make lock" requirements-dev.txt --output-file requirements.lock

# The lower bounds of requirements.txt, and the tests of the core on them. Another environment of 6.6 GB.
oldest: requirements.txt requirements-dev.txt
	$(PYTHON) -m venv $(OLDEST)
	sed -nE 's/^([A-Za-z0-9_-]+)>=([^,]+),.*/\1==\2/p' requirements.txt > $(OLDEST)/bounds.txt
	$(call install,$(OLDEST)) -r requirements-dev.txt -c $(OLDEST)/bounds.txt
	$(OLDEST)/bin/python -m pytest -n auto --dist loadscope --ignore tests/app --ignore tests/server --ignore tests/e2e

$(VENV)/app-ready: requirements.txt requirements.lock | $(VENV)/bin/python
	$(call install,$(VENV)) -r requirements.txt -c requirements.lock
	touch $@

$(VENV)/test-ready: requirements.txt requirements-dev.txt requirements.lock | $(VENV)/bin/python
	$(call install,$(VENV)) -r requirements-dev.txt -c requirements.lock
	touch $@ $(VENV)/app-ready

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "NERO Dashboard needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Run: make PYTHON=python3.11 app")'
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) $(OLDEST) build docs/api frontend/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis
