"""The study of a sweep: its trials, stored by Optuna so that a killed sweep can resume and machines can share one.

Akiba et al., "Optuna: A Next-generation Hyperparameter Optimization Framework", KDD 2019.
"""

import contextlib
import itertools
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.pool import NullPool

from base.commands import flag
from base.errors import UserError
from base.temporary import lock
from train.runs.live import lasting
from train.sweep.storage import storage_errors

SamplerName = Literal["tpe", "random", "grid"]
Group = dict[str, Any]
"""The values that the trials of one stack share: head, units, differences."""

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
MADE_FOR, RESULT = "made_for", "result"
START_UP = 10
EARLIER = {"start": "nothing", "folds": 1, "data_set_weights": False}
"""What the trials of studies have in common that were made before there was a choice."""


@dataclass(frozen=True)
class Space:
    """The search space: choices, and ranges (low, high); learning rate and weight decay are drawn on a log scale."""

    heads: tuple[str, ...]
    units: tuple[int, ...]
    differences: tuple[bool, ...]
    learning_rate: tuple[float, ...]
    dropout: tuple[float, ...]
    weight_decay: tuple[float, ...]

    @property
    def groups(self) -> list[Group]:
        """Every shape of head in the space."""
        shapes = itertools.product(self.heads, self.units, self.differences)
        return [{"head": head, "units": units, "differences": change} for head, units, change in shapes]

    def suggest(self, trial: Trial) -> dict[str, Any]:
        """Returns the values of `trial`."""
        return {
            "head": trial.suggest_categorical("head", self.heads),
            "units": trial.suggest_categorical("units", self.units),
            "differences": trial.suggest_categorical("differences", self.differences),
            "learning_rate": trial.suggest_float("learning_rate", *self.learning_rate, log=True),
            "dropout": trial.suggest_float("dropout", *self.dropout),
            "weight_decay": trial.suggest_float("weight_decay", *self.weight_decay, log=True),
        }

    def grid(self, points: int) -> list[dict[str, float]]:
        """Returns every combination of `points` values per range."""
        logarithmic = {"learning_rate": self.learning_rate, "weight_decay": self.weight_decay}
        axes = {name: np.geomspace(low, high, points) for name, (low, high) in logarithmic.items()}
        axes["dropout"] = np.linspace(self.dropout[0], self.dropout[1], points)
        values = (sorted(set(np.clip(axis, *getattr(self, name)).tolist())) for name, axis in axes.items())
        return [dict(zip(axes, point, strict=True)) for point in itertools.product(*values)]


@dataclass(frozen=True)
class StudyConfig:
    """Where the study is stored and how it proposes values."""

    name: str
    storage: str
    sampler: SamplerName
    points: int
    first_rung: int
    factor: int
    seed: int


