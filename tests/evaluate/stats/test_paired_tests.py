"""The paired tests against other ways to the same numbers, and on data that hardly allow a test."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from evaluate.stats.bootstrap import Measure
from evaluate.stats.metrics import difference_measures, log_losses
from evaluate.stats.paired_tests import (
    accuracy_error,
    clips_needed,
    delong,
    holm,
    mcnemar,
    mcnemar_of_counts,
    wilcoxon,
)

CLIPS, FAKES = 518, 342  # Celeb-DF v2's official test list, near enough: two thirds are fake


def judged(generator, clips, ties=False, strength=1.0, shared=1.0):
    """Labels and the probabilities of two detectors that find the same clips hard."""
    labels = (np.arange(clips) < clips * FAKES / CLIPS).astype(int)
    common = strength * (labels - 0.5) + shared * generator.normal(size=clips)
    both = [1 / (1 + np.exp(-(common + generator.normal(size=clips)))) for _ in range(2)]
    return labels, *(np.round(one, 1) if ties else one for one in both)


def test_mcnemar_of_the_published_comparison():
    found = mcnemar_of_counts(56, 11)
    assert found.chi2 == pytest.approx(28.9, abs=0.005)
    assert found.p_chi2 == pytest.approx(stats.chi2.sf(found.chi2, 1))
    by_hand = 2 * sum(math.comb(67, wins) for wins in range(12)) / 2**67
    assert found.p == pytest.approx(by_hand)
    assert found.p < 3e-8
    assert found.p_mid == pytest.approx(by_hand - math.comb(67, 11) / 2**67)
    assert found.g == pytest.approx(56 / 67 - 0.5)


@pytest.mark.parametrize("seed", range(5))
def test_mcnemar_counts_and_sums(seed):
    generator = np.random.default_rng(seed)
    labels, first, second = judged(generator, 60)
    found = mcnemar(labels, first >= 0.5, second >= 0.5)
    right = [(one >= 0.5) == (labels == 1) for one in (first, second)]
    table = [
        [sum(a == x and b == y for a, b in zip(*right, strict=True)) for y in (True, False)] for x in (True, False)
    ]
    assert (found.first, found.second) == (table[0][1], table[1][0])
    less = min(found.first, found.second)
    clips = found.first + found.second
    exact = min(1, 2 * sum(math.comb(clips, wins) for wins in range(less + 1)) / 2**clips)
    assert found.p == pytest.approx(exact)


def test_mcnemar_without_disagreement_finds_nothing():
    found = mcnemar(np.array([0, 1]), np.array([True, True]), np.array([True, True]))
    assert (found.first, found.second, found.p) == (0, 0, 1.0)
    assert found.chi2 is found.p_chi2 is found.g is None


def test_mcnemar_of_equal_counts_is_no_less_than_nothing():
    assert mcnemar_of_counts(3, 3).chi2 == 0
    assert mcnemar_of_counts(3, 3).p == 1
    assert mcnemar_of_counts(3, 3).p_mid == pytest.approx(1)
    assert mcnemar_of_counts(0, 1).p_mid == pytest.approx(0.5)


def slow_delong(labels, first, second):
    """DeLong's structural components by their definition: every fake against every real."""

    def score(fake, real):
        return (fake > real) + 0.5 * (fake == real)

    table = [score(one[labels == 1][:, None], one[labels == 0][None]) for one in (first, second)]
    fakes, reals = table[0].shape
    by_fake, by_real = np.cov([one.mean(axis=1) for one in table]), np.cov([one.mean(axis=0) for one in table])
    covariance = by_fake / fakes + by_real / reals
    return table[0].mean() - table[1].mean(), math.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("clips", [6, 37, 200])
def test_delong_is_that_of_its_definition(clips, ties):
    labels, first, second = judged(np.random.default_rng(clips), clips, ties)
    found = delong(labels, first, second)
    difference, error = slow_delong(labels, first, second)
    assert found.difference == pytest.approx(difference)
    assert found.error == pytest.approx(error)
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(difference / error)))
    assert (found.low, found.high) == pytest.approx((difference - 1.959964 * error, difference + 1.959964 * error))


def test_delong_agrees_with_exchanging_the_detectors_at_random():
    generator = np.random.default_rng(3)
    labels, first, second = judged(generator, 150)
    # The AUC is about ranks: detectors may be exchanged once their scores are.
    first, second = (stats.rankdata(one) / 150 for one in (first, second))
    second = np.clip(second + 0.1 * (0.5 - labels) * generator.random(150), 0, 1)

    def area(scores):
        return (stats.rankdata(scores)[labels == 1].mean() - (labels.sum() + 1) / 2) / (labels == 0).sum()

    seen = area(first) - area(second)
    swaps = generator.random((4000, 150)) < 0.5
    drawn = [area(np.where(swap, second, first)) - area(np.where(swap, first, second)) for swap in swaps]
    permuted = np.mean(np.abs(drawn) >= abs(seen) - 1e-12)
    assert delong(labels, first, second).p == pytest.approx(permuted, abs=0.03)


def test_delong_of_a_detector_with_itself_is_certain():
    labels, first, _ = judged(np.random.default_rng(0), 30)
    found = delong(labels, first, first)
    assert (found.difference, found.p, found.reason) == (0, 1, "")


