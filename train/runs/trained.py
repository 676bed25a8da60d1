"""A head that was just trained, into its run folder."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cache.profile import Profile
from cache.store import Origin, read_origin
from cache.weights import require_room_for
from train.data.audit import Audit, audit_of
from train.data.split import DROPPED
from train.data.training_set import TrainingSet
from train.heads.architectures import HeadConfig
from train.runs.contents import RunContents, numbered_history, write_run
from train.runs.folder import MODEL_H5, MODEL_KERAS, WEIGHTS
from train.runs.live import lasting
from train.runs.neighbours_file import write_neighbours
from train.runs.predictions import Predictions, predictions_of, split_rows
from train.runs.recipe import DataSet, RunConfig
from train.runs.replay import Replay, head_replay, once

if TYPE_CHECKING:
    import keras

    from train.heads.jobs import History


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained head, its losses, and its and the baseline's probabilities, float (R,), for the clips of any part."""

    shape: HeadConfig
    head: "keras.Model"
    history: "History"
    probabilities: np.ndarray
    baseline: np.ndarray
    seconds: float
    first_epoch: int = 1


def write_trained(folder: Path, config: Any, training_set: TrainingSet, trained: Trained, trial: Any = None) -> Path:
    """Writes the run `folder` of a head trained on `training_set` as the dataclass `config` says; returns `folder`.

    `trial` says which one of a sweep it is.
    """

    def save(into: Path) -> RunContents:
        save_head(trained.head, into)
        write_neighbours(training_set.neighbours[0], into)
        return RunContents(
            config=_config(config, training_set, trained, trial),
            split=split_rows(training_set.contents.records, training_set.split.parts),
            audit=_audit(training_set),
            history=numbered_history(trained.history, trained.first_epoch),
            predictions=_predictions(training_set, trained.probabilities),
            baseline=_predictions(training_set, trained.baseline),
            seconds=trained.seconds,
        )

    return write_run(folder, save)


def _predictions(training_set: TrainingSet, probabilities: np.ndarray) -> Predictions:
    used, contents = training_set.used, training_set.contents
    records, parts = [contents.records[row] for row in used], training_set.parts[used].tolist()
    distances = training_set.neighbours[1][used]
    return predictions_of(records, parts, probabilities, contents.seen[used], distances)


def save_head(head: "keras.Model", folder: Path, weights: str = WEIGHTS) -> None:
    """Writes the file `weights`, and the whole network as `model.keras` and `model.h5` for others to load."""
    require_room_for(head, folder, files=3)
    head.save_weights(folder / weights)
    head.save(folder / MODEL_KERAS)
    # Keras warns at each save that HDF5 is a legacy format; here it is wanted.
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        head.save(folder / MODEL_H5)
    finally:
        logger.setLevel(level)


def _audit(training_set: TrainingSet) -> Audit:
    split = training_set.split
    return audit_of(split.kind, split.parts.count(DROPPED), split.notes, training_set.findings)


def _config(config: Any, training_set: TrainingSet, trained: Trained, trial: Any) -> RunConfig[Profile]:
    contents = training_set.contents
    arrays, row = contents.arrays, training_set.used[most_telling(trained.probabilities)]
    several = len(contents.stores) > 1
    return RunConfig(
        config=lasting(config),
        features=None if several else str(contents.folders[0]),
        data_sets=[DataSet(one.data_set, one.folder, one.fingerprint) for one in contents.stores if several],
        head=trained.shape,
        size=arrays.shape[2],
        profile=contents.profile,
        fingerprint=contents.fingerprint,
        origin=_origin(contents.folders),
        replay=replay_of(trained.head, arrays[row], contents.mask[row]),
        baseline=training_set.baseline.summary,
        trial=trial,
    )


def _origin(folders: Sequence[Path]) -> Origin:
    """Returns the origin of the features in `folders`: of several, the first one's, without where its videos lay."""
    first, *others = map(read_origin, folders)
    return replace(first, data="", drawn=any(one.drawn for one in (first, *others))) if others else first


def replay_of(head: "keras.Model", array: np.ndarray, mask: np.ndarray) -> Replay:
    """Returns the clip by which damage to the head shows, made of another, (12, D) with its mask (12,)."""
    return head_replay(once(head), array[mask].mean(axis=0, dtype=np.float32))


def most_telling(probabilities: np.ndarray) -> int:
    """Returns which of the clips with these `probabilities` shows damage best: near 0.5 the output moves most."""
    return int(np.argmin(np.abs(np.nan_to_num(probabilities) - 0.5)))
