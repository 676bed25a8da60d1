"""A trial in training: the heads of its folds, stopped early together, and what is noted of them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from train.sweep.config import SweepConfig
from train.sweep.ranking import score

if TYPE_CHECKING:
    from optuna.trial import Trial

    from train.heads.jobs import HeadProgress


class WatchedTrial:
    """A trial of so many `folds` under successive halving (Jamieson & Talwalkar, AISTATS 2016; Li et al., MLSys 2020).

    At a rung, which the last of its heads reaches, the trial reports the mean over them.
    """

    def __init__(self, trial: "Trial", config: SweepConfig, folds: int) -> None:
        self.trial, self.pruned, self._folds = trial, False, folds
        self._progress: dict[int, HeadProgress] = {}
        self._ended: set[int] = set()
        steps = (config.first_rung * config.factor**rung for rung in range(32))
        self._rungs = [step for step in steps if step < config.epochs]
        self._reported = set(trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values)

    def look(self, fold: int, progress: "HeadProgress") -> bool:
        """Notes the progress of the head of a fold; returns False if the trial is pruned."""
        self._progress[fold] = progress
        self._decide()
        return not self.pruned

    def end(self, fold: int, progress: "HeadProgress") -> bool:
        """Notes that the head of a fold has ended; returns whether all have."""
        self._progress[fold] = progress
        self._ended.add(fold)
        if len(self._ended) == self._folds:
            return True
        self._decide()
        return False

    def _decide(self) -> None:
        """Reports to the study at a rung, and asks whether to go on."""
        if not self._rungs or self.pruned or self.broken or len(self._progress) < self._folds:
            return
        rung = self._rungs[0]
        if any(one.epochs < rung for fold, one in self._progress.items() if fold not in self._ended):
            return
        self._rungs.pop(0)
        if rung not in self._reported:
            self.trial.report(_mean([one.best_value("val_auc") for one in self._progress.values()]), rung)
        self.pruned = self.trial.should_prune()

    @property
    def broken(self) -> str:
        """Why the training of one of its heads had to end early, if one's loss stopped being finite."""
        return next((one.broken for one in self._progress.values() if one.broken), "")

    def result(self, seed: int, clips: Sequence[tuple[int, int]]) -> dict[str, Any]:
        """Returns what the study keeps of the trial; `clips` are the real and fake clips of each fold's validation."""
        heads = [self._progress[fold] for fold in range(self._folds)]
        result: dict[str, Any] = {"seed": seed, "epochs": round(_mean([one.epochs for one in heads]))}
        result |= {"best_epoch": None, "reason": self.broken}
        if any(one.best is None for one in heads):
            return result
        result["best_epoch"] = round(_mean([one.best or 0 for one in heads]))
        losses, areas = ([one.best_value(name) for one in heads] for name in ("val_loss", "val_auc"))
        return result | score(areas, losses, clips)


def _mean(values: Sequence[float]) -> float:
    """The mean of those that are defined."""
    return float(np.nanmean(values))
