"""The paired share against a count by hand, and who counts as a counterpart."""

import numpy as np
import pytest

from evaluate.stats.bootstrap import ends
from evaluate.stats.metrics import evaluate
from evaluate.stats.pairs import UNKNOWN, paired_share, share_of_pairs, source_rows


def by_hand(labels, probabilities, sources, people):
    wins = []
    for row in np.flatnonzero(labels == 1):
        if sources[row] != UNKNOWN:
            others = [sources[row]]
        else:
            others = [other for other in range(len(labels)) if labels[other] == 0 and people[other] == people[row]]
        gaps = probabilities[row] - probabilities[others]
        wins += [np.mean((np.sign(gaps) + 1) / 2)] if len(gaps) else []
    return np.mean(wins), len(wins)


def test_it_is_the_count_by_hand():
    generator = np.random.default_rng(0)
    labels, people = generator.integers(0, 2, 200), generator.integers(0, 15, 200)
    labels[people == 3] = 1  # a person without a real clip
    probabilities = generator.random(200).round(1)  # with ties
    reals = np.flatnonzero(labels == 0)
    sources = np.where((labels == 1) & (generator.random(200) < 0.5), generator.choice(reals, 200), UNKNOWN)
    expected, count = by_hand(labels, probabilities, sources, people)
    found = paired_share(labels, probabilities, sources, people, resamples=50)
    assert found.share.value == pytest.approx(expected)
    assert found.fakes == count
    assert found.by_source == ((labels == 1) & (sources != UNKNOWN)).sum()
    assert (found.share.low or 1) < expected < (found.share.high or 0)


def test_a_detector_that_knows_people_only_has_a_roc_auc_and_no_paired_share():
    """Scores that tell who it is, where people differ in how many fakes they have: the pairs see through it."""
    labels = np.array([0] * 9 + [1] + [0] + [1] * 9)
    people = np.repeat([0, 1], 10)
    found = paired_share(labels, people * 0.5 + 0.2, np.full(20, UNKNOWN), people, resamples=10)
    assert found.share.value == 0.5


def test_the_interval_is_over_people():
    """Copies of every clip add none of the people: the interval stays as wide as it is."""
    generator = np.random.default_rng(1)
    people = np.repeat(np.arange(20), 2)
    labels = np.tile([0, 1], 20)
    probabilities = generator.random(40)
    sources = np.where(labels == 1, np.arange(40) - 1, UNKNOWN)
    once = paired_share(labels, probabilities, sources, people)
    many = [np.tile(column, 50) for column in (labels, probabilities, people)]
    shifted = np.concatenate([np.where(sources == UNKNOWN, UNKNOWN, sources + 40 * copy) for copy in range(50)])
    often = paired_share(many[0], many[1], shifted, many[2])
    assert often.share.value == pytest.approx(once.share.value)
    widths = [(found.share.high or 0) - (found.share.low or 0) for found in (once, often)]
    assert widths[0] > 0.2
    assert widths[1] == pytest.approx(widths[0], abs=0.1)


def test_the_share_of_all_pairs_is_the_roc_auc_with_its_interval():
    random = np.random.default_rng(0)
    labels, people = np.arange(60) % 2, np.arange(60) // 6
    probabilities = np.clip(random.normal(0.4 + 0.3 * labels, 0.2), 0, 1)
    wins = (probabilities[labels == 1][:, None] > probabilities[labels == 0]).astype(float)
    found = share_of_pairs(labels, wins, np.ones_like(wins), people, 2000, 0)
    area = evaluate(labels, probabilities, resamples=2000, groups=people)["roc_auc"]
    assert found.value == pytest.approx(area.value)
    assert ends(found) == pytest.approx(ends(area), abs=0.002)
    perfect = share_of_pairs(labels, np.ones_like(wins), np.ones_like(wins), people, 200, 0)
    assert (perfect.low or 1.0) < 0.8


def test_a_source_that_is_itself_a_fake_is_none():
    found = paired_share(np.array([1, 1, 0]), np.array([0.9, 0.5, 0.1]), np.array([UNKNOWN, 0, 0]), np.zeros(3))
    assert found.by_source == 0
    assert found.share.value == 1.0


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_no_pairs(label):
    found = paired_share(np.full(3, label), np.array([0.1, 0.2, 0.3]), np.full(3, UNKNOWN), np.zeros(3, int))
    assert found.share.value is None


def test_fakes_without_a_counterpart_leave_nothing():
    found = paired_share(np.array([1, 0]), np.array([0.9, 0.1]), np.full(2, UNKNOWN), np.array([0, 1]))
    assert found.share.value is None
    assert found.fakes == 0


def test_sources_are_found_by_id():
    assert source_rows(["b", "a", "c"], ["a", "", "elsewhere"]).tolist() == [1, UNKNOWN, UNKNOWN]
