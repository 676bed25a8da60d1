"""The clips of a store as training sees them."""

from dataclasses import dataclass

import numpy as np

LEAST_VARIANCE = 1e-3
"""Floor of a feature's variance, as a fraction of the mean variance of all features."""


@dataclass(frozen=True, eq=False)
class Clips:
    """The clips of a store: `features` float16 (N, 12, D), `mask` bool (N, 12), `labels` int64 (N,).

    `data_sets` int64 (N,) are the numbers of the data sets that are to weigh the same; None where each clip does.
    """

    features: np.ndarray
    mask: np.ndarray
    labels: np.ndarray
    data_sets: np.ndarray | None = None

    def weights(self, train: np.ndarray, *, by_class: bool = True) -> np.ndarray:
        """Returns the weight of each clip in a loss, float64 (N,), which on the clips `train` is 1 in the mean.

        There both classes weigh the same if `by_class`, and within each class, or without, so do the `data_sets`.
        """
        classes = self.labels if by_class else np.zeros_like(self.labels)
        weights = balanced_weights(classes[train])[classes]
        if self.data_sets is not None:
            for label in np.unique(classes[train]):
                rows, own = classes == label, self.data_sets[train][classes[train] == label]
                weights[rows] *= balanced_weights(own, self.data_sets.max() + 1)[self.data_sets[rows]]
        return weights


def balanced_weights(groups: np.ndarray, count: int = 2) -> np.ndarray:
    """Returns float64 (`count`,): weights that balance the `groups` that there are, with a mean over clips of 1.

    So it is for real and fake. A group without a clip has the weight 1.
    """
    sizes = np.bincount(groups, minlength=count)
    return np.where(sizes > 0, len(groups) / ((sizes > 0).sum() * np.maximum(sizes, 1)), 1.0)


def pool(features: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns the mean over the unpadded frames, float64 (N, D), of features (N, 12, D)."""
    pooled = np.empty((len(features), features.shape[2]))
    with np.errstate(invalid="ignore"):  # an infinite feature gives NaN, which the caller refuses
        for row, (frames, unpadded) in enumerate(zip(features, mask, strict=True)):
            pooled[row] = frames[unpadded].mean(axis=0, dtype=np.float64)
    return pooled
