"""The demo: draws a small data set of moving faces, real and swapped, and runs the whole pipeline on it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from base.errors import UserError
from base.flags import option
from base.keras_start import choose_backend
from base.progress import show

CLIPS = ("Celeb-real/id0_0000.mp4", "Celeb-synthesis/id0_id1_0000.mp4")
"""The two clips that the demo shows a verdict on, one of each class."""


@dataclass(frozen=True)
class DemoConfig:
    """Where the demo goes."""

    out: Path = option(Path("demo"), "folder for clips, features, run and report; those of an earlier demo are redone")


def demo(config: DemoConfig) -> Path:
    """Draws, extracts, trains, judges two clips and reports, naming each step; returns the report's page."""
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
    show("== drawing the data set")
    clips = draw_dataset(DrawnConfig(config.out / "celeb-df-drawn", people=20, clips=4, youtube=4, fakes=80))
    show("== features")
    weights = obtainable_weights("resnet50")
    features = extract(ExtractConfig(clips, config.out / "data", weights=weights))
    show("== train")
    run = fit(FitConfig(features=features, runs=config.out / "runs", name="demo", split="identity", test=0.25))
    show("== detect")
    _judge(clips, run, config.out)
    show("== eval")
    return report(ReportConfig(run))


def _judge(clips: Path, run: Path, out: Path) -> None:
    """Prints the verdict on each of `CLIPS` and draws what it rests on."""
    from detect.clips.config import DetectConfig
    from detect.clips.stage import NO_VERDICT, detect

    for name in CLIPS:
        picture = out / f"{Path(name).stem}.png"
        if detect(DetectConfig(run, video=(str(clips / name),), show=picture)) == NO_VERDICT:
            raise UserError(f"the demo's own clip {clips / name} got no verdict; its reason stands above.")
