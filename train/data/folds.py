"""Folds of train for the baseline: by person where there are enough people, else by clip."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

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
