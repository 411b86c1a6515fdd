# Everything installs into .venv by itself; see README.md.
PYTHON ?= python3
VENV ?= .venv
RUN ?= runs/mine
BIN := $(VENV)/bin

.PHONY: help demo data run notebook test slow lint docs clean

help:
	@echo "make demo                                         the whole job on digits that are always there"
	@echo "make run DATA=FOLDER [RUN=$(RUN)] [OPTIONS='...']   the main job"
	@echo "make notebook DATA=FOLDER                         the example notebook, executed anew and written without photographs"
	@echo "make test                                         every test that is not slow"
	@echo "make docs                                         the site, into build/docs"
	@echo "make slow | lint | clean"

demo: $(VENV)/ready
	$(BIN)/unfreeze demo runs/demo $(OPTIONS)

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

docs: $(VENV)/ready
	$(BIN)/python docs/commands.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "open build/docs/index.html, or: $(BIN)/python -m http.server --directory build/docs"

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) build runs *.egg-info .mypy_cache .pytest_cache .ruff_cache
