"""What training heads is given and gives back: how a head is trained, in which fold, and how far it has come."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from train.data.inputs import Inputs
from train.heads.architectures import HeadConfig


@dataclass(frozen=True)
class LearnConfig:
    """How a head is trained; `train.fit.FitConfig` explains each field."""

    learning_rate: float
    batch: int
    epochs: int
    patience: int
    fixed_epochs: int
    class_weights: bool
    seed: int
    weight_decay: float = 0.0
    components: int = 0


History = dict[str, list[float]]
"""By epoch: `loss`, and with validation `val_loss` (weighted binary cross-entropy, nats per clip) and `val_auc`."""

Watch = Callable[["HeadProgress"], bool]
"""Called with a head's progress after each epoch but its last; returning False ends its training."""

Note = Callable[["HeadProgress"], object]
"""Called with a head's progress after each epoch."""


@dataclass
class HeadProgress:
    """A head in training: its losses so far, and the epoch and weights that were best on validation.

    Epochs count from 1. A head that starts from the baseline has an epoch 0, the baseline itself.
    """

    first: int = 1
    """The epoch of the history's first values."""
    history: History = field(default_factory=lambda: {"loss": []})
    best: int | None = None
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    broken: str = ""
    """Why training had to end early, if the loss stopped being finite."""
    seconds: float = 0.0
    """How long its epochs took, including the heads trained beside it."""
    tested: np.ndarray | None = None
    """The logits, float64 (R,), of the test clips of its fold, by the weights that are kept."""

    @property
    def epochs(self) -> int:
        """How many epochs are done."""
        return max(0, self.first + len(self.history["loss"]) - 1)

    def best_value(self, name: str) -> float:
        """Returns the value of `name` in the epoch whose weights are kept."""
        assert self.best is not None, "no epoch was good"
        return self.history[name][self.best - self.first]


@dataclass(frozen=True, eq=False)
class HeadJob:
    """A head to train, how to train it, who watches it, the number of the fold that it learns in, and who looks on."""

    head: HeadConfig
    learn: LearnConfig
    watch: Watch = lambda _: True
    fold: int = 0
    note: Note = lambda _: None


@dataclass(frozen=True, eq=False)
class Fold:
    """The inputs of heads, fitted on `train`, and rows of clips; the finished head judges those of `test`."""

    inputs: Inputs
    train: np.ndarray
    val: np.ndarray
    test: np.ndarray = field(default_factory=lambda: np.arange(0))
