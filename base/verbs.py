"""The table of verbs, from which `reelcheck VERB`, `make VERB`, `python -m PACKAGE` and the Python API follow.

It is text alone, so that reading it loads no stage. The Makefile takes the verbs' names from it, and `make help` the
rest, before anything is installed.
"""

import signal
import sys
from dataclasses import dataclass

USAGE = 64
"""The exit status of a command that cannot be read where 1 and 2 are verdicts (EX_USAGE of sysexits.h)."""


@dataclass(frozen=True)
class Verb:
    """What a verb does in one line, and where its stage and its settings are, as "module:name".

    The stage takes its `config`, a dataclass, and returns the path that it wrote, or an exit status; without a config
    it takes the words of the command line. `door` is what follows `python -m` where that is not package and verb.
    `after` takes config and path, and returns the path to show. `more` is what --help adds to the line. `needs` are
    make's variables that must be given, `takes` examples of the others; the value of `bare` goes without a flag.
    `error_status` is the exit status of a UserError.
    """

    text: str
    stage: str
    config: str = ""
    door: str = ""
    after: str = ""
    more: str = ""
    needs: str = ""
    takes: str = ""
    bare: str = ""
    error_status: int = 2


_READY = "detect.after_training:make_ready"

VERBS = {
    "demo": Verb(
        "draw a small data set of moving faces, real and swapped, and run everything on it",
        stage="reelcheck.demo:demo",
        config="reelcheck.demo:DemoConfig",
    ),
    "quickstart": Verb(
        "a folder of videos -> features, a head, a report, and whether that is good enough to use",
        stage="reelcheck.quickstart:quickstart",
        config="reelcheck.quickstart:QuickstartConfig",
        needs="DATA=/path/to/Celeb-DF-v2",
        takes="OPEN=1",
        bare="data",
    ),
    "doctor": Verb(
        "whether this machine has what is needed, and the command that mends what is missing",
        stage="reelcheck.doctor:doctor",
        config="reelcheck.doctor:DoctorConfig",
        more="The exit status is 0 if everything that is needed is there, else 2.",
    ),
    "draw": Verb(
        "draw a small data set of moving faces, real and swapped, to try things on",
        door="extract.drawn",
        stage="extract.drawn.dataset:draw_dataset",
        config="extract.drawn.dataset:DrawnConfig",
        takes="OUT=demo/celeb-df-drawn PEOPLE=20",
    ),
    "features": Verb(
        "videos -> twelve features each, once",
        door="extract",
        stage="extract.pipeline:extract",
        config="extract.config:ExtractConfig",
        needs="DATA=/path/to/Celeb-DF-v2",
        takes="LAYOUT=ff++ COMPRESSION=c23 BACKBONE=resnet50 WEIGHTS=imagenet MARGIN=0.3 BLENDS=2 OUT=data",
    ),
    "train": Verb(
        "features -> a trained head in its run folder",
        door="train fit",
        stage="train.fit:fit",
        config="train.fit:FitConfig",
        after=_READY,
        takes="HEAD=lstm SPLIT=official FEATURES=folder,folder NAME=run SEED=0 SEEDS=5 KINDS=Deepfakes",
    ),
    "sweep": Verb(
        "try hundreds of heads at once -> leaderboard, runs of the best",
        door="train sweep",
        stage="evaluate.after_training:sweep_with_page",
        config="train.sweep.config:SweepConfig",
        takes="TRIALS=64 HEADS=lstm,gru SPLIT=official NAME=sweep",
    ),
    "leaderboard": Verb(
        "write the page of a sweep again",
        stage="evaluate.sweep_page:write_leaderboard_page",
        config="evaluate.sweep_page:LeaderboardConfig",
        takes="SWEEP=sweeps/sweep",
    ),
    "ensemble": Verb(
        "join finished runs into one",
        stage="train.runs.ensemble:ensemble",
        config="train.runs.ensemble:EnsembleConfig",
        after=_READY,
        needs="MEMBERS=runs/a,runs/b",
        takes="KIND=average",
    ),
    "finetune": Verb(
        "train a run's backbone and head further, end to end, on kept crops",
        stage="train.end_to_end.finetune:finetune",
        config="train.end_to_end.finetune:FinetuneConfig",
        after=_READY,
        takes="RUN=runs/x LAYERS=30 EPOCHS=15 BLEND=0.5 NAME=run",
    ),
    "cnn3d": Verb(
        "train a small 3D network on kept crops, by the split of a run",
        stage="train.end_to_end.cnn3d:train_cnn3d",
        config="train.end_to_end.cnn3d:Cnn3dConfig",
        after=_READY,
        takes="RUN=runs/x WIDTH=16 EPOCHS=40 NAME=run",
    ),
    "eval": Verb(
        "run folder -> numbers with intervals, figures, report.html",
        door="evaluate report",
        stage="evaluate.printed:report",
        config="evaluate.report.stage:ReportConfig",
        takes="RUN=runs/x SCORES=other.csv DATA=folder",
    ),
    "compare": Verb(
        "which of several runs is better, and how sure that is; features folders are trained on first",
        stage="evaluate.printed:comparison",
        config="evaluate.compare.stage:CompareConfig",
        needs="A=runs/x B=runs/y",
        takes="C=runs/z",
    ),
    "protocols": Verb(
        "one head by each way to split, and on other data sets; several are crossed",
        stage="evaluate.printed:all_protocols",
        config="evaluate.studies.protocols:ProtocolsConfig",
        takes="FEATURES=folder,folder OTHERS=folder HEAD=lstm SEEDS=5",
    ),
    "crossval": Verb(
        "one head on people it never saw, fold by fold: for fewer than some 200 clips",
        stage="evaluate.printed:all_folds",
        config="evaluate.studies.cross_validation:CrossvalConfig",
        takes="FOLDS=5 REPEATS=3 HEAD=lstm SEEDS=1 BY=person FEATURES=folder",
    ),
    "published": Verb(
        "the published recipe beside ours on the same clips",
        stage="evaluate.printed:both_recipes",
        config="evaluate.studies.published:PublishedConfig",
        needs="DATA=/path/to/Celeb-DF-v2",
        takes="BACKBONES=resnet50,mobilenetv2 EPOCHS=20",
    ),
    "runs": Verb(
        "which runs there are, how well they do, and where their reports are -> runs/index.html",
        stage="evaluate.runs_index:list_runs",
        config="evaluate.runs_index:RunsConfig",
        takes="RUNS=runs",
    ),
    "detect": Verb(
        "a verdict on a clip, a picture or a folder of them",
        door="detect",
        stage="detect.clips.stage:detect",
        config="detect.clips.config:DetectConfig",
        more="The exit status is 0 if no clip is fake, 1 if one is, 2 if one could not be judged, 64 for a wrong "
        "command line. A clip that is too close to call, Unsure, changes none of that.",
        needs="VIDEO=clip.mp4",
        takes="RUN=runs/x SHOW=out.png HTML=out.html EXPLAIN=out.png OUT=results.csv",
        bare="video",
        error_status=USAGE,
    ),
    "reference": Verb(
        "keep the scores of clips that you know to be real, by which detect can limit its false alarms",
        stage="detect.clips.reference_stage:make_reference",
        config="detect.clips.reference_stage:ReferenceConfig",
        needs="REAL=folder",
        takes="RUN=runs/x NAME=studio FALSE_ALARMS=0.05",
        bare="real",
        error_status=USAGE,
    ),
    "stream": Verb(
        "verdicts on a camera, an address or a file while it plays, as JSON Lines",
        stage="detect.stream.stage:stream",
        config="detect.stream.stage:StreamConfig",
        needs="SOURCE=rtsp://host/path",
        takes="RUN=runs/x WINDOW=6 OVERLAY=out.mp4",
        bare="source",
        error_status=USAGE,
    ),
    "export": Verb(
        "run folder -> a detector that other programs run, checked against the run's own networks",
        stage="detect.export.stage:export",
        config="detect.export.stage:ExportConfig",
        takes="RUN=runs/x FORMAT=onnx PRECISION=int8 OUT=folder",
        error_status=USAGE,
    ),
    "web": Verb(
        "the page on which people drop a clip or a picture, or film one, and read its verdict; and an HTTP API",
        stage="detect.web.stage:serve_page",
        config="detect.web.config:WebConfig",
        more="Only this machine can open it, unless --host says otherwise. Clips are judged one after another. Each "
        "plays beside its verdict until its visitor gives another one or leaves, and is deleted then, or ten minutes "
        "after the verdict.",
        takes="RUN=runs/x PORT=7860 LIVE=0 TOKEN_FILE=token",
        error_status=USAGE,
    ),
    "cache": Verb(
        "look into a features folder, check it, write it for others, or take theirs: info | verify | export | import",
        door="cache",
        stage="cache.commands:run_command",
        takes="ARGS='info data/x/features-y'",
    ),
}


def make_help() -> str:
    """Returns what `make help` says of the verbs, a line each."""
    lines = []
    for name, verb in VERBS.items():
        variables = " ".join(filter(None, (verb.needs, verb.takes and f"[{verb.takes}]")))
        lines.append(f"  make {name:<11} {variables}{': ' * bool(variables)}{verb.text}")
    return "\n".join(lines)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # a reader that goes away, such as head, is no error
    sys.stdout.write(f"{make_help()}\n")
