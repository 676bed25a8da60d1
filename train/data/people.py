"""Assigns people to parts: a search for the assignment that keeps the most videos while nobody is in two parts.

A fake shows two people, its target and its donor. A video whose people are in different parts is dropped.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BUDGET = 20_000
"""Starts of the search times people: almost exhaustive for few people, a few seconds for many."""
LEAST_STARTS, MOST_STARTS = 4, 200
IMBALANCE = 2.0
"""Cost of a share of the videos in the wrong part, relative to the same share dropped. At 1 or below, when many people
are all swapped with each other, the best assignment puts nearly everyone into train."""
ROUNDS = 30
"""Most rounds through all people of one start; it ends earlier where nobody moves."""
MANY = 400
"""From so many people on, the search takes any move that helps: to look for the best one costs the square of them."""
ABSENT = 10.0
"""Cost of a class missing from a part: more than any other term can gain."""


@dataclass(frozen=True, eq=False)
class _Ties:
    """The videos as ties between people: `ends` int64 (E, 2), `labels` int64 (E,), `counts` of videos float64 (E,).

    A video of one person ties that person to themselves. `videos` is the number of them all, `classes` bool (2,) those
    that they have.
    """

    ends: np.ndarray
    labels: np.ndarray
    counts: np.ndarray
    people: int
    videos: float
    classes: np.ndarray


def assign_people(
    people: Sequence[frozenset[str]], labels: Sequence[int], shares: Sequence[float], seed: int
) -> np.ndarray | None:
    """Returns int64 (N,): the part of each of N videos, -1 where its people are in different parts.

    `people` names the one or two people of each video; `shares` is the desired share of each part. Returns None if the
    search found no assignment that gives every part each class that the videos have.
    """
    names = {name: number for number, name in enumerate(sorted(frozenset().union(*people)))}
    ends = np.array([[names[min(who)], names[max(who)]] for who in people])
    ties = _gather(ends, np.asarray(labels), len(names))
    random = np.random.default_rng(seed)
    starts = min(max(BUDGET // len(names), LEAST_STARTS), MOST_STARTS)
    if len(names) < MANY:
        begun = [random.choice(len(shares), len(names), p=shares) for _ in range(starts)]
        climbs = [_climb(ties, parts, np.asarray(shares)) for parts in begun]
    else:
        begun = [_neighbours_together(ties, np.asarray(shares), random) for _ in range(starts)]
        climbs = [_sweep(ties, parts, np.asarray(shares), random) for parts in begun]
    score, parts = max(climbs, key=lambda climb: climb[0])
    if score < -ABSENT / 2:
        return None  # one missing class costs more than this, imbalance alone less
    return np.where(parts[ends[:, 0]] == parts[ends[:, 1]], parts[ends[:, 0]], -1)


def _gather(ends: np.ndarray, labels: np.ndarray, people: int) -> _Ties:
    rows, counts = np.unique(np.column_stack([ends, labels]), axis=0, return_counts=True)
    classes = np.isin((0, 1), labels)
    return _Ties(rows[:, :2], rows[:, 2], counts.astype(np.float64), people, float(counts.sum()), classes)


def _climb(ties: _Ties, parts: np.ndarray, shares: np.ndarray) -> tuple[float, np.ndarray]:
    """Makes the best move of one person until no move helps; returns the score and the parts, int64 (P,)."""
    score = -np.inf
    while True:
        kept, moved = _moves(ties, parts, len(shares))
        if score == -np.inf:
            score = float(_score(kept, ties, shares))
        scores = _score(kept + moved, ties, shares)
        person, part = np.unravel_index(np.argmax(scores), scores.shape)
        if scores[person, part] <= score + 1e-9:
            return score, parts
        score, parts[person] = float(scores[person, part]), part


def _neighbours_together(ties: _Ties, shares: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Returns parts, int64 (P,), that cut few ties: people in the order of their ties, divided by their videos.

    The order is Cuthill and McKee's, "Reducing the bandwidth of sparse symmetric matrices", ACM 1969.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    shuffled = random.permutation(ties.people)  # another beginning for each start
    one, other = shuffled[ties.ends].T
    tied = coo_array((np.ones(2 * len(one)), (np.r_[one, other], np.r_[other, one])), shape=(ties.people, ties.people))
    order = np.argsort(shuffled)[reverse_cuthill_mckee(tied.tocsr(), symmetric_mode=True)]
    videos = np.bincount(ties.ends[:, 0], ties.counts, ties.people)[order]
    middle = (np.cumsum(videos) - videos / 2) / videos.sum()
    parts = np.empty(ties.people, np.int64)
    parts[order] = np.minimum(np.searchsorted(np.cumsum(shares), middle), len(shares) - 1)
    return parts


def _sweep(ties: _Ties, parts: np.ndarray, shares: np.ndarray, random: np.random.Generator) -> tuple[float, np.ndarray]:
    """Goes through all people in random order, moving each to where it helps most, until a round moves nobody.

    Returns the score and the parts, int64 (P,). A round costs as much as there are people and ties.
    """
    near, kept = _near(ties, parts, len(shares)), _kept(ties, parts, len(shares))
    first, others = _neighbours(ties)
    every = np.arange(len(shares))
    score = float(_score(kept, ties, shares))
    for _ in range(ROUNDS):
        before = score
        for person in random.permutation(ties.people):
            here, own = parts[person], near[person]
            tried = np.repeat(kept[None], len(shares), axis=0)
            tried[:, here] -= own[here]
            tried[every, every] += own
            scores = _score(tried, ties, shares)
            there = int(np.argmax(scores))
            if scores[there] <= score + 1e-9:
                continue
            score, kept, parts[person] = float(scores[there]), tried[there], there
            tie = others[first[person] : first[person + 1]]
            np.add.at(near, (tie["other"], np.int64(here), tie["label"]), -tie["count"])
            np.add.at(near, (tie["other"], np.int64(there), tie["label"]), tie["count"])
        if score <= before:
            break
    return score, parts


def _neighbours(ties: _Ties) -> tuple[np.ndarray, np.ndarray]:
    """Returns the ties of each person to others, person after person, and where those of each begin, (P + 1,)."""
    apart = ties.ends[:, 0] != ties.ends[:, 1]
    both = [
        (ties.ends[apart, one], ties.ends[apart, 1 - one], ties.labels[apart], ties.counts[apart]) for one in (0, 1)
    ]
    person, other, label, count = (np.concatenate(pair) for pair in zip(*both, strict=True))
    order = np.argsort(person, kind="stable")
    others = np.zeros(len(person), [("other", np.int64), ("label", np.int64), ("count", np.float64)])
    others["other"], others["label"], others["count"] = other[order], label[order], count[order]
    return np.searchsorted(person[order], np.arange(ties.people + 1)), others


def _moves(ties: _Ties, parts: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the kept videos (K, 2) by part and class, and how each move changes them, (P, K, K, 2).

    The second array is indexed by person, the part they move to, then part and class of the videos.
    """
    near = _near(ties, parts, count)
    everyone, here = np.arange(ties.people), near[np.arange(ties.people), parts]
    moved = np.zeros((ties.people, count, count, 2))
    for part in range(count):
        moved[everyone, part, parts] -= here
        moved[:, part, part] += near[:, part]
    return _kept(ties, parts, count), moved


