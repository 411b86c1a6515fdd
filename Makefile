# Everything installs into .venv by itself; see README.md.
PYTHON ?= python3
VENV ?= .venv
RUN ?= runs/mine
BIN := $(VENV)/bin

.PHONY: run test slow lint clean

run: $(VENV)/ready
	@test -n "$(DATA)" || { echo "error: say where the images are: make run DATA=FOLDER [RUN=$(RUN)] [OPTIONS='...']" >&2; exit 2; }
	$(BIN)/unfreeze run "$(DATA)" "$(RUN)" $(OPTIONS)

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
