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
"""Share of the people trained on whose clips lie within the limit, each clip measured without the people in it."""
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
LEAST_PEOPLE = 3
"""People whom they have to show."""


@dataclass(frozen=True, eq=False)
class Distances:
    """Of N clips, float32 (N,), in units of the limit: `mean`, to the three nearest training clips, and `nearest`.

    The limit is that of so many `people`.
    """

    mean: np.ndarray
    nearest: np.ndarray
    people: int


def is_unlike(distance: float | None) -> bool:
    """Tells whether a clip at this mean distance is too unlike the training clips to be judged."""
    return distance is not None and distance > 1  # which NaN is not


def unlike_sentence(distance: float, people: int) -> str:
    """Returns how unlike the training clips, which show so many `people`, a clip at this mean distance is."""
    share = f"any of their {people:,}" if people * (1 - KEPT) < 1 else f"{KEPT:.0%} of their {people:,}"
    return f"{distance:.2f} times as far from the training clips as {share} people are from the others"


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The training clips as `points` float32 (T, P), and the `limit` to which strangers among them are apart.

    It is kept by 95 % of the `people` left out of train one after the other, by all of them where they are under 20.

    A point is a clip's mean features (D,) minus `centre` (D,), times `axes` (D, P), which normalise and project.
    """

    centre: np.ndarray
    axes: np.ndarray
    points: np.ndarray
    limit: float
    people: int

    def distances(self, features: np.ndarray, mask: np.ndarray) -> Distances:
        """Returns the distances of N clips with `features` (N, 12, D) and `mask` bool (N, 12)."""
        points = self.place(pool(features, mask))
        chunks = (points[start : start + _ROWS] for start in range(0, len(points), _ROWS))
        nearest = np.concatenate([_nearest(_distances(chunk, self.points)) for chunk in chunks]) / self.limit
        return Distances(nearest.mean(axis=1), nearest[:, 0], self.people)

    def place(self, pooled: np.ndarray) -> np.ndarray:
        """Returns the points float32 (N, P) of clips with mean features (N, D)."""
        return ((pooled - self.centre) @ self.axes).astype(np.float32)


def find_neighbours(
    clips: Clips, parts: np.ndarray, people: Sequence[tuple[str, str]]
) -> tuple[Neighbours | None, np.ndarray]:
    """Returns the clips of train as neighbours, and how far each clip lies from them in the mean, float64 (N,).

    `parts` is the part of each of the N clips, and `people` names whose footage it is and the donor, without whom a
    clip of train is measured. Without `LEAST_CLIPS` that can be measured so there are no neighbours, and all is NaN.
    """
    train = parts == TRAIN
    pooled, distances = pool(clips.features[train], clips.mask[train]), np.full(len(parts), np.nan)
    mean, variance = pooled.mean(axis=0), pooled.var(axis=0)
    scale = np.sqrt(np.maximum(variance, LEAST_VARIANCE * variance.mean()) + np.finfo(float).tiny)
    # Johnson & Lindenstrauss, "Extensions of Lipschitz mappings into a Hilbert space", 1984.
    directions = np.random.default_rng(0).standard_normal((len(mean), AXES)) / np.sqrt(AXES)
    begun = Neighbours(mean.astype(np.float32), (directions / scale[:, None]).astype(np.float32), pooled[:0], 1.0, 0)
    points = begun.place(pooled)
    trained = [people[row] for row in np.flatnonzero(train)]
    left_out = _without_their_people(points, trained)
    limit, count = _limit(left_out, np.array([owner for owner, _ in trained]))
    if limit == 0:
        return None, distances
    neighbours = replace(begun, points=points, limit=limit, people=count)
    distances[train], others = left_out / limit, np.isin(parts, (VAL, TEST))
    if others.any():
        distances[others] = neighbours.distances(clips.features[others], clips.mask[others]).mean
    return neighbours, distances


def people_of(records: Sequence[VideoRecord]) -> list[tuple[str, str]]:
    """Returns who is in each of N clips: whose footage it is, and the donor of a fake, else the same again."""
    return [(owner(record), record.donor or owner(record)) for record in records]


def _limit(distances: np.ndarray, owners: np.ndarray) -> tuple[float, int]:
    """Returns the distance that `KEPT` of the people keep, who weigh the same, and how many they are; 0 if too few."""
    known = ~np.isnan(distances)
    _, person, clips = np.unique(owners[known], return_inverse=True, return_counts=True)
    if len(clips) < LEAST_PEOPLE or known.sum() < LEAST_CLIPS:
        return 0.0, len(clips)
    order = np.argsort(distances[known])
    kept = np.cumsum(1 / clips[person[order]]) / len(clips)
    return float(distances[known][order][np.searchsorted(kept, KEPT)]), len(clips)


def _without_their_people(points: np.ndarray, people: Sequence[tuple[str, str]]) -> np.ndarray:
    """Returns float64 (T,): how far each point lies from the nearest that show nobody of it; NaN where too few do."""
    names = np.unique(np.array(people), return_inverse=True)[1].reshape(-1, 2)
    mean = np.full(len(points), np.nan)
    rows = np.unique(np.linspace(0, len(points) - 1, MOST_LEFT_OUT).astype(int))
    for start in range(0, len(rows), _ROWS):
        chunk = rows[start : start + _ROWS]
        distances = _distances(points[chunk], points)
        distances[_share_people(names[chunk], names)] = np.inf
        near = _nearest(distances).mean(axis=1)
        mean[chunk] = np.where(np.isfinite(near), near, np.nan)
    return mean


def _share_people(people: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns bool (N, T): whether someone of `people` int (N, 2) is one of `others` (T, 2)."""
    return (people[:, None, :, None] == others[None, :, None, :]).any(axis=(2, 3))


def _distances(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns the Euclidean distances float32 (N, T), written out because detection starts without SciPy."""
    squares = np.square(points).sum(axis=1)[:, None] + np.square(others).sum(axis=1) - 2 * points @ others.T
    return np.sqrt(np.maximum(squares, 0))


def _nearest(distances: np.ndarray) -> np.ndarray:
    """Returns the smallest distances of each row in ascending order, (N, 3), fewer of fewer."""
    return np.sort(np.partition(distances, min(NEAREST, distances.shape[1]) - 1, axis=1)[:, :NEAREST], axis=1)
