"""Which scores are too close to call."""

import numpy as np
import pytest

from evaluate.stats.band import LEAST_ODDS, band_around
from evaluate.stats.calibration import Temperature


@pytest.mark.parametrize("value", [0.3, 1.0, 4.0])
def test_at_its_ends_one_call_is_so_many_times_as_likely_as_the_other(value):
    temperature = Temperature(value, 200)
    band = band_around(0.5, temperature)
    low, high = temperature(np.array([band.low, band.high]))
    assert (1 - low) / low == pytest.approx(LEAST_ODDS)
    assert high / (1 - high) == pytest.approx(LEAST_ODDS)
    assert band.fitted


def test_without_a_temperature_the_width_is_the_default_and_that_is_said():
    band = band_around(0.5, None)
    assert (band.low, band.high) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert "the default width" in band.sentence
    assert "validation clips say" in band_around(0.5, Temperature(1.0, 200)).sentence


@pytest.mark.parametrize("temperature", [None, Temperature(0.1, 200), Temperature(10.0, 200)])
def test_a_score_beside_the_threshold_is_never_called(temperature):
    for threshold in (0.1, 0.5, 0.9):
        band = band_around(threshold, temperature)
        assert band.low < threshold < band.high
        assert [band.call(score) for score in (threshold - 1e-3, threshold, threshold + 1e-3)] == ["Unsure"] * 3
        assert [band.call(score) for score in (0.0, band.low, band.high, 1.0)] == ["Real", "Real", "Fake", "Fake"]


@pytest.mark.parametrize(("threshold", "called"), [(0.0, "Fake"), (1.0, "Real")])
def test_thresholds_that_call_all_clips_alike_leave_nothing_to_be_unsure_of(threshold, called):
    band = band_around(threshold, Temperature(10.0, 200))
    assert {band.call(score) for score in (1e-12, 0.5, 1 - 1e-12)} == {called}
    assert "No score" in band.sentence
