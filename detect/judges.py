"""What a run judges: a clip's features, by backbone and head, or its crops, by a network over them."""

import functools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from cache.profile import FeatureProfile, fingerprint
from cache.schema import OK, Row, UserError, mask_of
from extract.backbone import require_weights
from extract.engine import Engine, make_engine
from extract.rows import Clock, rows_with_features
from train.cnn3d import load_cnn3d
from train.ensemble import Mixture, read_mixture
from train.runs import CONFIG, CROPS, ENSEMBLE, Run, load_head, read_config, read_run

if TYPE_CHECKING:
    import keras


class Judge(Protocol):
    """A run brought to life, behind the two calls that a detector needs; `judged` names what it judges."""

    judged: str

    def arrays(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Turns rows of crops into rows of what it judges."""
        ...

    def probability(self, array: np.ndarray, status: np.ndarray) -> float:
        """Returns the probability of fake of one clip: an array of such a row, and the frame status uint8 (12,)."""
        ...


def bring_to_life(folder: Path, weights: str | None = None) -> Judge:
    """Returns the judge that the run in `folder` makes; `weights` are its backbone's, if they have moved."""
    config, profile = read_config(folder)
    if isinstance(profile, FeatureProfile):
        return FeatureJudge(read_run(folder), weights)
    if config.get("kind") == ENSEMBLE:
        members, mixture = read_mixture(config.get("ensemble"), folder / CONFIG)
        return EnsembleJudge([bring_to_life(member, weights) for member in members], mixture)
    if weights:
        raise UserError(f"{folder} judges crops without a backbone; leave out --weights.")
    return CropJudge(load_cnn3d(folder, config))


class FeatureJudge:
    """Judges features float16 (12, D): the run's backbone makes them, its head says what they mean."""

    def __init__(self, run: Run, weights: str | None) -> None:
        weights = weights or run.weights
        require_weights(weights, run.profile.weights, run.folder)
        # Keras, which the head needs anyway: converting to a faster engine takes longer than a few clips do.
        self._engine = _engine(run.profile.backbone, weights, run.profile.precision)
        self.judged = fingerprint(run.profile)
        self._head = load_head(run, run.profile)

    def arrays(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Turns rows of crops into rows of features."""
        return rows_with_features(rows, self._engine, Clock())

    def probability(self, array: np.ndarray, status: np.ndarray) -> float:
        """Returns the probability of fake of features float16 (12, D) with frame status uint8 (12,)."""
        inputs = {"features": array[None].astype(np.float32), "mask": mask_of(status)[None]}
        return float(np.asarray(self._head.predict_on_batch(inputs))[0, 0])


@functools.lru_cache(maxsize=4)
def _engine(backbone: str, weights: str, precision: str) -> Engine:
    """Returns one engine for all members of an ensemble that need it."""
    return make_engine(backbone, weights, 0, precision, "keras")


class CropJudge:
    """Judges crops uint8 (12, 160, 160, 3) as they are."""

    judged = CROPS

    def __init__(self, network: "keras.Model") -> None:
        self._network = network

    def arrays(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Passes `rows` on."""
        yield from rows

    def probability(self, array: np.ndarray, status: np.ndarray) -> float:
        """Returns the probability of fake of crops uint8 (12, 160, 160, 3) with frame status uint8 (12,)."""
        inputs = {"crops": array[None], "mask": mask_of(status)[None]}
        return float(np.asarray(self._network.predict_on_batch(inputs))[0, 0])


class EnsembleJudge:
    """Judges crops by its members, each by what it judges; features that several of them judge are made once."""

    judged = CROPS

    def __init__(self, members: Sequence[Judge], mixture: Mixture) -> None:
        self._members, self._mixture = members, mixture

    def arrays(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Passes `rows` on."""
        yield from rows

    def probability(self, array: np.ndarray, status: np.ndarray) -> float:
        """Returns the probability of fake of crops uint8 (12, 160, 160, 3) with frame status uint8 (12,)."""
        nothing = np.zeros(len(status))
        row, made = Row("", 0, 0, OK, "", status, nothing, nothing, array), {}
        for member in self._members:
            if member.judged not in made:
                (made[member.judged],) = (found.array for found in member.arrays([row]))
        said = [member.probability(made[member.judged], status) for member in self._members]
        return float(self._mixture(np.array(said)[:, None])[0])
