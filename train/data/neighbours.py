"""How far a clip lies from the training clips: what a head says of footage unlike theirs is worth nothing.

Sun et al., "Out-of-distribution detection with deep nearest neighbors", ICML 2022.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cache.schema import TEST, TRAIN, VAL, VideoRecord
from train.data.baseline import LEAST_VARIANCE, pool
from train.data.clips import Clips
from train.data.split import owner

NEAREST = 3
"""Training clips that a distance is measured to."""
KEPT = 0.95
"""Share of the training clips that lie within the limit, each measured without the people in it."""
AXES = 256
"""Random directions that stand for all features: distances change by a few percent, and a run stays small."""
SAME = 0.02
"""Below this distance from one training clip, in units of the limit, a clip is that clip.

Re-encoded with hardly a loss (H.264, CRF 18) the nearest of 64 clips lay at 0.17, blended at 0.09.
"""
MOST_LEFT_OUT = 2000
"""Training clips that the limit is drawn from; as many more would move it by a hundredth."""
_ROWS = 256
LEAST_CLIPS = 20
"""Training clips that can be left out, below which nobody can say how far their own kind lies."""


@dataclass(frozen=True, eq=False)
class Distances:
    """Of N clips, float32 (N,), in units of the limit: `mean`, to the three nearest training clips, and `nearest`."""

    mean: np.ndarray
    nearest: np.ndarray


def is_unlike(distance: float | None) -> bool:
    """Tells whether a clip at this mean distance is too unlike the training clips to be judged."""
    return distance is not None and distance > 1  # which NaN is not


def unlike_sentence(distance: float) -> str:
    """Returns how unlike the training clips a clip at this mean distance is."""
    return f"{distance:.1f} times as far from the training clips as {KEPT:.0%} of their own kind"


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The training clips as `points` float32 (T, P), and the `limit` that 95 % of them keep to strangers among them.

    A point is a clip's mean features (D,) minus `centre` (D,), times `axes` (D, P), which normalise and project.
    """

    centre: np.ndarray
    axes: np.ndarray
    points: np.ndarray
    limit: float

    def distances(self, features: np.ndarray, mask: np.ndarray) -> Distances:
        """Returns the distances of N clips with `features` (N, 12, D) and `mask` bool (N, 12)."""
        points = self.place(pool(features, mask))
        chunks = (points[start : start + _ROWS] for start in range(0, len(points), _ROWS))
        nearest = np.concatenate([_nearest(_distances(chunk, self.points)) for chunk in chunks]) / self.limit
        return Distances(nearest.mean(axis=1), nearest[:, 0])

    def place(self, pooled: np.ndarray) -> np.ndarray:
        """Returns the points float32 (N, P) of clips with mean features (N, D)."""
        return ((pooled - self.centre) @ self.axes).astype(np.float32)


def find_neighbours(
    clips: Clips, parts: np.ndarray, people: Sequence[frozenset[str]]
) -> tuple[Neighbours | None, np.ndarray]:
    """Returns the clips of train as neighbours, and how far each clip lies from them in the mean, float64 (N,).

    `parts` is the part of each of the N clips, and `people` names those in it, without whom a clip of train is
    measured. Without `LEAST_CLIPS` that can be measured so there are no neighbours, and all is NaN.
    """
    train = parts == TRAIN
    pooled, distances = pool(clips.features[train], clips.mask[train]), np.full(len(parts), np.nan)
    mean, variance = pooled.mean(axis=0), pooled.var(axis=0)
    scale = np.sqrt(np.maximum(variance, LEAST_VARIANCE * variance.mean()) + np.finfo(float).tiny)
    # Johnson & Lindenstrauss, "Extensions of Lipschitz mappings into a Hilbert space", 1984.
    directions = np.random.default_rng(0).standard_normal((len(mean), AXES)) / np.sqrt(AXES)
    begun = Neighbours(mean.astype(np.float32), (directions / scale[:, None]).astype(np.float32), pooled[:0], 1.0)
    points = begun.place(pooled)
    left_out = _without_their_people(points, [people[row] for row in np.flatnonzero(train)])
    measured = left_out[~np.isnan(left_out)]
    limit = float(np.quantile(measured, KEPT)) if len(measured) >= LEAST_CLIPS else 0.0
    if limit == 0:
        return None, distances
    neighbours = replace(begun, points=points, limit=limit)
    distances[train], others = left_out / limit, np.isin(parts, (VAL, TEST))
    if others.any():
        distances[others] = neighbours.distances(clips.features[others], clips.mask[others]).mean
    return neighbours, distances


def people_of(records: Sequence[VideoRecord]) -> list[frozenset[str]]:
    """Returns who is in each of N clips: whose footage it is, and the donor of a fake."""
    return [frozenset((owner(record), record.donor or owner(record))) for record in records]


def _without_their_people(points: np.ndarray, people: Sequence[frozenset[str]]) -> np.ndarray:
    """Returns float64 (T,): how far each point lies from the nearest that show nobody of it; NaN where too few do."""
    names = {name: number for number, name in enumerate(sorted(frozenset().union(*people)))}
    shown = np.zeros((len(people), len(names)), bool)
    for row, who in enumerate(people):
        shown[row, [names[name] for name in who]] = True
    mean = np.full(len(points), np.nan)
    rows = np.unique(np.linspace(0, len(points) - 1, MOST_LEFT_OUT).astype(int))
    for start in range(0, len(rows), _ROWS):
        chunk = rows[start : start + _ROWS]
        distances = _distances(points[chunk], points)
        distances[shown[chunk].astype(np.float32) @ shown.T.astype(np.float32) > 0] = np.inf
        near = _nearest(distances).mean(axis=1)
        mean[chunk] = np.where(np.isfinite(near), near, np.nan)
    return mean


def _distances(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns the Euclidean distances float32 (N, T), written out because detection starts without SciPy."""
    squares = np.square(points).sum(axis=1)[:, None] + np.square(others).sum(axis=1) - 2 * points @ others.T
    return np.sqrt(np.maximum(squares, 0))


def _nearest(distances: np.ndarray) -> np.ndarray:
    """Returns the smallest distances of each row in ascending order, (N, 3), fewer of fewer."""
    return np.sort(np.partition(distances, min(NEAREST, distances.shape[1]) - 1, axis=1)[:, :NEAREST], axis=1)
