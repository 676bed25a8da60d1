"""`reelcheck quickstart FOLDER`: from a folder of videos to a report, and whether the result is good enough to use."""

import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from base.commands import command
from base.flags import bare, option
from base.progress import show
from reelcheck.steps import Steps

if TYPE_CHECKING:
    from evaluate.results.about_run import AboutRun

FEW = 200
"""Clips below which one test part says little, so that there is a cross-validation too."""


@dataclass(frozen=True)
class QuickstartConfig:
    """What to learn from, and where to put what comes of it."""

    data: Path = bare(Path(), "the data set's folder, or a .csv list of videos", "FOLDER")
    out: Path = option(Path(), "folder for data/, runs/ and crossval/")
    backbone: str = option("resnet50", "the network that looks at the faces")
    weights: str = option("imagenet", "its weights: imagenet, random, or the path of a file")
    name: str | None = option(None, "name of the run (default: head, backbone and split)")
    open: bool = option(False, "open the report in a browser")


def quickstart(config: QuickstartConfig) -> Path:
    """Extracts, trains, cross-validates where clips are few, and reports; returns the path of the report.

    The last line but one says whether the run is good enough to use.
    """
    from cache.manifest import read_manifest
    from cache.store import open_store
    from detect.after_training import make_ready
    from evaluate.printed import all_folds, report
    from evaluate.report.stage import ReportConfig
    from evaluate.results.about_run import about_run
    from evaluate.studies.cross_validation import CrossvalConfig
    from extract.config import ExtractConfig
    from extract.pipeline import extract
    from train.fit import FitConfig, fit
    from train.runs.recipe import read_config

    step = Steps()
    with step("features"):
        features = extract(
            ExtractConfig(config.data, config.out / "data", backbone=config.backbone, weights=config.weights)
        )
    with step("train"):
        trained = FitConfig(features=features, runs=config.out / "runs", name=config.name)
        run = make_ready(trained, fit(trained))
    if len(read_manifest(open_store(features).manifest)) < FEW:
        with step("crossval"):
            show(all_folds(CrossvalConfig(features=features, out=config.out / "crossval" / run.name)))
    with step("eval"):
        page = report(ReportConfig(run))
    step.show_times()
    show(good_enough(about_run(run, read_config(run), None), run))
    if config.open:
        webbrowser.open(page.resolve().as_uri())
    return page


def good_enough(about: "AboutRun", run: Path) -> str:
    """Returns the sentence on whether `run` is good enough to use, as far as its own test clips tell."""
    if about.doubts:
        return f"Not good enough to use: {'; '.join(about.doubts)}."
    area = about.roc_auc
    if area is None or area.value is None or area.low is None or area.high is None:
        return "Whether it is good enough to use, nobody knows: its test part lacks one of the classes."
    measured = (
        f"of its {area.clips:,} test clips, a fake scores above a real one in {area.value:.0%} of pairs, and the truth "
        f"may lie anywhere from {area.low:.0%} to {area.high:.0%}"
    )
    if area.low <= 0.5:
        return (
            f"Not good enough to use: {measured}, where chance is 50%; more people to train and test on are what helps."
        )
    verdicts = command("detect", video="clip.mp4", run=run)
    return (
        f"Better than chance on people and footage like its test clips: {measured}. Read how it called them before "
        f"you rely on {verdicts}; on other footage it may be worse, and says so where it can tell."
    )