def open_study(config: StudyConfig, made_for: Mapping[str, Any], sampler: optuna.samplers.BaseSampler | None = None):
    """Returns the study, created if absent; raises a UserError if it cannot be opened or was made for something else.

    `made_for` holds the settings and data that all trials share; the error names the values that differ.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with storage_errors(config.storage, Exception):
        study = optuna.create_study(
            study_name=config.name,
            # Without a pool each connection is closed after use, and not left to Python's end.
            storage=optuna.storages.RDBStorage(config.storage, {"poolclass": NullPool}),
            direction="maximize",
            load_if_exists=True,
            sampler=sampler or optuna.samplers.RandomSampler(config.seed),
            pruner=optuna.pruners.SuccessiveHalvingPruner(config.first_rung, config.factor),
        )
        stored = study.user_attrs.get(MADE_FOR)
    wanted = json.loads(json.dumps(made_for))
    if stored is None:
        study.set_user_attr(MADE_FOR, wanted)
    elif (stored := EARLIER | stored) != wanted:
        difference = _difference(stored, wanted)
        raise UserError(f"the study {config.name} was made for {difference}; choose another {flag('name')}.")
    return study


def _difference(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    names = [name for name in wanted if stored.get(name) != wanted[name]]
    return " and ".join(f"{name} {stored.get(name)}, and this sweep has {wanted[name]}" for name in names)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Locks the sweep's folder, so unfinished trials belong to no live process; raises a UserError if it is in use."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        lock(descriptor, folder)
        yield
    except BlockingIOError:
        raise UserError(
            f"{folder} is in use by another sweep; wait for it to end, or choose another {flag('name')}."
        ) from None
    finally:
        os.close(descriptor)


class Trials:
    """The trials of one group: first the unfinished ones, then new ones until there are `count`."""

    def __init__(self, study: optuna.Study, config: StudyConfig, space: Space, group: Group, count: int) -> None:
        self._study, self._config, self._space, self._group, self._count = study, config, space, group, count
        self._grid = space.grid(config.points) if config.sampler == "grid" else []
        self._open: dict[int, Trial] = {}

    def adopt(self) -> None:
        """Takes over unfinished trials of this group, and up to `count` that have no group yet."""
        for frozen in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            room = len(self._of_group()) < self._count
            if self._belongs(frozen) or (room and not self._group.keys() <= frozen.params.keys()):
                seed = self._config.seed + frozen.number
                self._study.sampler = self._sampler(seed)
                self._open[frozen.number] = Trial(self._study, frozen._trial_id)
                self._space.suggest(self._open[frozen.number])

    @property
    def title(self) -> str:
        """The group as text for people."""
        return f"{self._group['head']} units {self._group['units']}" + " differences" * self._group["differences"]

    @property
    def results(self) -> list[dict[str, Any]]:
        """The trials of the whole study that have ended, see `results`."""
        return results(self._study)

    @property
    def left(self) -> int:
        """How many trials have not ended yet."""
        return self._count - len(self._of_group(FINISHED))

    def __iter__(self) -> Iterator[tuple[Trial, dict[str, Any]]]:
        """Yields trials with their values, starting with those that were yielded before but have not ended."""
        for trial in list(self._open.values()):
            yield trial, self._space.suggest(trial)
        while len(self._of_group()) < self._count:
            trial = self._ask()
            self._open[trial.number] = trial
            yield trial, self._space.suggest(trial)

    def tell(self, trial: Trial, state: TrialState, result: Mapping[str, Any]) -> None:
        """Ends a trial and stores its `result`."""
        del self._open[trial.number]
        trial.set_user_attr(RESULT, dict(result))
        self._study.tell(trial, result["val_auc"] if state == TrialState.COMPLETE else None, state)

    def _ask(self) -> Trial:
        seed = self._config.seed + len(self._study.get_trials(deepcopy=False))
        self._study.sampler = self._sampler(seed)
        trial = self._study.ask()
        self._space.suggest(trial)
        return trial

    def _fixed(self) -> dict[str, Any]:
        """Returns the values that the sampler does not choose: the group, and in a grid the first untried point."""
        tried = [trial.params for trial in self._of_group()]
        free = (point for point in self._grid if not any(point.items() <= params.items() for params in tried))
        return self._group | next(free, {})

    def _sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        """Returns the sampler of all values that are not fixed."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # it has been that since 2020
            if self._config.sampler == "tpe":
                free = optuna.samplers.TPESampler(seed=seed, n_startup_trials=START_UP)
            else:
                free = optuna.samplers.RandomSampler(seed)
            return optuna.samplers.PartialFixedSampler(self._fixed(), free)

    def _of_group(self, states: tuple[TrialState, ...] | None = None) -> list[FrozenTrial]:
        return [trial for trial in self._study.get_trials(deepcopy=False, states=states) if self._belongs(trial)]

    def _belongs(self, trial: FrozenTrial) -> bool:
        return self._group.items() <= trial.params.items()


def results(study: optuna.Study) -> list[dict[str, Any]]:
    """Returns the finished trials: number, state, values and result of each."""
    return [
        {"trial": trial.number, "state": trial.state.name.lower(), **trial.params, **trial.user_attrs.get(RESULT, {})}
        for trial in study.get_trials(deepcopy=False, states=FINISHED)
    ]


def importances(study: optuna.Study) -> dict[str, float]:
    """Returns the share of the variance between trials that each value explains; empty for too few trials.

    Hutter et al., "An Efficient Approach for Assessing Hyperparameter Importance", ICML 2014.
    """
    values = {trial.value for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))}
    if len(values) < 2:
        return {}
    return optuna.importance.get_param_importances(study)


def as_values(config: Any) -> dict[str, Any]:
    """Returns a dataclass as plain JSON values for the study."""
    return json.loads(json.dumps(lasting(config), default=str))
