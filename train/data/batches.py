"""Batches for Keras from features that stay resident as float16; only the batch at hand is float32."""

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
    """The clips `rows` of `clips` in batches: inputs of a head, labels float32 (B, 1), weights float32 (B,).

    `class_weights` float (2,) are those of real and fake. With a `seed` each epoch has an order of its own, which
    follows from seed and epoch alone; without one the order is that of `rows`.
    """

    def __init__(
        self,
        clips: Clips,
        rows: np.ndarray,
        batch: int,
        class_weights: np.ndarray | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        self._clips, self._rows, self._seed, self._epoch = clips, rows, seed, 0
        self._class_weights = np.ones(2) if class_weights is None else class_weights
        # Batches of nearly one size: batch normalisation cannot learn from a last batch of one clip.
        self._count = -(-len(rows) // batch)
        self._order()

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        rows = self._batches[index]
        labels = self._clips.labels[rows]
        inputs = {"features": self._clips.features[rows].astype(np.float32), "mask": self._clips.mask[rows]}
        return inputs, labels[:, None].astype(np.float32), self._class_weights[labels].astype(np.float32)

    def on_epoch_end(self) -> None:
        """Puts the clips into the next epoch's order; Keras calls this."""
        self._epoch += 1
        self._order()

    def _order(self) -> None:
        rows = self._rows
        if self._seed is not None:
            rows = np.random.default_rng([self._seed, self._epoch]).permutation(rows)
        self._batches = np.array_split(rows, self._count)


def balanced_weights(labels: np.ndarray) -> np.ndarray:
    """Returns float64 (2,): the weights of real and fake that make both count the same, with a mean of 1 a clip."""
    return len(labels) / (2 * np.bincount(labels, minlength=2))
