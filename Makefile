# Reelcheck. `make help` lists what there is; variables become flags: make train HEAD=gru SEED=3.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
JOBS ?= 2
export TF_CPP_MIN_LOG_LEVEL ?= 3

comma := ,

# $(call flags,NAME OTHER_NAME) gives --name value for each variable on the command line; ARGS goes through as it is.
# Variables of the environment are left alone: some systems set NAME or HEAD for purposes of their own.
lower = $(subst _,-,$(shell echo $(1) | tr A-Z a-z))
given = $(filter command,$(firstword $(origin $(1))))
flags = $(foreach name,$(1),$(if $(call given,$(name)),--$(call lower,$(name)) "$($(name))")) $(ARGS)

# A variable is not a word of its own to the shell, which would leave A=data/x/features-* as it is.
named = $(or $(wildcard $(1)),$(1))

run = $(if $(call given,RUN),--run "$(RUN)")

.DEFAULT_GOAL := help
.PHONY: help setup demo features train sweep ensemble finetune cnn3d eval compare protocols published detect stream export web test test-slow bench lint format lock clean

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(READY) ## the locked packages in .venv

$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Reelcheck needs Python 3.11 or newer; name one with make PYTHON=python3.11.")'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@touch $(READY)

features: $(READY) ## DATA=folder [LAYOUT=ff++ COMPRESSION=c23 BACKBONE=resnet50 WEIGHTS=imagenet MARGIN=0.3 OUT=data]: videos -> features
	@$(if $(call given,DATA),,echo "error: say which data set, as in make features DATA=/path/to/Celeb-DF-v2." >&2; exit 2)
	@$(PY) -m extract $(call flags,DATA LAYOUT COMPRESSION OUT BACKBONE WEIGHTS SAMPLING DETECTOR DETECTOR_FILE MARGIN \
	  PRECISION ENGINE WORKERS BATCH BACKEND ADDRESS)

train: $(READY) ## [HEAD=lstm SPLIT=official FEATURES=folder NAME=run SEED=0 SEEDS=5]: features -> run folder
	@$(PY) -m train fit $(call flags,FEATURES RUNS NAME HEAD SPLIT SPLIT_CSV SPLIT_SEED VAL UNITS DROPOUT DENSE \
	  LEARNING_RATE WEIGHT_DECAY COMPONENTS BATCH EPOCHS PATIENCE FIXED_EPOCHS SEED SEEDS)

sweep: $(READY) ## [TRIALS=64 HEADS=lstm,gru SPLIT=official NAME=sweep]: many heads at once -> leaderboard, runs of the best
	@$(PY) -m train sweep $(call flags,FEATURES SWEEPS RUNS NAME TRIALS HEADS UNITS DIFFERENCES LEARNING_RATE DROPOUT \
	  WEIGHT_DECAY SAMPLER POINTS SPLIT SPLIT_CSV SPLIT_SEED VAL DENSE COMPONENTS BATCH EPOCHS PATIENCE BEST PLACES SEED \
	  STORAGE BACKEND JOBS)
	@$(PY) -m evaluate leaderboard --sweep "$(if $(call given,SWEEPS),$(SWEEPS),sweeps)/$(if $(call given,NAME),$(NAME),sweep)"

ensemble: $(READY) ## MEMBERS=runs/a,runs/b [KIND=average]: finished runs -> one run
	@$(if $(call given,MEMBERS),,echo "error: say which runs, as in make ensemble MEMBERS=runs/a,runs/b." >&2; exit 2)
	@$(PY) -m train ensemble $(call flags,MEMBERS RUNS NAME KIND)

END_TO_END := NAME RUNS LEARNING_RATE WARMUP_EPOCHS EPOCHS PATIENCE BATCH ACCUMULATE PRECISION SEED
finetune: $(READY) ## [RUN=runs/x LAYERS=30 EPOCHS=15 NAME=run]: run folder and kept crops -> run folder with a tuned backbone
	@$(PY) -m train finetune $(run) $(call flags,$(END_TO_END) LAYERS WEIGHTS)

cnn3d: $(READY) ## [RUN=runs/x WIDTH=16 EPOCHS=40 NAME=run]: kept crops, split of a run -> run folder of a 3D network
	@$(PY) -m train cnn3d $(run) $(call flags,$(END_TO_END) WIDTH DROPOUT)

eval: $(READY) ## [RUN=runs/x]: run folder -> metrics.json, figures, report.html
	@$(PY) -m evaluate report $(run) $(ARGS)

