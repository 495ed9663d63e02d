# Two commands from a bare clone: `make demo` sets up and runs the main job; `make test` sets up and checks it all.

PYTHON ?= python3
VENV ?= .venv
# Exactly one FAISS: the GPU build where there is a GPU.
FAISS ?= $(if $(wildcard /dev/nvidia0),gpu,cpu)
# Test files run beside one another; each stays in one process, with its fixtures.
JOBS ?= 2
BIN := $(VENV)/bin
# With compiled modules kept, each of the many processes that tests start begins sooner.
PYTEST = PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(JOBS) --dist loadfile
READY := $(VENV)/.ready

.PHONY: demo test test-slow lint setup clean

demo: $(READY)
	$(BIN)/dinoflow demo

test: $(READY) lint
	$(PYTEST) -m "not slow"

# Some five minutes more: machines and servers that are killed, SLURM where it is installed, training in an object store.
test-slow: $(READY)
	$(PYTEST) -m slow

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

setup: $(READY)

$(READY): pyproject.toml infra/constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint infra/constraints.txt --editable ".[$(FAISS),dev]"
	touch $@

clean:
	rm -rf $(VENV) workspace
