"""What judges a clip: a backbone and a head, a network over crops, or several of them; whatever runs their networks."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from cache.schema import UserError
from extract.backbones.engines import Engine
from extract.steps import features_of

Network = Callable[[Mapping[str, np.ndarray]], np.ndarray]
"""A network: its inputs by name, N clips each, to the probability of fake, float (N, 1)."""

CROPS = "crops"
"""What a judge without an engine judges."""


class Judge(Protocol):
    """What a detector needs of a run: `judged` names what it judges.

    `engine` makes features float16 (N, 12, D) of crops and is None where the crops themselves are judged.
    """

    judged: str
    engine: Engine | None

    def probabilities(self, arrays: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """Returns the probabilities of fake, float64 (N,), of N clips' features or crops with masks bool (N, 12)."""
        ...


class FeatureJudge:
    """Judges features: `engine` makes them, the network `head` says what they mean."""

    def __init__(self, engine: Engine, head: Network, judged: str) -> None:
        self.engine: Engine | None = engine
        self.judged = judged
        self._head = head

    def probabilities(self, arrays: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """Returns float64 (N,) for features float16 (N, 12, D) and masks bool (N, 12)."""
        return _said(self._head, {"features": arrays.astype(np.float32), "mask": masks})


class CropJudge:
    """Judges crops uint8 (N, 12, 160, 160, 3) as they are."""

    judged = CROPS
    engine: Engine | None = None

    def __init__(self, network: Network) -> None:
        self._network = network

    def probabilities(self, arrays: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """Returns float64 (N,) for crops uint8 (N, 12, 160, 160, 3) and masks bool (N, 12)."""
        return _said(self._network, {"crops": arrays, "mask": masks})


class EnsembleJudge:
    """Judges crops by its members, each by what it judges; features that several of them judge are made once."""

    judged = CROPS
    engine: Engine | None = None

    def __init__(self, members: Sequence[Judge], mixture: Callable[[np.ndarray], np.ndarray]) -> None:
        """`mixture` makes the members' probabilities (M, N) one, (N,)."""
        self._members, self._mixture = members, mixture

    def probabilities(self, arrays: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """Returns float64 (N,) for crops uint8 (N, 12, 160, 160, 3) and masks bool (N, 12)."""
        made: dict[str, np.ndarray] = {}
        for member in self._members:
            if member.judged not in made:
                made[member.judged] = features_of(arrays, masks, member.engine) if member.engine else arrays
        return self._mixture(np.array([member.probabilities(made[member.judged], masks) for member in self._members]))


def _said(network: Network, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    said = np.asarray(network(inputs), np.float64)[:, 0]
    if not np.isfinite(said).all():
        raise UserError(
            "the run's network says no number of a clip; its weights are damaged: train or export it again."
        )
    return said
