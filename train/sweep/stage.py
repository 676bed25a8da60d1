"""The sweep: hundreds of heads, trained in stacks and halved as they go, the best of them as ordinary runs."""

import functools
import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cache.cli import option, start_keras
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
"""What a trial decides, as the flags of make train."""


@dataclass(frozen=True)
class SweepConfig:
    """What to try, on what, and how."""

    features: Path | None = option(None, "features folder (default: the one below data/ that was extracted last)")
    sweeps: Path = option(Path("sweeps"), "where the sweep's folder goes: its study, leaderboard and figures")
    runs: Path = option(Path("runs"), "where the run folders of the best go")
    name: str = option("sweep", "name of the sweep; the same name goes on with it")
    trials: int = option(64, "trials in all, those of earlier calls included")
    heads: tuple[str, ...] = option(("lstm",), "heads to try, of " + ", ".join(HEADS))
    units: tuple[int, ...] = option((32, 64, 128), "units to try")
    differences: tuple[int, ...] = option((0,), "0: without, 1: with each frame's change, 0,1: both")
    learning_rate: tuple[float, ...] = option((3e-4, 1e-2), "lowest and highest learning rate")
    dropout: tuple[float, ...] = option((0.0, 0.6), "lowest and highest dropout")
    weight_decay: tuple[float, ...] = option((1e-6, 1e-1), "lowest and highest weight decay")
    sampler: Literal["tpe", "random", "grid"] = option("tpe", "how values are proposed")
    points: int = option(3, "for the grid: values of each range")
    split: SplitKind = option(SplitConfig.kind, "the split whose validation part decides; its test part is never read")
    split_csv: Path | None = option(None, "for the split csv: a file with the columns id and part")
    split_seed: int = option(SplitConfig.seed, "seed of the split")
    val: float = option(SplitConfig.val, "share that validates, taken out of train by person")
    dense: int = option(64, "units of the dense layer")
    components: int = option(256, "principal components to learn from; 0 takes the features themselves")
    batch: int = option(32, "clips a batch")
    epochs: int = option(54, "epochs at most")
    patience: int = option(8, "epochs without a lower validation loss after which a trial stops")
    first_rung: int = option(3, "epochs after which the worse trials are first ended; later at factor times that")
    factor: int = option(3, "one in so many trials goes on at each rung")
    best: int = option(3, "how many of the best become run folders")
    places: int = option(8, "trials trained side by side")
    seed: int = option(0, "seed of the proposals; trial N trains with this seed + N")
    storage: str | None = option(None, "URL of the study's storage, which several machines may share")
    adopt: bool = option(False, "with --storage: take over trials that others began and left")
    backend: Literal["loky", "ray", "dask"] = option("loky", "joblib's backend for shapes of heads side by side")
    jobs: int = option(1, "shapes of heads trained at the same time, each in a process of its own")

    @property
    def split_config(self) -> SplitConfig:
        """The fields that decide the split."""
        return SplitConfig(self.split, self.split_seed, self.val, self.split_csv)

    @property
    def space(self) -> "Space":
        """The fields that say what is tried."""
        from train.sweep.study import Space

        change = tuple(bool(number) for number in self.differences)
        return Space(self.heads, self.units, change, self.learning_rate, self.dropout, self.weight_decay)

    @property
    def folder(self) -> Path:
        """Where the sweep keeps its things."""
        return self.sweeps / self.name

    def study_config(self) -> "StudyConfig":
        """The fields that decide the study."""
        from train.sweep.study import StudyConfig

        storage = self.storage or f"sqlite:///{(self.folder / 'study.db').resolve()}"
        return StudyConfig(self.name, storage, self.sampler, self.points, self.first_rung, self.factor, self.seed)

    def fit_config(self, values: dict[str, Any], seed: int) -> FitConfig:
        """Returns the run that trains as the trial with `values` and `seed` did."""
        shared = ("features", "runs", "split", "split_csv", "split_seed", "val", "dense", "batch", "epochs", "patience")
        return FitConfig(
            **{name: getattr(self, name) for name in shared}, components=self.components, seed=seed, **values
        )


def sweep(config: SweepConfig) -> Path:
    """Tries heads until there are `trials`, writes the leaderboard and the best as runs; returns the sweep's folder.

    A UserError says what cannot be swept.
    """
    from train.sweep.study import alone, as_values, importances, open_study, results

    _check(config)
    training_set = _training_set(config)
    _require_validation(training_set)
    config.folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    with alone(config.folder):
        learnt = _try_all(config, training_set)
        study = open_study(config.study_config(), _made_for(config, training_set))
        ranked = results(study)
        told = {
            "config": as_values(config),
            "made_for": _made_for(config, training_set),
            "importances": importances(study),
        }
        told |= {"seconds": round(time.perf_counter() - start, 1)}
        folders = _write_best(config, training_set, ranked, learnt)
        write_leaderboard(config.folder, ranked, told | {"runs": [str(folder) for folder in folders]})
    return config.folder


def _check(config: SweepConfig) -> None:
    if Path(config.name).name != config.name or config.name.startswith("."):
        raise UserError(f"--name {config.name!r} is not the name of a folder; give one such as sweep-1.")
    for name, least, most in (("learning_rate", 1e-9, 1.0), ("dropout", 0.0, 0.99), ("weight_decay", 1e-12, 10.0)):
        _check_range(name, getattr(config, name), least, most)
    if not (config.heads and config.units and config.differences) or set(config.differences) - {0, 1}:
        raise UserError("--heads, --units and --differences need a value each, differences of 0 and 1; mend the flag.")
    numbers = (config.trials, config.points, config.first_rung, config.best, config.places, config.jobs)
    if min(numbers) < 1 or config.factor < 2:
        raise UserError(
            "trials, points, first-rung, best, places and jobs have to be 1 or above, factor 2 or above; mend the flag."
        )
    for group in config.space.groups:
        check(config.fit_config(group, config.seed))
    shapes, points = len(config.space.groups), len(config.space.grid(config.points))
    if config.sampler == "grid" and config.trials != shapes * points:
        raise UserError(
            f"a grid of {shapes} shapes and {points} points each has {shapes * points} trials, not {config.trials}; "
            f"give --trials {shapes * points}."
        )


