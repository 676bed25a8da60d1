# Reelcheck. `make help` lists what there is; variables become flags: make train HEAD=gru SEED=3.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
JOBS ?= 2
export TF_CPP_MIN_LOG_LEVEL ?= 3

VERBS := features train sweep ensemble finetune cnn3d eval compare protocols published runs detect stream export web demo

.DEFAULT_GOAL := help
.PHONY: help setup $(VERBS) test smoke test-slow bench lint format lock wheel clean

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(READY) ## the locked packages and the command reelcheck, in .venv

$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "error: Reelcheck runs on Python 3.11 to 3.13; name one with make PYTHON=python3.13.")'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $(READY)

# The program reads the variables itself, as they were typed: none of them passes through a shell. Nor are the names of
# files exported, for which make would look for its own functions in them.
unexport VIDEO SOURCE SHOW HTML EXPLAIN OVERLAY OUT DATA RUN RUNS NAME FEATURES OTHERS MEMBERS A B C D EXAMPLES LIVE SPLIT_CSV
$(VERBS): $(READY)
	@$(PY) -m reelcheck.under_make $@

demo: ## draw a data set, then features, train, detect and eval on it
features: ## DATA=folder [LAYOUT=ff++ COMPRESSION=c23 BACKBONE=resnet50 WEIGHTS=imagenet MARGIN=0.3 BLENDS=2 OUT=data]: videos -> features
train: ## [HEAD=lstm SPLIT=official FEATURES=folder NAME=run SEED=0 SEEDS=5]: features -> run folder
sweep: ## [TRIALS=64 HEADS=lstm,gru SPLIT=official NAME=sweep]: many heads at once -> leaderboard, runs of the best
ensemble: ## MEMBERS=runs/a,runs/b [KIND=average]: finished runs -> one run
finetune: ## [RUN=runs/x LAYERS=30 EPOCHS=15 BLEND=0.5 NAME=run]: run folder and kept crops -> run folder with a tuned backbone
cnn3d: ## [RUN=runs/x WIDTH=16 EPOCHS=40 NAME=run]: kept crops, split of a run -> run folder of a 3D network
eval: ## [RUN=runs/x]: run folder -> metrics.json, figures, report.html
compare: ## A=runs/x B=runs/y [C=runs/z]: which is better, and how sure that is; features folders are trained on first
protocols: ## [FEATURES=folder OTHERS=folder,folder HEAD=lstm SEEDS=5]: one head by each split, and on other data sets
published: ## DATA=folder [BACKBONES=resnet50,mobilenetv2 EPOCHS=20]: the published recipe beside ours on the same clips
runs: ## [RUNS=runs]: which runs there are, how well they do -> runs/index.html
detect: ## VIDEO=clip.mp4 [RUN=runs/x SHOW=out.png HTML=out.html EXPLAIN=out.png OUT=results.csv]: a verdict on a clip or a folder of clips
stream: ## SOURCE=rtsp://... [RUN=runs/x WINDOW=6 OVERLAY=out.mp4]: verdicts on a camera, an address or a file while it plays
export: ## [RUN=runs/x FORMAT=onnx PRECISION=int8 OUT=folder]: run folder -> a detector that other programs run
web: ## [RUN=runs/x PORT=7860 LIVE=0]: the page on which people drop a clip and read a verdict

test: $(READY) ## the tests, without the slow ones
	@$(PY) -m pytest -m "not slow" -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

smoke: ## install from nothing, as a user does, with PYTHON=python3.13; then demo, detect and an export
	@.ci/smoke $(PYTHON)

test-slow: $(READY) ## the slow tests: many kills, many clips, the wheel
	@$(PY) -m pytest -m slow $(ARGS)

bench: $(READY) ## the speed claims, measured: benchmarks/results.json [ARGS="--only extract_480p"]
	@$(PY) -m benchmarks --out benchmarks/results.json $(ARGS)

lint: $(READY) ## ruff and basedpyright
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(VENV)/bin/basedpyright --pythonpath $(PY)

format: $(READY) ## let ruff lay out the code
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

wheel: $(READY) ## dist/reelcheck-*.whl, to install with pip or uv
	@rm -rf build
	$(PY) -m pip wheel --quiet --no-deps --wheel-dir dist .
	@rm -rf build

lock: ## write requirements.lock anew from pyproject.toml (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --no-header --upgrade -o requirements.lock

clean: ## remove .venv and the demo; data/ and runs/ stay
	rm -rf $(VENV) demo
