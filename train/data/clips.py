"""The clips of a store as training sees them."""

from dataclasses import dataclass

import numpy as np

LEAST_VARIANCE = 1e-3
"""Floor of a feature's variance, as a fraction of the mean variance of all features."""


@dataclass(frozen=True, eq=False)
class Clips:
    """The clips of a store: `features` float16 (N, 12, D), `mask` bool (N, 12), `labels` int64 (N,)."""

    features: np.ndarray
    mask: np.ndarray
    labels: np.ndarray


def balanced_weights(labels: np.ndarray) -> np.ndarray:
    """Returns float64 (2,): weights of real and fake that balance the classes, with a mean over clips of 1."""
    return len(labels) / (2 * np.bincount(labels, minlength=2))


def pool(features: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns the mean over the unpadded frames, float64 (N, D), of features (N, 12, D)."""
    pooled = np.empty((len(features), features.shape[2]))
    with np.errstate(invalid="ignore"):  # an infinite feature gives NaN, which the caller refuses
        for row, (frames, unpadded) in enumerate(zip(features, mask, strict=True)):
            pooled[row] = frames[unpadded].mean(axis=0, dtype=np.float64)
    return pooled
