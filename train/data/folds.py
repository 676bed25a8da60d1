"""Folds: of train for the baseline, by person where there are enough people, else by clip; and for cross-validation."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from base.commands import flag
from base.errors import UserError
from cache.schema import FAKE, REAL, TEST, TRAIN, VAL, VideoRecord
from train.data.blended_parts import DROPPED
from train.data.split import owner

FOLDS = 5


@dataclass(frozen=True, eq=False)
class Folds:
    """The fold of each of T clips, `numbers` int64 (T,), from 0 to `count` - 1, and what no two folds share, `by`."""

    numbers: np.ndarray
    count: int
    by: Literal["person", "clip"]


def divide(labels: np.ndarray, owners: Sequence[str]) -> Folds | None:
    """Divides T clips with `labels` int64 (T,) into at most five folds, so that all but any one hold both classes.

    No two folds share an owner; if there are too few owners for that, no two share a clip. Returns None if even that
    is impossible, because there is only one clip of a class.
    """
    people = np.unique(np.asarray(owners), return_inverse=True)[1]
    by_person = _divide(labels, people)
    if by_person is not None:
        return Folds(*by_person, "person")
    by_clip = _divide(labels, np.arange(len(labels)))
    return None if by_clip is None else Folds(*by_clip, "clip")


def _divide(labels: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, int] | None:
    """Returns the folds and their number, so that no two share a group; None if there are no two such folds."""
    from sklearn.model_selection import StratifiedGroupKFold

    most = min(FOLDS, *(len(np.unique(groups[labels == label])) for label in (0, 1)))
    for count in range(most, 1, -1):
        numbers = np.zeros(len(labels), np.int64)
        for number, (_, rows) in enumerate(StratifiedGroupKFold(count).split(labels, labels, groups)):
            numbers[rows] = number
        if all(len(np.unique(labels[numbers != number])) == 2 for number in range(count)):
            return numbers, count
    return None


@dataclass(frozen=True)
class Grouping:
    """What no two folds share: the group that a video belongs to, and another that it shows too, "" where it does not.

    `many` is what people call several groups.
    """

    own: Callable[[VideoRecord], str]
    other: Callable[[VideoRecord], str]
    many: str


GROUPINGS = {
    "person": Grouping(owner, lambda record: record.donor, "people"),
    "source": Grouping(lambda record: record.source or record.id, lambda _: "", "source videos"),
}
"""By what a cross-validation divides videos: whose footage they are, or which real video they are made from."""


def group_name(by: str, unnamed: int, clips: int) -> str:
    """Returns what several groups of `clips` are called in fact; where all are `unnamed`, nobody knows the people."""
    return GROUPINGS["source" if by == "person" and unnamed == clips else by].many


def groups_shown(groups: int, by: str, unnamed: int, clips: int) -> str:
    """Begins a sentence with how many `groups` there are; at most so many people, where `unnamed` clips may share one.

    >>> groups_shown(9, "person", 4, 64)
    'At most 9 people'
    """
    most = by == "person" and 0 < unnamed < clips
    return f"{'At most ' * most}{groups} {group_name(by, unnamed, clips)}"


class Deal:
    """Videos dealt out into folds by their groups; `seed` decides which group comes into which fold.

    `count` is the number of folds, at most as many as wished: one for each group with fakes. Groups with fakes and
    without are dealt in turn, so that each fold has its share of both. A UserError says that there is none to hold out.
    """

    def __init__(self, records: Sequence[VideoRecord], by: str, wished: int, seed: int) -> None:
        self._records, self._grouping = records, GROUPINGS[by]
        self._own = [self._grouping.own(record) for record in records]
        self._seed, fakes = seed, {own for own, record in zip(self._own, records, strict=True) if record.label == FAKE}
        reals = {own for own, record in zip(self._own, records, strict=True) if record.label == REAL}
        self.count = min(wished, len(fakes), len(reals))
        if self.count < 2:
            raise UserError(
                f"{len(fakes)} {self._grouping.many} have fakes and {len(reals)} have real clips, and folds need two "
                f"of each, one to train on and one to hold out; extract clips of more, or give another {flag('by')}."
            )
        self._groups = (sorted(fakes), sorted(reals - fakes))
        random = np.random.default_rng(seed)
        self._fold = {
            name: place % self.count
            for group in self._groups
            for place, name in enumerate(random.permutation(np.array(group, object)))
        }

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return len(self._fold)

    def held_out(self) -> Iterator[list[str]]:
        """Yields for each fold the part of each video: its own are `VAL`, the others `TRAIN`."""
        for fold in range(self.count):
            yield self._parts(lambda own, fold=fold: VAL if own == fold else TRAIN, fold)

    def tested(self) -> Iterator[list[str]]:
        """Yields for each fold the part of each video: its own are `TEST`, those of the next `VAL`, the others `TRAIN`.

        Of two folds, there is none to validate on.
        """
        for fold in range(self.count):
            after = (fold + 1) % self.count if self.count > 2 else None
            named = {fold: TEST, after: VAL}
            yield self._parts(lambda own, named=named: named.get(own, TRAIN), fold)

    def _parts(self, part: Callable[[int], str], held: int) -> list[str]:
        """Returns the part of each video by its fold; one that also shows a group of the fold `held` is dropped."""
        parts = []
        for record, own in zip(self._records, self._own, strict=True):
            seen = self._fold.get(self._grouping.other(record)) == held and self._fold[own] != held
            parts.append(DROPPED if seen else part(self._fold[own]))
        return parts

    def thinned(self, parts: Sequence[str], share: float) -> tuple[list[str], int]:
        """Returns `parts` with a `share` of the groups in train, those with fakes and those without, and their number.

        The others are dropped. What a smaller share keeps, a larger one keeps too.
        """
        random, kept = np.random.default_rng([self._seed, 1]), set()
        train = {own for own, part in zip(self._own, parts, strict=True) if part == TRAIN}
        for group in self._groups:
            there = random.permutation(np.array([name for name in group if name in train], object))
            kept |= set(there[: max(1, round(share * len(there)))])
        gone = (part == TRAIN and own not in kept for own, part in zip(self._own, parts, strict=True))
        return [DROPPED if out else part for out, part in zip(gone, parts, strict=True)], len(kept)
