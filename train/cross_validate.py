"""Heads trained in every fold of a cross-validation, side by side, and what they say of the clips held out."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.special import expit

from base.keras_start import start_keras
from base.progress import progress_bar
from cache.contents import Contents
from cache.schema import TEST
from train.data.blended_parts import place_blends
from train.data.split import Split, require_both_classes
from train.data.training_set import TrainingSet
from train.fit import FitConfig, inputs_of
from train.heads.jobs import Fold, HeadJob


def fold_set(contents: Contents, parts: Sequence[str], kind: str, even: bool) -> TrainingSet:
    """Returns the clips of `contents` with the `parts` of those that are videos, in their order.

    If `even`, all data sets weigh the same. Blended clips train beside their real clip. A UserError says that train
    lacks a class.
    """
    videos = [record for record in contents.records if not record.is_blend]
    named, notes = dict(zip((video.id for video in videos), parts, strict=True)), []
    if len(videos) < len(contents.records):
        parts, notes = place_blends(contents.records, named)
    training_set = TrainingSet(contents, Split(kind, list(parts), notes), [], even)
    require_both_classes(contents.labels[training_set.train].tolist(), "the train part of a fold holds")
    return training_set


def as_folds(config: FitConfig, sets: Sequence[TrainingSet]) -> list[Fold]:
    """Returns what heads of the shape of `config` learn from in each of `sets`. Keras must have been started."""
    from threadpoolctl import threadpool_limits

    # Of many small products, threads that wait for each other take five times as long.
    with threadpool_limits(1 if len(sets) > 1 else None, user_api="blas"):
        for one in progress_bar(iterable=sets, unit="fold", desc="baselines", shown=len(sets) > 1):
            _ = one.baseline  # which it keeps
    return [Fold(inputs_of(config, one), one.train, one.val, one.rows(TEST)) for one in sets]


def cross_validate(
    config: FitConfig, sets: Sequence[TrainingSet], seeds: Sequence[int], slots: int
) -> list[np.ndarray]:
    """Returns for each of `sets` the probability of fake, float64 (R,), of each of its test clips.

    It is the mean over `config.seeds` heads, the first with the seed in `seeds`, at most `slots` trained side by side.
    """
    start_keras()
    from train.heads.memory import slots_that_fit
    from train.heads.training import learn_folds, require_numbers
    from train.runs.notes import advancing

    folds = as_folds(config, sets)
    total = len(folds) * config.seeds
    slots = slots_that_fit(min(slots, total), config.head_config, folds[0].inputs, config.batch)
    logits: list[list[np.ndarray]] = [[] for _ in sets]
    with progress_bar(total=total * config.epochs, unit="epoch", desc=f"{total} heads") as bar:
        jobs = [
            HeadJob(
                config.head_config,
                replace(config, seed=seed + number).learn_config,
                fold=fold,
                note=advancing(bar),
            )
            for fold, seed in enumerate(seeds)
            for number in range(config.seeds)
        ]
        for job, progress in learn_folds(jobs, folds, slots):
            bar.update(config.epochs - progress.epochs)
            require_numbers(progress, job.learn)
            assert progress.tested is not None
            logits[job.fold].append(progress.tested)
    return [expit(np.array(one)).mean(axis=0) for one in logits]
