"""The sweep: hundreds of heads trained in stacks, the worse ones stopped early, the best written as ordinary runs."""

import functools
import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cache.cli import option
from cache.commands import flag
from cache.keras_start import start_keras
from cache.progress import say
from cache.schema import UserError
from train.data.split import SplitConfig, SplitKind
from train.data.training_set import TrainingSet, gather
from train.fit import FitConfig, check
from train.heads.architectures import HEADS
from train.sweep.best_runs import Winner, write_winners
from train.sweep.leaderboard import auc_error, write_leaderboard

if TYPE_CHECKING:
    from optuna.trial import Trial

    from train.data.inputs import Inputs
    from train.heads.training import HeadJob, HeadProgress
    from train.sweep.study import Group, Space, StudyConfig, Trials

VALUES = ("head", "units", "differences", "learning_rate", "dropout", "weight_decay")
"""The values that a trial decides, by the names of their fields in FitConfig."""


def _as_in_fit(name: str) -> Any:
    field = FitConfig.__dataclass_fields__[name]
    return option(field.default, field.metadata["help"])


@dataclass(frozen=True)
class SweepConfig:
    """What to try, on what, and how."""

    features: Path | None = _as_in_fit("features")
    sweeps: Path = option(Path("sweeps"), "folder for the sweep's folder: its study, leaderboard and figures")
    runs: Path = option(Path("runs"), "folder for the run folders of the best")
    name: str = option("sweep", "name of the sweep; an existing name resumes that sweep")
    trials: int = option(64, "trials in total, including those of earlier calls")
    heads: tuple[str, ...] = option(("lstm",), "heads to try, of " + ", ".join(HEADS))
    units: tuple[int, ...] = option((32, 64, 128), "units to try")
    differences: tuple[int, ...] = option((0,), "0: without each frame's change, 1: with it, 0,1: try both")
    learning_rate: tuple[float, ...] = option((3e-4, 1e-2), "lowest and highest learning rate")
    dropout: tuple[float, ...] = option((0.0, 0.6), "lowest and highest dropout")
    weight_decay: tuple[float, ...] = option((1e-6, 1e-1), "lowest and highest weight decay")
    sampler: Literal["tpe", "random", "grid"] = option("tpe", "how values are proposed")
    points: int = option(3, "for the grid: number of values in each range")
    split: SplitKind = option(
        SplitConfig.kind, "split whose validation part ranks the trials; its test part is never read"
    )
    split_csv: Path | None = _as_in_fit("split_csv")
    split_seed: int = _as_in_fit("split_seed")
    val: float = option(
        SplitConfig.val, "share of train, or by identity of all videos, to validate on; whole people, never from test"
    )
    dense: int = _as_in_fit("dense")
    components: int = option(256, "principal components to learn from; 0 uses the features themselves")
    batch: int = _as_in_fit("batch")
    epochs: int = option(54, "maximum number of epochs")
    patience: int = option(8, "epochs without a lower validation loss before a trial stops")
    first_rung: int = option(3, "epochs before the worse trials are first stopped; the next rung is factor times later")
    factor: int = option(3, "one of this many trials continues at each rung")
    best: int = option(3, "how many of the best trials become run folders")
    places: int = option(8, "trials trained side by side")
    seed: int = option(0, "seed of the proposals; trial N trains with seed + N")
    storage: str | None = option(None, "URL of the study's storage, which several machines can share")
    adopt: bool = option(False, "with a storage: take over trials that others started and left unfinished")
    backend: Literal["loky", "ray", "dask"] = option(
        "loky", "joblib's backend for training several shapes of heads at once"
    )
    jobs: int = option(1, "shapes of heads trained at once, each in a process of its own")

    @property
    def split_config(self) -> SplitConfig:
        """The fields that decide the split."""
        return SplitConfig(self.split, self.split_seed, self.val, self.split_csv)

    @property
    def space(self) -> "Space":
        """The fields that decide what is tried."""
        from train.sweep.study import Space

        change = tuple(bool(number) for number in self.differences)
        return Space(self.heads, self.units, change, self.learning_rate, self.dropout, self.weight_decay)

    @property
    def folder(self) -> Path:
        """The folder of this sweep."""
        return self.sweeps / self.name

    def study_config(self) -> "StudyConfig":
        """The fields that decide the study."""
        from train.sweep.study import StudyConfig

        storage = self.storage or f"sqlite:///{(self.folder / 'study.db').resolve()}"
        return StudyConfig(self.name, storage, self.sampler, self.points, self.first_rung, self.factor, self.seed)

    def fit_config(self, values: dict[str, Any], seed: int) -> FitConfig:
        """Returns the config that repeats the trial with `values` and `seed`."""
        shared = ("features", "runs", "split", "split_csv", "split_seed", "val", "dense", "batch", "epochs", "patience")
        return FitConfig(
            **{name: getattr(self, name) for name in shared}, components=self.components, seed=seed, **values
        )


