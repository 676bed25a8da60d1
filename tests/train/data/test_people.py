"""People are divided by wished shares, also where thousands are swapped with each other."""

import time

import numpy as np
import pytest

from train.data import people as module
from train.data.people import assign_people

SHARES = (0.7, 0.15, 0.15)


def ring(count: int, clips: int = 3) -> tuple[list[frozenset[str]], list[int]]:
    """Each person has real clips, and fakes with the face of the next person: all are tied to all."""
    shown, labels = [], []
    for number in range(count):
        shown += [frozenset([f"p{number}"]), frozenset([f"p{number}", f"p{(number + 1) % count}"])] * clips
        labels += [0, 1] * clips
    return shown, labels


def as_published() -> tuple[list[frozenset[str]], list[int]]:
    """Celeb-DF's shape: thirty people swapped with their neighbours of up to four places, and three small groups."""
    groups = [range(30), range(30, 38), range(38, 46), range(46, 59)]
    pairs = [
        (one, group[(at + step) % len(group)]) for group in groups for at, one in enumerate(group) for step in (1, 4)
    ]
    shown = [frozenset([f"p{one}"]) for group in groups for one in group for _ in range(10)]
    swapped = [frozenset([f"p{one}", f"p{other}"]) for one, other in pairs for _ in range(20)]
    return shown + swapped, [0] * len(shown) + [1] * len(swapped)


def shares_of(labels: list[int], parts: np.ndarray) -> np.ndarray:
    """Returns the share of each part among the kept videos of each class, (3, 2)."""
    kept = np.array([[((parts == part) & (np.array(labels) == label)).sum() for label in (0, 1)] for part in range(3)])
    return kept / kept.sum(axis=0)


@pytest.mark.parametrize("many", [1, 10**9], ids=["for many", "for few"])
def test_both_searches_divide_the_published_shape_as_wished(monkeypatch, many):
    monkeypatch.setattr(module, "MANY", many)
    shown, labels = as_published()
    parts = assign_people(shown, labels, SHARES, 42)
    assert parts is not None
    assert np.abs(shares_of(labels, parts) - np.array(SHARES)[:, None]).max() < 0.06
    assert (parts == -1).mean() < 0.12
    people = [{name for who, own in zip(shown, parts, strict=True) if own == part for name in who} for part in range(3)]
    assert sum(map(len, people)) == len(set.union(*people))


def timed(shown, labels):
    start = time.process_time()
    parts = assign_people(shown, labels, SHARES, 0)
    return time.process_time() - start, parts


def test_a_ring_of_many_loses_hardly_a_video_in_a_time_that_grows_with_it(monkeypatch):
    monkeypatch.setattr(module, "BUDGET", 0)
    monkeypatch.setattr(module, "LEAST_STARTS", 2)
    seconds = {}
    for count in (500, 2000):
        shown, labels = ring(count)
        seconds[count], parts = min((timed(shown, labels) for _ in range(3)), key=lambda one: one[0])
        assert parts is not None
        assert (parts == -1).mean() < 0.02
        assert np.abs(shares_of(labels, parts) - np.array(SHARES)[:, None]).max() < 0.02
    assert seconds[2000] < 9 * seconds[500]  # sixteen times if it were quadratic
