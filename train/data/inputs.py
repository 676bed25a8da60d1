"""The inputs of heads: features normalised on train, optionally projected to their principal components."""

from dataclasses import dataclass

import numpy as np

from train.data.baseline import Baseline
from train.data.clips import LEAST_VARIANCE, Clips

CHUNK = 256
"""Clips converted at once, so that only these exist as float32 or float64 beside the result."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """The clips, and the `frames` (N, 12, P) that heads learn from.

    Heads see features normalised by `mean` and `variance` (D,). With a `basis`, float32 (D, P), `frames` are float32,
    normalised and projected to P components. Without, they are the features as they are stored, float16, and are
    normalised batch by batch: thirty thousand clips of 2,048 features are 1.5 GB, and a normalised copy would take
    2.9 GB more. `baseline` is where heads start from, if they do.
    """

    clips: Clips
    frames: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    basis: np.ndarray | None
    baseline: Baseline | None = None

    @property
    def shift_and_scale(self) -> tuple[np.ndarray, np.ndarray]:
        """What has to be taken off `frames`, and what they are then divided by, float32 (P,), for heads to see them."""
        if self.basis is None:
            return self.mean, np.sqrt(self.variance)
        width = self.frames.shape[2]
        return np.zeros(width, np.float32), np.ones(width, np.float32)

    def seen(self, rows: np.ndarray) -> np.ndarray:
        """Returns the frames of the clips `rows` as heads see them, float32 (R, 12, P)."""
        shift, scale = self.shift_and_scale
        return (self.frames[rows].astype(np.float32) - shift) / scale


def prepare(clips: Clips, train: np.ndarray, components: int, baseline: Baseline | None = None) -> Inputs:
    """Returns the inputs of `clips`; normalisation and projection are fitted on the rows `train`.

    `components` is the number of principal components; 0 keeps all features.
    """
    mean, variance = frame_statistics(clips.features, clips.mask, train)
    if not 0 < components < clips.features.shape[2]:
        return Inputs(clips, clips.features, mean, variance, None, baseline)
    basis = principal_components(clips, train, mean, variance, components)
    frames = np.zeros((*clips.features.shape[:2], components), np.float32)
    for start in range(0, len(frames), CHUNK):
        chunk = slice(start, start + CHUNK)
        frames[chunk] = (clips.features[chunk].astype(np.float32) - mean) / np.sqrt(variance) @ basis
    return Inputs(clips, frames, mean, variance, basis, baseline)


def frame_statistics(features: np.ndarray, mask: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and variance, float32 (D,), over the unpadded frames of the clips `rows`.

    `features` is (N, 12, D), `mask` bool (N, 12). Sums are float64, because float16 ends at 65,504.
    """
    count, total, squares = 0, np.zeros(features.shape[2]), np.zeros(features.shape[2])
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        frames = features[chunk][mask[chunk]].astype(np.float64)
        count, total, squares = count + len(frames), total + frames.sum(0), squares + np.square(frames).sum(0)
    mean = total / count
    variance = np.maximum(squares / count - np.square(mean), 0)
    return mean.astype(np.float32), np.maximum(variance, LEAST_VARIANCE * variance.mean()).astype(np.float32)


def principal_components(
    clips: Clips, rows: np.ndarray, mean: np.ndarray, variance: np.ndarray, components: int
) -> np.ndarray:
    """Returns float32 (D, P): the directions along which the normalised frames of the clips `rows` vary most.

    Pearson, "On lines and planes of closest fit to systems of points in space", Philosophical Magazine 1901.
    """
    from scipy.linalg import eigh

    size = len(mean)
    covariance = np.zeros((size, size), np.float32)
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        frames = (clips.features[chunk][clips.mask[chunk]].astype(np.float32) - mean) / np.sqrt(variance)
        covariance += frames.T @ frames
    _, directions = eigh(covariance, subset_by_index=(size - components, size - 1), overwrite_a=True)
    return np.ascontiguousarray(directions[:, ::-1].astype(np.float32))


def unproject(values: np.ndarray, shape: tuple[int, ...], basis: np.ndarray | None) -> np.ndarray:
    """Returns a weight of `shape` that does to D features what `values` does to their P components.

    The input axis is the one in which the two shapes differ; with differences it holds the features twice.
    """
    if basis is None or values.shape == shape:
        return values
    axis = next(i for i, (one, other) in enumerate(zip(values.shape, shape, strict=True)) if one != other)
    blocks = np.split(values, shape[axis] // len(basis), axis)
    return np.concatenate([np.moveaxis(np.tensordot(basis, block, (1, axis)), 0, axis) for block in blocks], axis)
