"""Batches for Keras from features that stay resident as float16; only the current batch is float32."""

from dataclasses import dataclass

import keras
import numpy as np


@dataclass(frozen=True, eq=False)
class Clips:
    """The clips of a store: `features` float16 (N, 12, D), `mask` bool (N, 12), `labels` int64 (N,)."""

    features: np.ndarray
    mask: np.ndarray
    labels: np.ndarray


class FeatureBatches(keras.utils.PyDataset):
    """The clips `rows` of `clips`, in their order, as batches of a head's inputs."""

    def __init__(self, clips: Clips, rows: np.ndarray, batch: int) -> None:
        super().__init__()
        self._clips = clips
        self._batches = np.array_split(rows, -(-len(rows) // batch))

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray]]:
        rows = self._batches[index]
        return ({"features": self._clips.features[rows].astype(np.float32), "mask": self._clips.mask[rows]},)


def balanced_weights(labels: np.ndarray) -> np.ndarray:
    """Returns float64 (2,): weights of real and fake that balance the classes, with a mean over clips of 1."""
    return len(labels) / (2 * np.bincount(labels, minlength=2))