@pytest.mark.parametrize(
    ("labels", "first", "second", "reason"),
    [
        ([1, 1, 1], [0.1, 0.2, 0.3], [0.3, 0.2, 0.1], "one class only"),
        ([1], [0.1], [0.3], "one class only"),
        ([0, 1, 1], [0.1, 0.2, 0.3], [0.3, 0.2, 0.1], "a class has one clip"),
        ([0, 0, 1, 1], [0.1, 0.1, 0.9, 0.9], [0.5, 0.5, 0.5, 0.5], "the same for every clip"),
    ],
)
def test_delong_says_why_it_cannot_be_made(labels, first, second, reason):
    found = delong(np.array(labels), np.array(first), np.array(second))
    assert found.p is None
    assert reason in found.reason


def slow_wilcoxon(differences):
    """The exact test: every way the signs could have fallen."""
    differences = [value for value in differences if value]
    ranks = stats.rankdata(np.abs(differences))
    seen = abs(sum(rank * np.sign(value) for rank, value in zip(ranks, differences, strict=True)))
    signs = itertools.product([-1, 1], repeat=len(ranks))
    return np.mean([abs(np.dot(one, ranks)) >= seen - 1e-9 for one in signs])


@pytest.mark.parametrize("seed", range(5))
def test_wilcoxon_is_exact_for_few_clips(seed):
    labels, first, second = judged(np.random.default_rng(seed), 12)
    found = wilcoxon(labels, first, second)
    differences = log_losses(labels, second) - log_losses(labels, first)
    assert found.p == pytest.approx(slow_wilcoxon(differences))
    pairs = np.add.outer(differences, differences)[np.triu_indices(12)]
    assert found.effect == pytest.approx(np.sign(pairs).mean())
    assert found.clips == 12


def test_wilcoxon_knows_ties_and_no_difference():
    labels = np.array([0, 1, 0, 1])
    assert wilcoxon(labels, np.full(4, 0.5), np.full(4, 0.5)).p == 1
    assert wilcoxon(labels, np.full(4, 0.5), np.full(4, 0.5)).effect is None
    one_clip = wilcoxon(labels[:1], np.array([0.1]), np.array([0.9]))
    assert (one_clip.p, one_clip.effect, one_clip.clips) == (1, 1, 1)
    tied = wilcoxon(labels, np.array([0.1, 0.9, 0.1, 0.9]), np.array([0.9, 0.1, 0.9, 0.1]))
    assert tied.p == pytest.approx(0.125)
    assert tied.effect == 1


def test_wilcoxon_favours_the_one_that_is_less_wrong_whatever_it_calls():
    """On raw probabilities the detector that says fake more often would win, which is no merit."""
    labels = np.array([0] * 30)
    careful, trigger_happy = np.full(30, 0.1), np.linspace(0.5, 0.9, 30)
    assert wilcoxon(labels, careful, trigger_happy).effect == 1


def test_holm_is_that_of_its_definition():
    values = [0.01, 0.04, 0.03, 0.005]
    assert holm(values) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([None, 0.5, None, 0.2]) == [None, 0.5, None, 0.4]
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_the_sample_size_is_where_the_test_succeeds_four_times_in_five():
    error = accuracy_error(30, 20, 518)
    needed = clips_needed(10 / 518, error, 518)
    assert needed is not None
    generator = np.random.default_rng(0)
    draws = generator.multinomial(needed, [30 / 518, 20 / 518, 468 / 518], 4000)
    z = (draws[:, 0] - draws[:, 1]) / np.sqrt(draws[:, 0] + draws[:, 1])
    assert np.mean(np.abs(z) > 1.96) == pytest.approx(0.8, abs=0.025)
    assert clips_needed(0.0, error, 518) is None
    assert clips_needed(0.1, 0.0, 518) is None


def test_the_error_of_an_accuracy_difference_is_that_of_its_differences():
    values = np.array([1] * 7 + [-1] * 4 + [0] * 29)
    assert accuracy_error(7, 4, 40) == pytest.approx(values.std() / math.sqrt(40))


def ends(measure):
    assert measure.low is not None
    assert measure.high is not None
    return measure.low, measure.value or 0.0, measure.high


def test_differences_are_drawn_on_the_same_resamples():
    labels, first, second = judged(np.random.default_rng(1), 120)
    found = difference_measures(labels, (first, 0.5), (second, 0.5), resamples=500)
    same = difference_measures(labels, (first, 0.5), (first, 0.5), resamples=500)
    assert set(same.values()) == {Measure(0.0, None, None)}  # nothing to be sure of
    turned = difference_measures(labels, (second, 0.5), (first, 0.5), resamples=500)
    for name, measure in found.items():
        low, value, high = ends(measure)
        assert low <= value <= high, name
        assert (turned[name].low, turned[name].high) == pytest.approx((-high, -low)), name
    pair = delong(labels, first, second)
    low, _, high = ends(found["roc_auc"])
    # Those who were not seen are allowed for.
    assert 0 < (pair.low or 0.0) - low < 0.04
    assert 0 < high - (pair.high or 0.0) < 0.04


def test_clips_of_one_person_are_drawn_together():
    labels, first, second = judged(np.random.default_rng(1), 60)
    five_times = [np.tile(one, 5) for one in (labels, first, second)]
    people = np.tile(np.arange(60), 5)

    def width(groups):
        labels, first, second = five_times
        low, _, high = ends(difference_measures(labels, (first, 0.5), (second, 0.5), 1000, groups=groups)["roc_auc"])
        return high - low

    # Five copies of a person say no more than one: the interval is that of 60 clips, not of 300.
    low, _, high = ends(difference_measures(labels, (first, 0.5), (second, 0.5), 1000)["roc_auc"])
    assert width(people) == pytest.approx(high - low, rel=0.1)
    assert width(people) > 2 * width(None)
