"""The stage: one head by cross-validation -> how well it judges people that it never saw, and whether more would help.

Each person's footage is tested once by models that saw that person neither as target nor as donor, and all of it is
repeated with other folds and seeds. With few clips this says more than one test part of a handful of people.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from base.commands import flag
from base.errors import UserError
from base.files import make_folder, require_writable, write_csv, writing
from base.flags import option
from base.keras_start import choose_backend
from base.progress import doing, say
from cache.contents import Contents
from cache.schema import TEST, VideoRecord
from evaluate.report.stage import require_resamples
from evaluate.stats.metrics import RESAMPLES
from evaluate.studies.crossval_numbers import Verdicts, measure
from evaluate.studies.crossval_page import write_page
from train.cross_validate import cross_validate, fold_set
from train.data.folds import FOLDS, GROUPINGS, Deal, group_name, groups_shown
from train.data.training_set import Features, TrainingSet, load_features
from train.fit import FitConfig, as_in_fit, check
from train.heads.architectures import Start

PREDICTIONS = "predictions.csv"
SHARES = (0.25, 0.5, 0.75, 1.0)
"""Shares of the people in train, for the learning curve."""


@dataclass(frozen=True)
class CrossvalConfig:
    """Which head on which features, and how often."""

    features: Features | None = as_in_fit("features")
    out: Path = option(Path("crossval"), "folder to write")
    by: str = option("person", "what no two folds share", choices=lambda: list(GROUPINGS))
    folds: int = option(FOLDS, "folds; fewer where fewer people have fakes")
    repeats: int = option(3, "repetitions, each with other folds and other seeds")
    seeds: int = option(1, "heads in each fold, whose mean is judged")
    curve: bool = option(True, "also train on a quarter, a half and three quarters of the people")
    head: str = as_in_fit("head")
    units: int = as_in_fit("units")
    dropout: float = as_in_fit("dropout")
    differences: bool = as_in_fit("differences")
    start: Start = as_in_fit("start")
    learning_rate: float = as_in_fit("learning_rate")
    weight_decay: float = as_in_fit("weight_decay")
    components: int = as_in_fit("components")
    epochs: int = as_in_fit("epochs")
    same_people: Path | None = as_in_fit("same_people")
    data_set_weights: bool = as_in_fit("data_set_weights")
    places: int = option(8, "heads trained side by side")
    seed: int = option(0, "seed of the first repetition and of the intervals")
    resamples: int = option(RESAMPLES, "resamples behind each 95 % interval")

    @property
    def fit_config(self) -> FitConfig:
        """How each head is trained."""
        shared = {field.name for field in fields(FitConfig)} & {field.name for field in fields(self)}
        return FitConfig(**{name: getattr(self, name) for name in shared})


@dataclass(frozen=True, eq=False)
class _Fold:
    """The clips of a fold with their parts, which share of the people it trains on, and how many these are."""

    clips: TrainingSet
    repetition: int
    number: int
    share: float
    trained_on: int


def crossval(config: CrossvalConfig) -> Path:
    """Trains and tests in every fold and returns the path of the page; tables, numbers and verdicts are beside it.

    Raises a UserError if there are too few people, or if the settings cannot be trained with.
    """
    require_resamples(config.resamples, config.seed)
    check(config.fit_config)
    if config.folds < 2 or min(config.repeats, config.places) < 1:
        raise UserError("folds must be 2 or above, repeats and places 1 or above; correct the flag.")
    choose_backend()
    require_writable(config.out, f"choose another {flag('out')}")
    contents = load_features(config.fit_config.data_config)
    videos = [record for record in contents.records if not record.is_blend]
    folds = _all_folds(config, contents, videos)
    seeds = [config.seed + one.repetition * config.seeds for one in folds]
    probabilities = cross_validate(config.fit_config, [one.clips for one in folds], seeds, config.places)
    verdicts = [
        _verdicts(videos, config, [each for each in zip(folds, probabilities, strict=True) if each[0].share == share])
        for share in SHARES
        if any(one.share == share for one in folds)
    ]
    with doing("measuring"):
        numbers = measure(videos, verdicts, GROUPINGS[config.by].own, config.resamples, config.seed)
    with writing(config.out, f"give another {flag('out')}"):
        _write_verdicts(make_folder(config.out) / PREDICTIONS, videos, verdicts[-1])
        return write_page(config.out, numbers, _settings(config, contents))


def _all_folds(config: CrossvalConfig, contents: Contents, videos: Sequence[VideoRecord]) -> list[_Fold]:
    """Returns the folds of all repetitions and shares."""
    found: dict[float, list[_Fold]] = {share: [] for share in (SHARES if config.curve else SHARES[-1:])}
    of = config.by, sum(not video.target for video in videos), len(videos)
    many = group_name(*of)
    for repetition in range(config.repeats):
        deal = Deal(videos, config.by, config.folds, config.seed + repetition)
        if not repetition:
            say(f"{groups_shown(deal.groups, *of)} in {deal.count} folds, {config.repeats} times.")
        for number, parts in enumerate(deal.tested()):
            for share in list(found):
                some, trained_on = deal.thinned(parts, share)
                try:
                    clips = fold_set(contents, some, config.by, config.data_set_weights)
                except UserError as error:
                    if share == SHARES[-1]:
                        raise
                    del found[share]
                    say(f"The learning curve has no point for {share:.0%} of the {many}: {error}")
                    continue
                found[share].append(_Fold(clips, repetition, number, share, trained_on))
    # Of few people, two shares may be the same ones.
    different = {sum(fold.trained_on for fold in folds): folds for folds in found.values()}
    return [fold for folds in different.values() for fold in folds]


def _verdicts(
    videos: Sequence[VideoRecord], config: CrossvalConfig, tested: Sequence[tuple[_Fold, np.ndarray]]
) -> Verdicts:
    """Returns what the folds of one share, each with the probabilities of its test clips, say of all `videos`."""
    rows = {video.id: row for row, video in enumerate(videos)}
    shape = (config.repeats, len(videos))
    head, baseline, folds = np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, -1)
    for fold, probabilities in tested:
        own = fold.clips.rows(TEST)
        places = fold.repetition, [rows[fold.clips.contents.records[row].id] for row in own]
        head[places], baseline[places], folds[places] = (
            probabilities,
            fold.clips.baseline.probabilities(own),
            fold.number,
        )
    return Verdicts(float(np.mean([fold.trained_on for fold, _ in tested])), head, baseline, folds)


def _write_verdicts(path: Path, videos: Sequence[VideoRecord], verdicts: Verdicts) -> None:
    """Writes what each repetition says of each clip, by the models that did not see it."""
    columns = ("id", "label", "repetition", "fold", "probability", "baseline")
    repeated = (
        (video.id, video.label, repetition + 1, verdicts.folds[repetition, row] + 1, f"{head:.6f}", f"{baseline:.6f}")
        for repetition, (heads, baselines) in enumerate(zip(verdicts.head, verdicts.baseline, strict=True))
        for row, (video, head, baseline) in enumerate(zip(videos, heads, baselines, strict=True))
    )
    write_csv(path, columns, list(repeated))


def _settings(config: CrossvalConfig, contents: Contents) -> dict[str, Any]:
    """Returns the flags that repeat it; the folder to write is left to the user."""
    values = {
        field.name: getattr(config, field.name) for field in fields(config) if field.name not in ("out", "places")
    }
    return values | {"features": contents.folders}
