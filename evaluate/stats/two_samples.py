"""Whether two samples of clips come from one kind of footage: a classifier between them, and a permutation test.

Lopez-Paz & Oquab, "Revisiting classifier two-sample tests", ICLR 2017.
"""

from dataclasses import dataclass

import numpy as np

LEAST = 20
"""Clips in a sample below which it is not compared."""
MOST = 300
"""Clips of a sample that are compared; more of them take time and change little."""
PERMUTATIONS, FOLDS = 199, 5
SURE = 0.01
"""The p-value up to which two samples are said to differ."""


@dataclass(frozen=True)
class Apart:
    """How well a classifier tells two samples apart, as a ROC AUC on clips it was not fitted on, and the p-value.

    The p-value is the share of ways to deal out the same groups to the samples that give at least this area.
    """

    area: float
    p_value: float

    @property
    def is_clear(self) -> bool:
        """Whether chance alone hardly explains the difference."""
        return self.p_value <= SURE


def tell_apart(first: np.ndarray, second: np.ndarray, groups: np.ndarray, seed: int = 0) -> Apart | None:
    """Compares the points float (N, P) of one sample with those of another, (M, P); None if one has under `LEAST`.

    `groups` int (N,) names the people of the first, who stay together; each point of the second stands for itself.
    The classifier is a ridge regression, whose scores are linear in the labels, so all permutations are one product.
    """
    if min(len(first), len(second)) < LEAST:
        return None
    chosen, others = (np.unique(np.linspace(0, len(one) - 1, MOST).astype(int)) for one in (first, second))
    points = np.concatenate([first[chosen], second[others]]).astype(np.float64)
    _, group = np.unique(groups[chosen], return_inverse=True)
    group = np.concatenate([group, group.max() + 1 + np.arange(len(others))])
    is_second = np.arange(len(points)) >= len(chosen)
    random = np.random.default_rng(seed)
    scores_of = _smoother(points - points.mean(axis=0), random.permutation(group.max() + 1)[group] % FOLDS)
    of_group = np.zeros(group.max() + 1)
    of_group[group[is_second]] = 1
    labels = np.column_stack([of_group, *(random.permutation(of_group) for _ in range(PERMUTATIONS))])[group]
    areas = _areas(scores_of @ (labels - labels.mean(axis=0)), labels)
    return Apart(float(areas[0]), float((areas >= areas[0] - 1e-12).mean()))


def _smoother(points: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Returns float64 (N, N) that turns labels into the scores of regressions which have not seen a point's fold."""
    kernel, smoother = points @ points.T, np.zeros((len(points), len(points)))
    ridge = np.trace(kernel) / len(points)
    for fold in range(FOLDS):
        inside = folds == fold
        fitted = kernel[np.ix_(~inside, ~inside)] + ridge * np.eye((~inside).sum())
        smoother[np.ix_(inside, ~inside)] = np.linalg.solve(fitted, kernel[np.ix_(~inside, inside)]).T
    return smoother


def _areas(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the ROC AUC of each column of `scores` (N, B) for 0 and 1 in that of `labels`, float64 (B,)."""
    from scipy.stats import rankdata  # which takes half a second to load

    ones = labels.sum(axis=0)
    ranks = (rankdata(scores, axis=0) * labels).sum(axis=0)
    return (ranks - ones * (ones + 1) / 2) / np.maximum(ones * (len(labels) - ones), 1)
