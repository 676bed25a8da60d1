"""How far a clip lies from the training clips: what a head says of footage unlike theirs is worth nothing.

Sun et al., "Out-of-distribution detection with deep nearest neighbors", ICML 2022.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cache.schema import TEST, TRAIN, VAL, VideoRecord
from train.data.clips import LEAST_VARIANCE, Clips, pool
from train.data.split import owner

NEAREST = 3
"""Training clips that a distance is measured to."""
KEPT = 0.95
"""Share of the people trained on whose clips lie within the limit, each clip measured without the people in it."""
BLOCKS, AXES = 4, 64
"""Equal parts of the features, which are compared each by itself, and the random directions that stand for one.

What compression changes, a few layers show: in all features together it is lost among what tells people apart.
"""
SAME = 0.02
"""Below this distance from a training clip, in units of the limit, a clip is that one: re-encoded it lies further."""
LEAST_CLIPS, LEAST_PEOPLE = 20, 3
"""Training clips that can be left out, and people in them, below which nobody can say how far their own kind lies."""
MOST_LEFT_OUT = 2000
"""Training clips that the limit is drawn from; as many more would move it by a hundredth."""
_ROWS = 256


def is_unlike(distance: float | None) -> bool:
    """Tells whether a clip at this mean distance is too unlike the training clips to be judged."""
    return distance is not None and distance > 1  # which NaN is not


@dataclass(frozen=True, eq=False)
class Distances:
    """Of N clips, float32 (N,), in units of a limit: `mean`, to the three nearest training clips, and `nearest`.

    Each is that of the block that is furthest. The limit is that of so many `people`, or for clips that are `near`,
    bool (N,), that of the clips of one person. `points` (N, 4, 64) are the clips.
    """

    mean: np.ndarray
    nearest: np.ndarray
    near: np.ndarray
    people: int
    points: np.ndarray

    @property
    def sentence(self) -> str:
        """Why the first clip is too unlike the training clips to be judged, "" if it is not."""
        distance = float(self.mean[0])
        if not is_unlike(distance):
            return ""
        if self.near[0]:
            return (
                f"{distance:.2f} times as far from the training clips as those of one person are from each other, and "
                "nearer than any stranger, as a training clip is that was encoded anew"
            )
        share = "any" if self.people * (1 - KEPT) < 1 else f"{KEPT:.0%}"
        others = f"{share} of their {self.people:,} people or source videos are from the others"
        return f"{distance:.2f} times as far from the training clips as {others}"


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The training clips as `points` float32 (T, 4, 64), and how far strangers among them are apart, `limits` (4,).

    The limits are kept by 95 % of the `people` left out of train one after the other, by all where they are under 20.
    `owners` int32 (T,) tells whose footage each point is. A clip nearer than `apart`, in units of the limits, is no
    stranger, and has to be as near as clips of one person are: `near`.
    A point is a clip's mean features (D,) minus `centre` (D,), each block times its rows of `axes` (D, 64).
    """

    centre: np.ndarray
    axes: np.ndarray
    points: np.ndarray
    limits: np.ndarray
    owners: np.ndarray
    near: float
    apart: float
    people: int

    def distances(self, features: np.ndarray, mask: np.ndarray) -> Distances:
        """Returns the distances of N clips with `features` (N, 12, D) and `mask` bool (N, 12)."""
        points = self.place(pool(features, mask))
        chunks = (points[start : start + _ROWS] for start in range(0, len(points), _ROWS))
        nearest = np.concatenate([_nearest(chunk, _compared(chunk, self._others)) for chunk in chunks])
        nearest = (nearest / self.limits[:, None]).max(axis=1)
        mean = nearest.mean(axis=1)
        near = mean < self.apart
        return Distances(np.where(near, mean / self.near, mean), nearest[:, 0], near, self.people, points)

    @functools.cached_property
    def _others(self) -> np.ndarray:
        """The points as each clip of a stream is compared with them."""
        return _aside(self.points)

    def place(self, pooled: np.ndarray) -> np.ndarray:
        """Returns the points float32 (N, 4, 64) of clips with mean features (N, D)."""
        blocks = zip(
            np.array_split(pooled - self.centre, BLOCKS, axis=1), np.array_split(self.axes, BLOCKS), strict=True
        )
        return np.stack([values @ axes for values, axes in blocks], axis=1).astype(np.float32)


