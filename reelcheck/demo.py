"""The demo: draws a small data set of moving faces, real and swapped, and runs the whole pipeline on it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from base.errors import UserError
from base.flags import option
from base.keras_start import choose_backend
from reelcheck.steps import Steps

PICTURE = "verdicts.png"


@dataclass(frozen=True)
class DemoConfig:
    """Where the demo goes."""

    out: Path = option(Path("demo"), "folder for clips, features, run and report; those of an earlier demo are redone")


def demo(config: DemoConfig) -> Path:
    """Draws, extracts, trains, reports and judges two clips, naming each step; returns the report's page."""
    from detect.after_training import make_ready
    from evaluate.printed import report
    from evaluate.report.stage import ReportConfig
    from extract.backbones.networks import obtainable_weights
    from extract.config import ExtractConfig
    from extract.drawn.dataset import DrawnConfig, draw_dataset
    from extract.pipeline import extract
    from train.fit import FitConfig, fit

    choose_backend()
    for folder in ("data", "runs"):
        shutil.rmtree(config.out / folder, ignore_errors=True)
    step = Steps()
    with step("drawing the data set"):
        clips = draw_dataset(DrawnConfig(config.out / "celeb-df-drawn", people=20, clips=4, youtube=4, fakes=80))
    with step("features"):
        weights = obtainable_weights("resnet50")
        features = extract(ExtractConfig(clips, config.out / "data", weights=weights))
    with step("train"):
        training = FitConfig(features=features, runs=config.out / "runs", name="demo", split="identity", test=0.25)
        run = make_ready(training, fit(training))
    with step("eval"):
        page = report(ReportConfig(run))
    with step("detect"):
        _judge(clips, run, config.out / PICTURE)
    step.show_times()
    return page


def _judge(clips: Path, run: Path, picture: Path) -> None:
    """Prints the verdict on a real and on a fake clip of the test part, and draws what they rest on."""
    from cache.schema import FAKE, REAL, TEST
    from detect.clips.config import DetectConfig
    from detect.clips.stage import NO_VERDICT, detect
    from train.runs.folder import SPLIT
    from train.runs.predictions import read_split

    tested = [row for row in read_split(run / SPLIT).values() if row.part == TEST]
    chosen = [next(clips / row.id for row in tested if row.label == label) for label in (REAL, FAKE)]
    if detect(DetectConfig(run, video=tuple(map(str, chosen)), show=picture)) == NO_VERDICT:
        raise UserError(f"the demo's own clips {chosen[0]} and {chosen[1]} got no verdict; the reasons stand above.")
