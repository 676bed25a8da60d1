"""A 95 % interval is one of 95 %, by distributions that are known without resampling."""

import numpy as np
import pytest
from scipy import stats

from evaluate.stats.bootstrap import with_intervals
from evaluate.stats.paired_tests import delong

CLIPS, SHARE = 2000, 0.5


def shares(weights: np.ndarray) -> dict[str, np.ndarray]:
    """The share of the first half of the clips; of N clips drawn, their number is binomial."""
    return {"share": weights[:, : int(CLIPS * SHARE)].sum(axis=1) / weights.sum(axis=1)}


@pytest.mark.parametrize("size", [1, 4])
def test_the_ends_of_a_bootstrap_interval_leave_out_a_fortieth_each(size):
    """At 92.5 % they would be nine in a hundred nearer."""
    found = with_intervals(shares, np.arange(CLIPS) // size, 20_000, 0)["share"]
    assert found.low is not None
    assert found.high is not None
    groups = CLIPS // size
    expected = stats.binom(groups, SHARE).ppf([0.025, 0.975]) / groups
    half = (expected[1] - expected[0]) / 2
    assert (found.low, found.high) == pytest.approx(expected, abs=0.03 * half)


def test_the_interval_of_a_difference_fits_its_p_value():
    random = np.random.default_rng(0)
    labels = np.arange(400) % 2
    first, second = (1 / (1 + np.exp(-random.normal(labels * apart))) for apart in (2.0, 1.6))
    found = delong(labels, first, second)
    assert None not in (found.low, found.high, found.p)
    z = stats.norm.isf(found.p / 2)  # pyright: ignore[reportOptionalOperand]
    assert (found.high - found.low) / 2 == pytest.approx(1.959964 * abs(found.difference) / z, rel=1e-3)  # pyright: ignore
