"""A head that was just trained, into its run folder."""

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from cache.store import read_origin
from cache.weights import require_room_for
from train.data.audit import entry_of
from train.data.split import DROPPED
from train.data.training_set import TrainingSet
from train.heads.architectures import HeadConfig
from train.runs.contents import RunContents, numbered_history, write_run
from train.runs.folder import MODEL_H5, MODEL_KERAS, WEIGHTS
from train.runs.predictions import Predictions, predictions_of, split_rows
from train.runs.replay import head_replay
from train.runs.saved_weights import once

if TYPE_CHECKING:
    import keras

    from train.heads.training import History


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


def write_trained(
    folder: Path,
    config: Any,
    training_set: TrainingSet,
    trained: Trained,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> Path:
    """Writes the run `folder` of a head trained on `training_set` as the dataclass `config` says; returns `folder`.

    `more` is added to its config.json.
    """

    def save(into: Path) -> RunContents:
        save_head(trained.head, into)
        return RunContents(
            config={**_recipe(config, training_set, trained), **more},
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
    return predictions_of(records, parts, probabilities, contents.seen[used])


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


def _audit(training_set: TrainingSet) -> dict[str, Any]:
    split = training_set.split
    return {
        "split": split.kind,
        "dropped": split.parts.count(DROPPED),
        "notes": split.notes,
        **entry_of(training_set.findings),
    }


def _recipe(config: Any, training_set: TrainingSet, trained: Trained) -> dict[str, Any]:
    """Returns everything needed to repeat the run, and to rebuild its head."""
    store, arrays = training_set.contents.store, training_set.contents.arrays
    row = training_set.used[most_telling(trained.probabilities)]
    return {
        "config": dataclasses.asdict(config),
        "features": store.folder,
        "head": dataclasses.asdict(trained.shape),
        "size": arrays.shape[2],
        "profile": dataclasses.asdict(store.profile),
        "fingerprint": store.fingerprint,
        "origin": read_origin(store.folder),
        "replay": replay_entry(trained.head, arrays[row], training_set.contents.mask[row]),
    }


def replay_entry(head: "keras.Model", array: np.ndarray, mask: np.ndarray) -> dict[str, Any]:
    """Returns the entry of config.json on a clip, (12, D) with its mask (12,), by which damage to the head shows."""
    return dataclasses.asdict(head_replay(once(head), array[mask].mean(axis=0, dtype=np.float32)))


def most_telling(probabilities: np.ndarray) -> int:
    """Returns which of the clips with these `probabilities` shows damage best: near 0.5 the output moves most."""
    return int(np.argmin(np.abs(np.nan_to_num(probabilities) - 0.5)))
