"""The clips of a store as training sees them."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Clips:
    """The clips of a store: `features` float16 (N, 12, D), `mask` bool (N, 12), `labels` int64 (N,)."""

    features: np.ndarray
    mask: np.ndarray
    labels: np.ndarray


def balanced_weights(labels: np.ndarray) -> np.ndarray:
    """Returns float64 (2,): weights of real and fake that balance the classes, with a mean over clips of 1."""
    return len(labels) / (2 * np.bincount(labels, minlength=2))
