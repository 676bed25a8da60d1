"""The sweep: hundreds of heads trained in stacks, the worse ones stopped early, the best written as ordinary runs."""

import functools
import hashlib
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from base.commands import flag
from base.errors import UserError
from base.files import make_folder, require_writable, writing
from base.keras_start import choose_backend, start_keras
from base.machine.memory import out_of_memory
from base.progress import say
from train.data.training_set import TrainingSet, gather
from train.fit import inputs_of
from train.runs.folder import listed_name, require_name
from train.sweep.best_runs import Winner, write_winners
from train.sweep.config import VALUES, SweepConfig, require_sensible
from train.sweep.leaderboard import Summary, auc_error, write_leaderboard
from train.sweep.storage import shown, storage_errors, storage_of

if TYPE_CHECKING:
    from optuna.trial import Trial

    from train.data.inputs import Inputs
    from train.heads.training import HeadJob, HeadProgress
    from train.sweep.study import Group, Trials


def sweep(config: SweepConfig) -> Path:
    """Runs trials until there are `trials`, writes the leaderboard and the best runs; returns the sweep's folder.

    Raises a UserError if the features or the settings cannot be swept.
    """
    for name, folder in (("sweeps", config.sweeps), ("runs", config.runs)):
        require_writable(folder, f"choose another {flag(name)}")
        require_name(config.name, folder)
    from train.sweep.study import alone, as_values, importances, open_study, results

    config = replace(config, storage=storage_of(config.storage))
    require_sensible(config)
    choose_backend()
    training_set = _training_set(config)
    _require_validation(training_set)
    config = replace(config, name=listed_name(make_folder(config.folder)))  # it resumes what lies there
    start = time.perf_counter()
    say(str(training_set.baseline))
    with writing(config.folder), alone(config.folder), storage_errors(config.study_config().storage):
        progress = _try_all(config, training_set)
        study = open_study(config.study_config(), _made_for(config, training_set))
        ranked = results(study)
        summary = Summary(
            config=as_values(replace(config, storage=config.storage and shown(config.storage))),
            made_for=_made_for(config, training_set),
            importances=importances(study),
            seconds=round(time.perf_counter() - start, 1),
            runs=_write_best(config, training_set, ranked, progress),
        )
        write_leaderboard(config.folder, ranked, summary)
    return config.folder


def _require_validation(training_set: TrainingSet) -> None:
    labels = set(training_set.contents.labels[training_set.val].tolist())
    if len(labels) < 2:
        raise UserError(
            f"the {training_set.split.kind} split has {len(training_set.val)} validation videos, and a sweep needs "
            "both classes there to rank trials; "
            f"use another {flag('split')}, a larger {flag('val')}, or your own parts with {flag('split', 'csv')}."
        )


@functools.lru_cache(maxsize=1)
def _training_set(config: SweepConfig) -> TrainingSet:
    return gather(config.features, config.split_config)


def _made_for(config: SweepConfig, training_set: TrainingSet) -> dict[str, Any]:
    """Returns the settings and data that all trials of a study share."""
    from train.sweep.study import as_values

    names = (
        "dense",
        "start",
        "components",
        "batch",
        "epochs",
        "patience",
        "first_rung",
        "factor",
        "seed",
        "sampler",
        "points",
    )
    parts = repr(
        [
            (record.id, part)
            for record, part in zip(training_set.contents.records, training_set.split.parts, strict=True)
        ]
    )
    clips = hashlib.sha256(parts.encode()).hexdigest()[:12]
    data = {"features": training_set.contents.store.fingerprint, "videos and parts": clips}
    return data | {name: getattr(config, name) for name in names} | as_values(config.space)


