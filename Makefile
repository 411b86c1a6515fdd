# Everything installs into .venv by itself; see README.md.
PYTHON ?= python3
VENV ?= .venv
RUN ?= runs/mine
BIN := $(VENV)/bin

.PHONY: help data run notebook test slow lint clean

help:
	@echo "make run DATA=FOLDER [RUN=$(RUN)] [OPTIONS='...']   the main job"
	@echo "make notebook DATA=FOLDER                         the example notebook, executed anew and written without photographs"
	@echo "make test                                         every test that is not slow"
	@echo "make slow | lint | clean"

data:
	@test -e "$(DATA)" || { echo "error: no images at '$(DATA)': make run DATA=FOLDER [RUN=$(RUN)] [OPTIONS='...']" >&2; exit 2; }

run: data $(VENV)/ready
	$(BIN)/unfreeze run "$(DATA)" "$(RUN)" $(OPTIONS)

# UNFREEZE_WEIGHTS=FILE where ImageNet weights cannot be downloaded.
notebook: data $(VENV)/ready
	UNFREEZE_DATA="$(DATA)" $(BIN)/python scripts/notebook.py examples/cats_and_dogs.ipynb

test: $(VENV)/ready
	$(BIN)/python -m pytest

# Every backbone of the table: minutes, and gigabytes of memory.
slow: $(VENV)/ready
	$(BIN)/python -m pytest -m slow --numprocesses 0

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) runs *.egg-info .mypy_cache .pytest_cache .ruff_cache