compare: $(READY) ## A=runs/x B=runs/y [C=runs/z]: which is better, and how sure that is; features folders are trained on first
	@$(if $(and $(call given,A),$(call given,B)),,echo "error: say which runs, as in make compare A=runs/x B=runs/y." >&2; exit 2)
	@$(PY) -m evaluate compare --runs "$(call named,$(A)),$(call named,$(B))$(if $(call given,C),$(comma)$(call named,$(C)))$(if $(call given,D),$(comma)$(call named,$(D)))" \
	  $(call flags,OUT HEAD SPLIT SEED SEEDS RESAMPLES)

protocols: $(READY) ## [FEATURES=folder OTHERS=folder,folder HEAD=lstm SEEDS=5]: one head by each split, and on other data sets
	@$(PY) -m evaluate protocols $(call flags,FEATURES OTHERS OUT HEAD SEED SEEDS SPLIT_SEED RESAMPLES)

published: $(READY) ## DATA=folder [BACKBONES=resnet50,mobilenetv2 EPOCHS=20]: the published recipe beside ours on the same clips
	@$(if $(call given,DATA),,echo "error: say which data set, as in make published DATA=/path/to/Celeb-DF-v2." >&2; exit 2)
	@$(PY) -m evaluate.published $(call flags,DATA OUT BACKBONES WEIGHTS EPOCHS PATIENCE BATCH LEARNING_RATE SEED)

detect: $(READY) ## VIDEO=clip.mp4 [RUN=runs/x SHOW=out.png EXPLAIN=out.png OUT=results.csv]: a verdict on a clip or a folder of clips
	@$(if $(call given,VIDEO),,echo "error: say which clip, as in make detect VIDEO=clip.mp4." >&2; exit 64)
	@$(PY) -m detect "$(VIDEO)" $(run) $(call flags,SHOW EXPLAIN OUT FORMAT FACES TIMELINE ENGINE \
	  THRESHOLD WEIGHTS DETECTOR_FILE) || [ $$? = 1 ]

stream: $(READY) ## SOURCE=rtsp://... [RUN=runs/x WINDOW=6 OVERLAY=out.mp4]: verdicts on a camera, an address or a file while it runs
	@$(if $(call given,SOURCE),,echo "error: say what to watch, as in make stream SOURCE=0 or SOURCE=rtsp://host/path." >&2; exit 64)
	@$(PY) -m detect stream "$(SOURCE)" $(run) $(call flags,ENGINE THRESHOLD WINDOW OVERLAY RETRIES WEIGHTS DETECTOR_FILE)

export: $(READY) ## [RUN=runs/x FORMAT=onnx PRECISION=int8 OUT=folder]: run folder -> a detector that other programs run
	@$(PY) -m detect export $(run) $(call flags,FORMAT PRECISION OUT WEIGHTS)

web: $(READY) ## [RUN=runs/x PORT=7860 LIVE=0]: the page on which people drop a clip and read a verdict
	@$(PY) -m detect web $(run) $(call flags,ENGINE WEIGHTS DETECTOR_FILE THRESHOLD HOST PORT EXAMPLES LIVE MOST_MEGABYTES \
	  MOST_SECONDS MOST_WAITING)

DEMO := demo
DEMO_DATA := $(DEMO)/celeb-df-drawn
demo: $(READY) ## draw a data set, then features, train, eval and detect on it
	@rm -rf $(DEMO)/data $(DEMO)/runs
	@echo "== drawing the data set" && $(PY) -m extract.drawn --out $(DEMO_DATA)
	@echo "== features" && weights=$$($(PY) -m extract.backbone resnet50) && \
	  $(PY) -m extract --data $(DEMO_DATA) --out $(DEMO)/data --backbone resnet50 --weights $$weights
	@echo "== train" && $(PY) -m train fit --features $(DEMO)/data/celeb-df-drawn/features-* --runs $(DEMO)/runs --name demo --split identity
	@echo "== detect" && for clip in Celeb-real/id0_0000.mp4 Celeb-synthesis/id0_id1_0000.mp4; do \
	  $(PY) -m detect $(DEMO_DATA)/$$clip --run $(DEMO)/runs/demo --show $(DEMO)/$$(basename $$clip .mp4).png || [ $$? = 1 ] || exit 1; done
	@echo "== eval (pictures of the two verdicts: $(DEMO)/id0_0000.png and $(DEMO)/id0_id1_0000.png)" && \
	  $(PY) -m evaluate report --run $(DEMO)/runs/demo

test: $(READY) ## [JOBS=2]: the tests, without the slow ones
	@$(PY) -m pytest -m "not slow" -n $(JOBS) --dist loadfile $(ARGS)

test-slow: $(READY) ## the slow tests: many kills, many clips
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

lock: ## write requirements.lock anew from pyproject.toml (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --no-header --upgrade -o requirements.lock

clean: ## remove .venv and the demo; data/ and runs/ stay
	rm -rf $(VENV) $(DEMO)
