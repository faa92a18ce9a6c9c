# Needs Python 3.11-3.13, make and git; everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint docs bench notebooks build clean

demo: $(VENV)/.base
	$(BIN)/dsmodel demo --output out/demo

test: $(VENV)/.test lint docs
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile
	TQDM_DISABLE=1 $(BIN)/python -m pytest notebooks --nbval --nbval-sanitize-with notebooks/sanitize.cfg -p no:randomly --override-ini addopts=

lint: $(VENV)/.test
	$(BIN)/ruff check dsmodel tests benchmarks docs
	$(BIN)/ruff format --check dsmodel tests benchmarks docs
	$(BIN)/mypy

# The site, in out/docs: a warning is an error, a link that leads nowhere too.
docs: $(VENV)/.test
	$(BIN)/python -m sphinx -W --keep-going --quiet --fresh-env --builder html docs out/docs
	$(BIN)/python docs/links.py out/docs

bench: $(VENV)/.bench
	$(BIN)/python benchmarks/compare.py

# Runs every notebook and stores its outputs; review the diff before committing.
notebooks: $(VENV)/.test
	TQDM_DISABLE=1 $(BIN)/python -m jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False \
	  --ExecutePreprocessor.store_widget_state=False notebooks/*.ipynb

build: $(VENV)/.test
	$(BIN)/python -m build --outdir dist

clean:
	rm -rf $(VENV) dist build out

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable .
	touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[test,docs]'
	touch $@ $(VENV)/.base

$(VENV)/.bench: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[bench]'
	touch $@ $(VENV)/.base
