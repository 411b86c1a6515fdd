# Everything installs into .venv by itself; see README.md.
PYTHON ?= python3
VENV ?= .venv
RUN ?= runs/mine
BIN := $(VENV)/bin

.PHONY: help demo data run notebook test test-clients slow lint docs wheel oldest newest audit clean

help:
	@echo "make demo                                         the whole job on digits that are always there"
	@echo "make run DATA=FOLDER [RUN=$(RUN)] [OPTIONS='...']   the main job"
	@echo "make notebook DATA=FOLDER                         the example notebook, executed anew and written without photographs"
	@echo "make test                                         every test that is not slow"
	@echo "make test-clients [RUN=$(RUN)]              RUN's exported files in other programs' runtimes"
	@echo "make docs                                         the site, into build/docs"
	@echo "make wheel                                        wheel and source archive of the last commit, into dist, repeatable"
	@echo "make oldest | newest                              a part of the tests with the lowest, the highest versions allowed"
	@echo "make audit                                        known vulnerabilities of what is installed; needs a network"
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

# FROM=wheel: the last commit's wheel, in place of the checkout, and the tests in a folder without the packages' sources,
# which is TESTED/checkout. RUNNER: a command that runs them, as another user, say.
FROM ?= checkout
SHARED ?= $(if $(UNFREEZE_SHARED),$(UNFREEZE_SHARED),$(abspath ../shared))
TESTED ?= build/from-wheel
RUNNER ?= env

test: test-$(FROM)

test-checkout: $(VENV)/ready
	$(BIN)/python -m pytest

test-wheel: $(VENV)/ready
	rm -rf "$(TESTED)"
	mkdir -p "$(TESTED)/checkout"
	$(BIN)/python scripts/wheel.py "$(TESTED)/dist"
	umask 077; TZ=Pacific/Auckland PYTHONHASHSEED=1 $(BIN)/python scripts/wheel.py "$(TESTED)/again"
	diff -r "$(TESTED)/dist" "$(TESTED)/again"  # the same bytes
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --force-reinstall "$(TESTED)"/dist/*.whl
	git archive HEAD | tar -x -C "$(TESTED)/checkout"
	git ls-files unfreeze tuning export toolkit > "$(TESTED)/files.txt"
	cd "$(TESTED)/checkout" && rm -r unfreeze tuning export toolkit
	cd "$(TESTED)/checkout" && UNFREEZE_SHARED="$(SHARED)" UNFREEZE_FROM=wheel $(RUNNER) "$(abspath $(BIN))/python" -m pytest; \
		code=$$?; cd "$(CURDIR)" && rm -f $(VENV)/ready; exit $$code  # no longer an editable installation

# The versions that pyproject.toml allows: our own dependencies' lowest, or everything's highest.
PART := tests/test_run.py tests/test_export.py tests/test_verify.py tests/test_search.py tests/test_cli.py tests/test_levels.py

oldest newest:
	rm -rf build/$@
	$(PYTHON) -m venv build/$@
	build/$@/bin/python -m pip install --quiet --disable-pip-version-check packaging
	build/$@/bin/python scripts/bounds.py > build/$@/oldest.txt
	build/$@/bin/pip install --quiet --disable-pip-version-check --upgrade --upgrade-strategy eager --editable '.[formats,mlflow]' \
		'pytest>=9,<10' 'pytest-xdist>=3.8,<4' 'pyyaml>=6,<7' 'pillow-heif>=1.1,<2' $(if $(filter oldest,$@),--constraint build/$@/oldest.txt)
	build/$@/bin/python -m pytest -W default::DeprecationWarning $(PART)

# Of what `pip install unfreeze` brings; a package that could not be looked up is a failure, too. CI does not call this.
audit: $(VENV)/ready
	$(PYTHON) -m venv build/audit
	build/audit/bin/pip install --quiet --disable-pip-version-check 'pip-audit>=2.10,<3'
	$(BIN)/python scripts/licences.py --pins > build/audit/pins.txt
	build/audit/bin/pip-audit --strict --no-deps --disable-pip --requirement build/audit/pins.txt

# Exported files in programs that others wrote; a Chromium is taken from the PATH, its packages from npm.
test-clients:
	test -d build/clients || $(PYTHON) -m venv build/clients
	build/clients/bin/pip install --quiet --disable-pip-version-check --editable . --requirement tests/clients/requirements.txt
	! command -v npm > /dev/null || (cd tests/clients && npm ci --silent)
	PYTHONPATH="$(CURDIR)" build/clients/bin/python tests/clients/run.py "$(RUN)" $(OPTIONS)

wheel: $(VENV)/ready
	$(BIN)/python scripts/wheel.py dist

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
	@echo "installing into $(VENV), which takes a minute or two"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) build dist runs *.egg-info .mypy_cache .pytest_cache .ruff_cache
