"""A 95 % interval is one of 95 %, by distributions that are known without resampling."""

import numpy as np
import pytest
from scipy import stats

from evaluate.stats.bootstrap import ends, share
from evaluate.stats.metrics import difference_measures, evaluate, roc_band
from evaluate.stats.paired_tests import delong


@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize(("right", "people"), [(0, 5), (7, 7), (19, 20), (30, 60)])
def test_the_interval_of_a_share_of_people_is_the_exact_one(size, right, people):
    """Clopper & Pearson's; a person's clips that are all alike count as one."""
    found = share(
        np.repeat(np.arange(people) < right, size).astype(float), np.repeat(np.arange(people), size), 20_000, 0
    )
    exact = stats.binomtest(right, people).proportion_ci(0.95, method="exact")
    assert ends(found) == pytest.approx((exact.low, exact.high), abs=0.006)


@pytest.mark.parametrize("people", [2, 5, 40])
@pytest.mark.parametrize("clips", [1, 3])
def test_where_all_is_right_no_interval_is_without_width(people, clips):
    labels, groups = np.tile([0, 1], people * clips), np.arange(2 * people * clips) // (2 * clips)
    found = evaluate(labels, np.where(labels == 1, 0.9, 0.1), resamples=500, groups=groups)
    for name, measure in found.items():
        low, high = ends(measure) or (0.0, 0.0)
        assert high - low > 1 / (4 * people), name
        assert low <= (measure.value or 0.0) <= high, name
    area = ends(found["roc_auc"]) or (1.0, 1.0)
    # As many pairs of a real and a fake clip as there are people are independent of each other.
    exact = stats.binomtest(people, people).proportion_ci(0.95, method="exact")
    assert area[0] <= exact.low + 0.03


def test_a_single_person_has_no_interval():
    found = evaluate(np.array([0, 1, 0, 1]), np.array([0.1, 0.9, 0.6, 0.8]), resamples=50, groups=np.zeros(4, int))
    assert {(measure.low, measure.high) for measure in found.values()} == {(None, None)}


def test_two_detectors_without_a_fault_may_differ():
    labels = np.arange(40) % 2
    one, two = (np.where(labels == 1, 0.5 + sure, 0.5 - sure) for sure in (0.4, 0.3))
    found = difference_measures(labels, (one, 0.5), (two, 0.5), resamples=500)["accuracy"]
    assert found.value == 0
    low, high = ends(found) or (0.0, 0.0)
    assert low < -0.02 < 0.02 < high


def test_the_band_of_a_perfect_roc_curve_has_a_width():
    labels = np.arange(20) % 2
    _, low, high = roc_band(labels, labels * 0.8 + 0.1)
    assert (high - low)[:50].min() > 0.05


def test_the_interval_of_a_difference_fits_its_p_value():
    random = np.random.default_rng(0)
    labels = np.arange(400) % 2
    first, second = (1 / (1 + np.exp(-random.normal(labels * apart))) for apart in (2.0, 1.6))
    found = delong(labels, first, second)
    assert None not in (found.low, found.high, found.p)
    z = stats.norm.isf(found.p / 2)  # pyright: ignore[reportOptionalOperand]
    assert (found.high - found.low) / 2 == pytest.approx(1.959964 * abs(found.difference) / z, rel=1e-3)  # pyright: ignore