def _near(ties: _Ties, parts: np.ndarray, count: int) -> np.ndarray:
    """Returns the videos that each person would have in each part by class, if they were in it, (P, K, 2)."""
    alone = ties.ends[:, 0] == ties.ends[:, 1]
    near = np.zeros((ties.people, count, 2))
    for one, other in ((0, 1), (1, 0)):
        person, tie = ties.ends[~alone, one], ~alone
        np.add.at(near, (person, parts[ties.ends[tie, other]], ties.labels[tie]), ties.counts[tie])
    for part in range(count):  # a video of one person moves with them
        np.add.at(near[:, part], (ties.ends[alone, 0], ties.labels[alone]), ties.counts[alone])
    return near


def _kept(ties: _Ties, parts: np.ndarray, count: int) -> np.ndarray:
    """Returns the kept videos by part and class, (K, 2)."""
    left, right = parts[ties.ends].T
    kept = np.zeros((count, 2))
    np.add.at(kept, (left[left == right], ties.labels[left == right]), ties.counts[left == right])
    return kept


def _score(kept: np.ndarray, ties: _Ties, shares: np.ndarray) -> np.ndarray:
    """Returns the score of the `kept` videos (..., K, 2): the share kept, minus imbalance and missing classes."""
    by_class = kept / np.maximum(kept.sum(-2, keepdims=True), 1)
    # Per class: otherwise people with one real video would fill the small parts.
    imbalance = np.abs(by_class - shares[:, None]).sum(-2).mean(-1)
    kept_share = kept.sum((-1, -2)) / ties.videos
    # A class that no video has cannot be given to any part.
    return kept_share - IMBALANCE * imbalance - ABSENT * (kept < 0.5)[..., ties.classes].sum((-1, -2))