def _try_all(config: SweepConfig, training_set: TrainingSet) -> "dict[int, HeadProgress]":
    """Runs the missing trials; returns the progress of the best of them, by number."""
    import joblib

    from train.sweep.study import open_study

    open_study(config.study_config(), _made_for(config, training_set))
    groups = config.space.groups
    counts = [config.trials // len(groups) + (number < config.trials % len(groups)) for number in range(len(groups))]
    start_keras()  # also where others train: the heads that come back are of Keras
    with joblib.parallel_config(config.backend if config.jobs > 1 else "loky", n_jobs=config.jobs):
        groups_progress: Any = joblib.Parallel()(
            joblib.delayed(try_group)(config, group, count) for group, count in zip(groups, counts, strict=True)
        )
    return {number: progress for one in groups_progress for number, progress in one.items()}


def try_group(config: SweepConfig, group: "Group", count: int) -> "dict[int, HeadProgress]":
    """Runs trials of one shape until the study has `count`; returns the progress of the best of them, by number."""
    start_keras()
    from train.heads.memory import slots_that_fit
    from train.sweep.study import Trials, open_study

    training_set, first = _training_set(config), config.fit_config(group, config.seed)
    study = open_study(config.study_config(), _made_for(config, training_set))
    trials = Trials(study, config.study_config(), config.space, group, count)
    if config.storage is None or config.adopt:
        trials.adopt()
    inputs = inputs_of(first, training_set)
    slots = slots_that_fit(min(config.places, count), first.head_config, inputs, config.batch)
    best: dict[int, HeadProgress] = {}
    while True:
        try:
            _train_trials(config, trials, inputs, slots, best)
            return best
        except Exception as error:
            if slots == 1 or not out_of_memory(error):
                raise
        slots //= 2
        say(f"memory is short: training {slots} trials side by side from here on.")


def _train_trials(
    config: SweepConfig, trials: "Trials", inputs: "Inputs", slots: int, best: "dict[int, HeadProgress]"
) -> None:
    """Runs trials until none are left, and keeps the progress of the best complete ones in `best`."""
    from optuna.trial import TrialState

    from base.progress import progress_bar
    from train.heads.training import learn_many

    training_set = _training_set(config)
    reals, fakes = np.bincount(training_set.contents.labels[training_set.val], minlength=2).tolist()
    watched: dict[HeadJob, _Watched] = {}
    learnt = learn_many(_jobs(config, trials, watched), inputs, training_set.train, training_set.val, slots)
    for job, progress in progress_bar(iterable=learnt, total=trials.left, unit="trial", desc=trials.title):
        trial = watched.pop(job)
        state = TrialState.FAIL if progress.broken else TrialState.PRUNED if trial.pruned else TrialState.COMPLETE
        trials.tell(trial.trial, state, _result(progress, job.learn.seed, reals, fakes))
        if state == TrialState.COMPLETE:
            best[trial.trial.number] = progress
            if len(best) > config.best:
                best.pop(min(best, key=lambda number: best[number].best_value("val_auc")))


def _jobs(config: SweepConfig, trials: "Trials", watched: "dict[HeadJob, _Watched]") -> "Iterator[HeadJob]":
    from train.heads.training import HeadJob

    for trial, values in trials:
        fitted = config.fit_config(values, config.seed + trial.number)
        watch = _Watched(trial, config)
        job = HeadJob(fitted.head_config, fitted.learn_config, watch)
        watched[job] = watch
        yield job


class _Watched:
    """A trial under successive halving (Jamieson & Talwalkar, AISTATS 2016; Li et al., MLSys 2020)."""

    def __init__(self, trial: "Trial", config: SweepConfig) -> None:
        self.trial, self.pruned = trial, False
        steps = (config.first_rung * config.factor**rung for rung in range(32))
        self._rungs = {step for step in steps if step < config.epochs}
        self._reported = set(trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values)

    def __call__(self, progress: "HeadProgress") -> bool:
        """Reports to the study at a rung; returns False if the trial is pruned."""
        if progress.epochs not in self._rungs:
            return True
        if progress.epochs not in self._reported:
            self.trial.report(progress.best_value("val_auc"), progress.epochs)
        self.pruned = self.trial.should_prune()
        return not self.pruned


def _result(progress: "HeadProgress", seed: int, reals: int, fakes: int) -> dict[str, Any]:
    result = {"seed": seed, "epochs": progress.epochs, "best_epoch": progress.best, "reason": progress.broken}
    if progress.best is None:
        return result
    auc = progress.best_value("val_auc")
    error = auc_error(auc, reals, fakes)
    return result | {"val_auc": auc, "val_auc_error": error, "val_loss": progress.best_value("val_loss")}


def _write_best(
    config: SweepConfig, training_set: TrainingSet, ranked: list[dict[str, Any]], progress: "dict[int, HeadProgress]"
) -> list[Path]:
    made_for = {"sweep": config.name, **_made_for(config, training_set)}
    winners = [
        Winner(
            row["trial"],
            config.fit_config({name: row[name] for name in VALUES}, row["seed"]),
            made_for | {"trial": row["trial"]},
            progress.get(row["trial"]),
        )
        for row in ranked[: config.best]
        if row["state"] == "complete"
    ]
    return write_winners(config.runs, config.name, winners, training_set)
