"""What has to be said of a run beside each of its verdicts: how good it is, and why to doubt it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from base.commands import command
from base.errors import passing_over_damage
from base.outside.content import is_regular
from base.outside.values import parse, read_json
from base.text import printable
from cache.profile import FeatureProfile, Profile
from cache.schema import TEST, VAL
from evaluate.page.tables import measure_text
from evaluate.results.calls import Calls, calls_sentence
from evaluate.results.measures import HEAD
from evaluate.results.read import METRICS, REPORT, why_uncalibrated
from evaluate.stats.bootstrap import Measure
from train.runs.folder import ENSEMBLE, NEIGHBOURS
from train.runs.predictions import Predictions
from train.runs.recipe import RunConfig, read_recipe

RANDOM = (
    "the backbone has random weights, so verdicts show that the pipeline runs and say nothing about whether a face is "
    "fake"
)
DRAWN = "it was trained on drawn faces, so it knows nothing of filmed ones"
_Share = Annotated[float, Meta(ge=0, le=1)]


@dataclass(frozen=True)
class MeasuredArea:
    """A run's ROC AUC on its own test part of `clips` clips, with its 95 % interval; None where it is undefined.

    `known` of the clips show people who were trained on, as far as they are named.
    """

    value: _Share | None
    low: _Share | None
    high: _Share | None
    clips: Annotated[int, Meta(ge=1, le=10**9)]
    known: Annotated[int, Meta(ge=0, le=10**9)] = 0

    @property
    def measure(self) -> Measure:
        """The area and its interval, without the clips."""
        return Measure(self.value, self.low, self.high)


@dataclass(frozen=True)
class AboutRun:
    """The `names` of the runs that judge, one or several together, and what is known of them.

    `roc_auc` is None where they were not evaluated, `validation` says how many real and fake clips validation has, None
    if that is not known. `doubts` are reasons not to believe any verdict, each the rest of a sentence. `calls` says how
    its test clips were called, by class, None where that is not known. `knows_unlike` tells whether the run kept its
    training clips, by which others are seen to be unlike them.
    """

    names: tuple[str, ...] = ()
    roc_auc: MeasuredArea | None = None
    validation: tuple[int, int] | None = None
    doubts: tuple[str, ...] = ()
    calls: dict[str, Calls] | None = None
    knows_unlike: bool = False

    @property
    def name(self) -> str:
        """The run's name, or those of all."""
        return ", ".join(self.names) or "an unnamed run"

    @property
    def quality(self) -> str:
        """How good the run is: `ROC AUC 0.823 [0.720, 0.940] on 64 test clips`, or `not evaluated`."""
        if self.roc_auc is None:
            return "not evaluated"
        known = f", {self.roc_auc.known:,} of which show people who were trained on" if self.roc_auc.known else ""
        return f"ROC AUC {measure_text(self.roc_auc.measure)} on {self.roc_auc.clips:,} test clips{known}"

    @property
    def sentence(self) -> str:
        """Which run judges, and how good it is."""
        way_out = "" if self.roc_auc else f", so nobody knows how good it is ({command('eval')} measures that)"
        called = f" {calls_sentence(self.calls)}" if self.calls else ""
        blind = "" if self.knows_unlike else " How unlike its training clips a clip is, it does not know."
        return f"Judged by {self.name}: {self.quality}{way_out}.{called}{blind}"

    @property
    def warning(self) -> str:
        """The doubts as a sentence, "" where there are none."""
        return f"Do not rely on {self.name}: {'; '.join(self.doubts)}." if self.doubts else ""

    @property
    def why_uncalibrated(self) -> str:
        """Why there is no calibrated probability, where there is none."""
        if self.validation is None:
            return "it is not known how many validation clips there are"
        return why_uncalibrated(self.validation)


UNKNOWN = AboutRun()
"""Of a detector that was made without a run."""


def about_run(folder: Path, config: RunConfig[Profile], predictions: Predictions | None) -> AboutRun:
    """Returns what is known of the run in `folder` with this `config`; `predictions` are None where it has none."""
    validation = None if predictions is None else predictions.of(VAL).counts
    name, (area, calls) = printable(folder.resolve().name), read_test(folder)
    knows_unlike = all(is_regular(one / NEIGHBOURS) for one in config.members or [folder])
    return AboutRun((name,), area, validation, tuple(doubts(config)), calls, knows_unlike)


def about_several(runs: list[AboutRun]) -> AboutRun:
    """Returns what is known of `runs` that judge together, which is little: only each alone was evaluated."""
    names = tuple(name for run in runs for name in run.names)
    doubted = tuple(dict.fromkeys(doubt for run in runs for doubt in run.doubts))
    return AboutRun(names, doubts=doubted, knows_unlike=all(run.knows_unlike for run in runs))


def doubts(config: RunConfig[Profile]) -> Iterator[str]:
    """Yields the reasons to believe no verdict of the run with this `config`."""
    if has_random_backbone(config):
        yield RANDOM
    if has_drawn_data(config):
        yield DRAWN


def has_random_backbone(config: RunConfig[Profile]) -> bool:
    """Tells whether the backbone of the run, or of a member of it, had random weights, also before it was tuned."""
    weights = config.profile.weights if isinstance(config.profile, FeatureProfile) else ""
    return any(text.startswith("random") for text in (weights, config.tuned_from)) or any(
        map(has_random_backbone, _members(config))
    )


def has_drawn_data(config: RunConfig[Profile]) -> bool:
    """Tells whether the run was trained on drawn clips, as those of the demo."""
    return config.origin.drawn or any(map(has_drawn_data, _members(config)))


def _members(config: RunConfig[Profile]) -> Iterator[RunConfig[Profile]]:
    """Yields the configs of an ensemble's members, and of theirs, as far as they are still there."""
    for folder in config.members:
        with passing_over_damage():
            member = read_recipe(folder)
            if member.kind != ENSEMBLE:  # which could be a member of itself
                yield member


def read_test(folder: Path) -> tuple[MeasuredArea | None, dict[str, Calls] | None]:
    """Returns area and calls on the test part by the run's report; None without one, or with something else there.

    A verdict does not rest on the report, and the report can be written anew: a damaged one is none. Raises Unreadable.
    """
    try:
        values = read_json(folder / REPORT / METRICS)
        counts, area = values["counts"][TEST], values["parts"][TEST][HEAD]["scores"]["roc_auc"]
        calls = parse(dict[str, Calls], values["calls"]) if "calls" in values else None
        clips = {"clips": counts["real"] + counts["fake"], "known": values.get("known", 0)}
        return parse(MeasuredArea, area | clips), calls
    except (OSError, ValueError, LookupError, TypeError):
        return None, None
