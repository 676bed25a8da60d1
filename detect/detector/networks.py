"""Scorers turn a clip's crops or features into its probability of fake; they do not know what runs their networks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from base.commands import command, flag
from base.errors import UserError
from extract.backbones.engines import Engine
from extract.steps import features_of
from train.data.neighbours import Distances, Neighbours
from train.runs.replay import Network

if TYPE_CHECKING:
    import keras

CROPS = "crops"
"""The input of a scorer without an engine."""


@dataclass(frozen=True, eq=False)
class Scores:
    """Of N clips: the `probabilities` of fake, float64 (N,), and how far they are from what the run was trained on.

    `distances` are None where the run does not know.
    """

    probabilities: np.ndarray
    distances: Distances | None = None


class Scorer(Protocol):
    """Gives clips their probability of fake.

    `engine` makes the features float16 (N, 12, D) that are scored; it is None where the crops themselves are.
    `input_kind` names what is scored: `CROPS`, or the fingerprint of the features. `neighbours` are the training clips
    of the run, None where it kept none, or several runs have their own.
    """

    input_kind: str
    engine: Engine | None
    neighbours: Neighbours | None

    def score(self, arrays: np.ndarray, regions: np.ndarray, masks: np.ndarray) -> Scores:
        """Returns the scores of N clips' features or crops.

        `regions` uint8 (N, 12, 4) are the faces in the crops, `masks` bool (N, 12) the frames that exist.
        """
        ...


class FeatureScorer:
    """Scores the features that `engine` makes, by the network `head` and their distance from the training clips."""

    def __init__(self, engine: Engine, head: Network, input_kind: str, neighbours: Neighbours | None = None) -> None:
        self.engine: Engine | None = engine
        self.input_kind = input_kind
        self._head, self.neighbours = head, neighbours

    def score(self, arrays: np.ndarray, regions: np.ndarray, masks: np.ndarray) -> Scores:
        """Returns scores for features float16 (N, 12, D), in which the regions are contained, and masks."""
        del regions
        if not np.isfinite(arrays).all():
            raise UserError(
                "the run's backbone gave a clip features that are not finite, or above 65,504, so its weights are "
                f"damaged; give others with {flag('weights', '...')}, or extract and train again."
            )
        if self.neighbours and len(self.neighbours.centre) != arrays.shape[2]:
            raise UserError(
                f"the run's training clips have {len(self.neighbours.centre)} features a frame and its backbone gives "
                f"{arrays.shape[2]}, so they are of another run; train it again."
            )
        probabilities = _run(self._head, {"features": arrays.astype(np.float32), "mask": masks})
        return Scores(probabilities, self.neighbours and self.neighbours.distances(arrays, masks))


class CropScorer:
    """Scores crops by one network that takes them as they are."""

    input_kind = CROPS
    engine: Engine | None = None
    neighbours: Neighbours | None = None

    def __init__(self, network: Network, regions: bool = False) -> None:
        """`regions` says whether the network has an input for the faces' regions."""
        self._network, self._regions = network, regions

    def score(self, arrays: np.ndarray, regions: np.ndarray, masks: np.ndarray) -> Scores:
        """Returns scores for crops uint8 (N, 12, 160, 160, 3), their regions and masks."""
        regions_too = {"regions": regions} if self._regions else {}
        return Scores(_run(self._network, {"crops": arrays, "mask": masks} | regions_too))


class EnsembleScorer:
    """Scores crops by several scorers; features that more than one of them takes are made once."""

    input_kind = CROPS
    engine: Engine | None = None
    neighbours: Neighbours | None = None

    def __init__(self, members: Sequence[Scorer], mixture: Callable[[np.ndarray], np.ndarray]) -> None:
        """`mixture` turns the members' probabilities (M, N) into those of the ensemble, (N,)."""
        self._members, self._mixture = members, mixture

    def score(self, arrays: np.ndarray, regions: np.ndarray, masks: np.ndarray) -> Scores:
        """Returns scores for crops uint8 (N, 12, 160, 160, 3), their regions and masks."""
        inputs: dict[str, np.ndarray] = {}
        for member in self._members:
            if member.input_kind not in inputs:
                made = features_of(arrays, regions, masks, member.engine) if member.engine else arrays
                inputs[member.input_kind] = made
        every = [member.score(inputs[member.input_kind], regions, masks) for member in self._members]
        probabilities = self._mixture(np.array([one.probabilities for one in every]))
        return Scores(_probabilities(probabilities, len(masks)), _farthest([one.distances for one in every]))


def _farthest(every: Sequence[Distances | None]) -> Distances | None:
    """Returns the largest distances from the training clips of any member, as `train.runs.ensemble` joins them."""
    known = [one for one in every if one is not None]
    if len(known) < len(every):
        return None
    mean, nearest = (np.max([getattr(one, name) for one in known], axis=0) for name in ("mean", "nearest"))
    near = np.all([one.near for one in known], axis=0)
    return Distances(mean, nearest, near, min(one.people for one in known), known[0].points)


SLACK = 1e-4
"""How far rounding may take a probability out of [0, 1]: the weights of a mixture need not sum to 1 to the last bit."""


def _run(network: Network, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    output = np.asarray(network(inputs), np.float64)
    return _probabilities(output[:, 0] if output.ndim == 2 and output.shape[1] == 1 else output, len(inputs["mask"]))


def _probabilities(values: np.ndarray, count: int) -> np.ndarray:
    """Returns `values` as the probabilities (N,) of `count` clips; a UserError if they are none."""
    if values.shape != (count,):
        raise _damaged(f"values of the shape {values.shape}")
    outside = ~((values >= -SLACK) & (values <= 1 + SLACK))  # where NaN is too
    if outside.any():
        raise _damaged(f"{values[outside][0]:g}")
    return np.clip(values, 0, 1)


def _damaged(found: str) -> UserError:
    return UserError(
        f"the run's network gave {found} where a clip's probability, 0 to 1, is due, so its weights are damaged; train "
        f"it again with {command('train')}, or export it again."
    )


def as_network(model: "keras.Model") -> Network:
    """Returns `model` as a scorer calls it; a model with one input takes it by any name."""

    def run(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        (first, *others) = inputs.values()
        return np.asarray(model.predict_on_batch(dict(inputs) if others else first))

    return run