def _check_range(name: str, values: tuple[float, ...], least: float, most: float) -> None:
    flag = "--" + name.replace("_", "-")
    if len(values) != 2 or not least <= values[0] <= values[1] <= most:
        shown = ",".join(f"{value:g}" for value in values)
        raise UserError(f"{flag} {shown} is no range within {least:g} to {most:g}; give LOWEST,HIGHEST.")


def _require_validation(training_set: TrainingSet) -> None:
    labels = set(training_set.contents.labels[training_set.val].tolist())
    if len(labels) < 2:
        raise UserError(
            f"the {training_set.split.kind} split has {len(training_set.val)} validation videos, which a sweep needs of both "
            "classes to choose by; take another --split, a larger --val, or your own parts with --split csv."
        )


@functools.lru_cache(maxsize=1)
def _training_set(config: SweepConfig) -> TrainingSet:
    return gather(config.features, config.split_config)


def _made_for(config: SweepConfig, training_set: TrainingSet) -> dict[str, Any]:
    """Returns what all trials of a study have in common."""
    from train.sweep.study import as_values

    names = ("dense", "components", "batch", "epochs", "patience", "first_rung", "factor", "seed", "sampler", "points")
    parts = repr(
        [
            (record.id, part)
            for record, part in zip(training_set.contents.records, training_set.split.parts, strict=True)
        ]
    )
    clips = hashlib.sha256(parts.encode()).hexdigest()[:12]
    known = {"features": training_set.contents.store.fingerprint, "videos and parts": clips}
    return known | {name: getattr(config, name) for name in names} | as_values(config.space)


def _try_all(config: SweepConfig, training_set: TrainingSet) -> "dict[int, HeadProgress]":
    """Trains what is missing; returns how the best of it went, by number of the trial."""
    import joblib

    from train.sweep.study import open_study

    open_study(config.study_config(), _made_for(config, training_set))
    groups = config.space.groups
    counts = [config.trials // len(groups) + (number < config.trials % len(groups)) for number in range(len(groups))]
    with joblib.parallel_config(config.backend if config.jobs > 1 else "loky", n_jobs=config.jobs):
        learnt: Any = joblib.Parallel()(
            joblib.delayed(try_group)(config, group, count) for group, count in zip(groups, counts, strict=True)
        )
    return {number: progress for found in learnt for number, progress in found.items()}


def try_group(config: SweepConfig, group: "Group", count: int) -> "dict[int, HeadProgress]":
    """Trains trials of one shape until there are `count` in the study; returns how the best of them went, by number."""
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
        print(f"memory is short: going on with {slots} trials side by side.")


def _train_trials(
    config: SweepConfig, trials: "Trials", inputs: "Inputs", slots: int, best: "dict[int, HeadProgress]"
) -> None:
    """Trains trials until there are none left; `best` always holds the best that are complete."""
    from optuna.trial import TrialState
    from tqdm import tqdm

    from train.heads.training import learn_many

    training_set = _training_set(config)
    reals, fakes = np.bincount(training_set.contents.labels[training_set.val], minlength=2).tolist()
    watched: dict[HeadJob, _Watched] = {}
    learnt = learn_many(_jobs(config, trials, watched), inputs, training_set.train, training_set.val, slots)
    for job, progress in tqdm(learnt, total=trials.left, unit="trial", desc=trials.title, mininterval=0.5):
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
    """A trial in training, which is halved at its rungs (Jamieson & Talwalkar, AISTATS 2016; Li et al., MLSys 2020)."""

    def __init__(self, trial: "Trial", config: SweepConfig) -> None:
        self.trial, self.pruned = trial, False
        steps = (config.first_rung * config.factor**rung for rung in range(32))
        self._rungs = {step for step in steps if step < config.epochs}
        self._reported = set(trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values)

    def __call__(self, progress: "HeadProgress") -> bool:
        """Reports to the study at a rung; False ends the trial."""
        if progress.epochs not in self._rungs:
            return True
        if progress.epochs not in self._reported:
            self.trial.report(progress.best_value("val_auc"), progress.epochs)
        self.pruned = self.trial.should_prune()
        return not self.pruned


def _result(progress: "HeadProgress", seed: int, reals: int, fakes: int) -> dict[str, Any]:
    found = {"seed": seed, "epochs": progress.epochs, "best_epoch": progress.best, "reason": progress.broken}
    if not progress.best:
        return found
    auc = progress.best_value("val_auc")
    error = auc_error(auc, reals, fakes)
    return found | {"val_auc": auc, "val_auc_error": error, "val_loss": progress.best_value("val_loss")}


def _write_best(
    config: SweepConfig, training_set: TrainingSet, ranked: list[dict[str, Any]], learnt: "dict[int, HeadProgress]"
) -> list[Path]:
    made_for = {"sweep": config.name, **_made_for(config, training_set)}
    winners = [
        Winner(
            row["trial"],
            config.fit_config({name: row[name] for name in VALUES}, row["seed"]),
            made_for | {"trial": row["trial"]},
            learnt.get(row["trial"]),
        )
        for row in ranked[: config.best]
        if row["state"] == "complete"
    ]
    return write_winners(config.runs, config.name, winners, training_set)