def sweep(config: SweepConfig) -> Path:
    """Runs trials until there are `trials`, writes the leaderboard and the best runs; returns the sweep's folder.

    Raises a UserError if the features or the settings cannot be swept.
    """
    from train.sweep.study import alone, as_values, importances, open_study, results

    _check(config)
    training_set = _training_set(config)
    _require_validation(training_set)
    config.folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    with alone(config.folder):
        progress = _try_all(config, training_set)
        study = open_study(config.study_config(), _made_for(config, training_set))
        ranked = results(study)
        summary = {
            "config": as_values(config),
            "made_for": _made_for(config, training_set),
            "importances": importances(study),
        }
        summary |= {"seconds": round(time.perf_counter() - start, 1)}
        folders = _write_best(config, training_set, ranked, progress)
        write_leaderboard(config.folder, ranked, summary | {"runs": [str(folder) for folder in folders]})
    return config.folder


def _check(config: SweepConfig) -> None:
    if Path(config.name).name != config.name or config.name.startswith("."):
        raise UserError(f"{flag('name', config.name)} is not the name of a folder; give one such as sweep-1.")
    for name, least, most in (("learning_rate", 1e-9, 1.0), ("dropout", 0.0, 0.99), ("weight_decay", 1e-12, 10.0)):
        _check_range(name, getattr(config, name), least, most)
    if not (config.heads and config.units and config.differences) or set(config.differences) - {0, 1}:
        raise UserError(
            "heads, units and differences each need a value, and differences only 0 or 1; correct the flag."
        )
    numbers = (config.trials, config.points, config.first_rung, config.best, config.places, config.jobs)
    if min(numbers) < 1 or config.factor < 2:
        raise UserError(
            "trials, points, first rung, best, places and jobs must be 1 or above, factor 2 or above; correct the flag."
        )
    for group in config.space.groups:
        check(config.fit_config(group, config.seed))
    shapes, points = len(config.space.groups), len(config.space.grid(config.points))
    if config.sampler == "grid" and config.trials != shapes * points:
        raise UserError(
            f"a grid of {shapes} shapes with {points} points each has {shapes * points} trials, not {config.trials}; "
            f"give {flag('trials', shapes * points)}."
        )


def _check_range(name: str, values: tuple[float, ...], least: float, most: float) -> None:
    if len(values) != 2 or not least <= values[0] <= values[1] <= most:
        shown = ",".join(f"{value:g}" for value in values)
        raise UserError(f"{flag(name, shown)} is no range within {least:g} to {most:g}; give LOWEST,HIGHEST.")


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

    names = ("dense", "components", "batch", "epochs", "patience", "first_rung", "factor", "seed", "sampler", "points")
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
    with joblib.parallel_config(config.backend if config.jobs > 1 else "loky", n_jobs=config.jobs):
        groups_progress: Any = joblib.Parallel()(
            joblib.delayed(try_group)(config, group, count) for group, count in zip(groups, counts, strict=True)
        )
    return {number: progress for one in groups_progress for number, progress in one.items()}


def try_group(config: SweepConfig, group: "Group", count: int) -> "dict[int, HeadProgress]":
    """Runs trials of one shape until the study has `count`; returns the progress of the best of them, by number."""
    start_keras()
    from train.heads.memory import out_of_memory, slots_that_fit
    from train.heads.training import usable_components
    from train.sweep.study import Trials, open_study

    training_set, first = _training_set(config), config.fit_config(group, config.seed)
    study = open_study(config.study_config(), _made_for(config, training_set))
    trials = Trials(study, config.study_config(), config.space, group, count)
    if config.storage is None or config.adopt:
        trials.adopt()
    inputs = training_set.inputs(usable_components(first.head_config, config.components))
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

    from cache.progress import progress_bar
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
    if not progress.best:
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
