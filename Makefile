# Reelcheck. `make help` lists what there is; variables become flags: make train HEAD=gru SEED=3.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
ALL := $(VENV)/.all
# uv, where it is there, is several times as fast.
INSTALL := $(if $(shell command -v uv),uv pip install --python $(PY),$(PY) -m pip install --disable-pip-version-check)
JOBS ?= 2
export TF_CPP_MIN_LOG_LEVEL ?= 3

.DEFAULT_GOAL := help
.PHONY: help setup test smoke test-slow bench lint format lock wheel clean

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'
	@$(PYTHON) -m base.verbs

setup: $(READY) ## what using it needs, from requirements.lock, and the command reelcheck, in .venv

$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "error: Reelcheck runs on Python 3.11 to 3.13; name one with make PYTHON=python3.13.")'
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -r requirements.lock
	@$(INSTALL) --quiet --no-deps --editable .
	@touch $(READY)

$(ALL): requirements-dev.lock $(READY)
	$(INSTALL) -r requirements-dev.lock
	@touch $(ALL)

# The program reads the variables itself, as they were typed: none of them passes through a shell. Nor are the names of
# files exported, for which make would look for its own functions in them.
unexport VIDEO SOURCE SHOW HTML EXPLAIN OVERLAY OUT DATA RUN RUNS NAME FEATURES OTHERS SCORES SAME_PEOPLE MEMBERS A B C D EXAMPLES LIVE TOKEN_FILE SPLIT_CSV CONFIG
# The verbs are the entries of the one table that the program has of them.
VERBS := $(shell sed -n 's/^    "\([a-z0-9]*\)": Verb.*/\1/p' base/verbs.py)
.PHONY: $(VERBS)
$(VERBS): $(READY)
	@$(PY) -m reelcheck.under_make $@

export: $(ALL) # the converters

test: $(ALL) ## the tests, without the slow ones
	@$(PY) -m pytest -m "not slow" -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

smoke: ## install from nothing, as a user does, with PYTHON=python3.13; then demo, detect and an export
	@.ci/smoke $(PYTHON)

test-slow: $(ALL) ## the slow tests: many kills, many clips, the wheel
	@$(PY) -m pytest -m slow $(ARGS)

bench: $(ALL) ## the speed claims, measured: benchmarks/results.json [ARGS="--only extract_480p"]
	@$(PY) -m benchmarks --out benchmarks/results.json $(ARGS)

lint: $(ALL) ## ruff and basedpyright
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(VENV)/bin/basedpyright --pythonpath $(PY)

format: $(ALL) ## let ruff lay out the code
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

wheel: $(READY) ## dist/reelcheck-*.whl, to install with pip or uv
	@rm -rf build
	$(PY) -m pip wheel --quiet --no-deps --wheel-dir dist .
	@rm -rf build

LOCK := uv pip compile pyproject.toml --universal --python-version 3.11 --no-header --upgrade
lock: ## write both locks anew from pyproject.toml (needs uv)
	$(LOCK) --extra dev -o requirements-dev.lock
	$(LOCK) --extra openvino --extra web --extra heic -c requirements-dev.lock -o requirements.lock

clean: ## remove .venv and the demo; data/ and runs/ stay
	rm -rf $(VENV) demo