def find_neighbours(
    clips: Clips, parts: np.ndarray, people: Sequence[tuple[str, str]]
) -> tuple[Neighbours | None, np.ndarray]:
    """Returns the clips of train as neighbours, and how far each clip lies from them in the mean, float64 (N,).

    `parts` is the part of each of the N clips, and `people` names whose footage it is and the donor, without whom a
    clip of train is measured. Where too few can be measured so there are no neighbours, and all is NaN.
    """
    train, distances = parts == TRAIN, np.full(len(parts), np.nan)
    trained = [people[row] for row in np.flatnonzero(train).tolist()]
    pooled = pool(clips.features[train], clips.mask[train])
    mean, variance = pooled.mean(axis=0), pooled.var(axis=0)
    scale = np.sqrt(np.maximum(variance, LEAST_VARIANCE * variance.mean()) + np.finfo(float).tiny)
    # Johnson & Lindenstrauss, "Extensions of Lipschitz mappings into a Hilbert space", 1984.
    axes = np.random.default_rng(0).standard_normal((len(mean), AXES)) / np.sqrt(AXES) / scale[:, None]
    none = np.zeros(0, np.int32)
    begun = Neighbours(mean.astype(np.float32), axes.astype(np.float32), none, np.ones(BLOCKS), none, 1.0, 0.0, 0)
    points = begun.place(pooled)
    left_out, own = _left_out(points, trained)
    owners, known = np.array([owner for owner, _ in trained]), ~np.isnan(left_out[:, 0])
    if known.sum() < LEAST_CLIPS or len(set(owners[known])) < LEAST_PEOPLE:
        return None, distances
    limits = np.array([kept_by_most(block[known], owners[known]) for block in left_out.T])
    if not limits.all():
        return None, distances  # all clips are one and the same
    # Each block alone keeps the share; that all do needs some more room.
    limits = limits * kept_by_most((left_out / limits).max(axis=1)[known], owners[known])
    distances[train], others = (left_out / limits).max(axis=1), np.isin(parts, (VAL, TEST))
    _, numbers, clips_of = np.unique(owners, return_inverse=True, return_counts=True)
    of_many = ~np.isnan(own[:, 0]) & (clips_of[numbers] > NEAREST)
    apart = float(np.nanmin(distances[train]))
    near = kept_by_most((own / limits).max(axis=1)[of_many], owners[of_many]) if of_many.any() else apart
    neighbours = replace(
        begun, points=points, limits=limits.astype(np.float32), owners=numbers.astype(np.int32),
        near=min(near, apart), apart=apart, people=len(set(owners[known])),
    )  # fmt: skip
    if others.any():
        distances[others] = neighbours.distances(clips.features[others], clips.mask[others]).mean
    return neighbours, distances


def people_of(records: Sequence[VideoRecord]) -> list[tuple[str, str]]:
    """Returns who is in each of N clips: whose footage it is, and the donor of a fake, else the same again."""
    return [(owner(record), record.donor or owner(record)) for record in records]


def kept_by_most(distances: np.ndarray, owners: np.ndarray) -> float:
    """Returns the one of `distances` (K,) that the share `KEPT` of the people keep, who weigh the same."""
    _, person, clips = np.unique(owners, return_inverse=True, return_counts=True)
    order = np.argsort(distances)
    kept = np.cumsum(1 / clips[person[order]]) / len(clips)
    return float(distances[order][min(np.searchsorted(kept, KEPT), len(order) - 1)])


def _left_out(points: np.ndarray, people: Sequence[tuple[str, str]]) -> tuple[np.ndarray, np.ndarray]:
    """Returns float64 (T, 4): how far each point lies from the nearest that show nobody of it, and from any other.

    NaN where too few do.
    """
    names = np.unique(np.array(people), return_inverse=True)[1].reshape(-1, 2)
    strangers, any_other = np.full((2, *points.shape[:2]), np.nan)
    rows, others = np.unique(np.linspace(0, len(points) - 1, MOST_LEFT_OUT).astype(int)), _aside(points)
    for start in range(0, len(rows), _ROWS):
        chunk = rows[start : start + _ROWS]
        compared = _compared(points[chunk], others)
        compared[:, np.arange(len(chunk)), chunk] = np.inf
        any_other[chunk] = _finite(_nearest(points[chunk], compared.copy()).mean(axis=2))
        compared[:, _share_people(names[chunk], names)] = np.inf
        strangers[chunk] = _finite(_nearest(points[chunk], compared).mean(axis=2))
    return strangers, any_other


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)


def _share_people(people: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns bool (N, T): whether someone of `people` int (N, 2) is one of `others` (T, 2)."""
    return (people[:, None, :, None] == others[None, :, None, :]).any(axis=(2, 3))


def _aside(others: np.ndarray) -> np.ndarray:
    """Returns `others` (T, 4, 64) as `_compared` takes them, (4, 65, T): minus twice each, and its squared length."""
    return np.concatenate([-2 * others, np.square(others).sum(axis=2)[..., None]], axis=2).transpose(1, 2, 0).copy()


def _compared(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns squared Euclidean distances of `points` (N, 4, 64) less the points' own squared lengths, (4, N, T).

    One product of matrices: detection starts without SciPy, and each further look at all of them would take as long.
    """
    return np.concatenate([points, np.ones_like(points[..., :1])], axis=2).transpose(1, 0, 2) @ others


def _nearest(points: np.ndarray, compared: np.ndarray) -> np.ndarray:
    """Returns the smallest distances in ascending order, (N, 4, 3), fewer of fewer; takes them out of `compared`."""
    blocks, rows = np.indices(compared.shape[:2])
    smallest = []
    for _ in range(min(NEAREST, compared.shape[2])):
        at = compared.argmin(axis=2)
        smallest.append(compared[blocks, rows, at])
        compared[blocks, rows, at] = np.inf
    squares = np.stack(smallest, axis=-1).transpose(1, 0, 2) + np.square(points).sum(axis=2)[..., None]
    return np.sqrt(np.maximum(squares, 0))
