"""Temperature, calibration error and reliability against other ways to the same numbers."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from evaluate.results.read import find_temperature, why_uncalibrated
from evaluate.stats.bootstrap import Measure, ends
from evaluate.stats.calibration import (
    BINS,
    LEAST_OF_CLASS,
    LOGIT,
    Temperature,
    calibration_error,
    fit_temperature,
    reliability,
)
from train.runs.predictions import Predictions, read_predictions, write_predictions


def simulated(generator, clips, heat):
    """Probabilities that are perfect at heat 1, too sure above it."""
    labels = (generator.random(clips) < 0.66).astype(int)
    scores = 1.2 * (labels - 0.5) + generator.normal(size=clips)
    return labels, expit(heat * (1.2 * scores + logit(0.66)))


@pytest.mark.parametrize("heat", [0.5, 1.0, 3.0])
def test_the_temperature_is_found_again(heat):
    labels, probabilities = simulated(np.random.default_rng(0), 20_000, heat)
    found = fit_temperature(labels, probabilities)
    assert found is not None
    assert found.value == pytest.approx(heat, rel=0.05)
    assert found.clips == 20_000


def test_the_temperature_is_that_of_a_logistic_regression_without_intercept():
    labels, probabilities = simulated(np.random.default_rng(1), 3_000, 2.0)
    slope = LogisticRegression(C=1e9, fit_intercept=False).fit(logit(probabilities)[:, None], labels).coef_[0, 0]
    found = fit_temperature(labels, probabilities)
    assert found is not None
    assert 1 / found.value == pytest.approx(slope, rel=0.01)
    assert log_loss(labels, found(probabilities)) < log_loss(labels, probabilities)


def test_calibrated_probabilities_keep_their_order_and_their_side():
    probabilities = np.array([0.0, 1e-12, 0.2, 0.5, 0.500001, 0.9, 1.0])
    for value in (0.1, 1.0, 10.0):
        calibrated = Temperature(value, 10)(probabilities)
        assert (np.diff(calibrated) >= 0).all()
        assert ((calibrated >= 0.5) == (probabilities >= 0.5)).all()
        assert ((calibrated >= 0) & (calibrated <= 1)).all()
    assert Temperature(1.0, 10)(np.array([0.2])) == pytest.approx(0.2)
    assert Temperature(1.0, 10)(np.array([1.0])) == pytest.approx(expit(LOGIT))


def test_a_few_clips_without_an_error_make_nothing_certain():
    labels, probabilities = np.array([0, 0, 0, 1, 1, 1]), np.array([0.4, 0.3, 0.45, 0.6, 0.7, 0.65])
    found = fit_temperature(labels, probabilities)
    assert found is not None
    assert found(np.array([0.65]))[0] < 0.9


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_no_temperature(label):
    assert fit_temperature(np.full(9, label), np.linspace(0, 1, 9)) is None


def test_constant_scores_have_a_temperature_that_changes_no_call():
    found = fit_temperature(np.array([0, 1, 1]), np.full(3, 0.5))
    assert found is not None
    assert found(np.array([0.5])) == pytest.approx(0.5)


def test_the_error_is_that_of_its_definition():
    labels, probabilities = simulated(np.random.default_rng(2), 500, 2.0)
    shares, means = calibration_curve(labels, probabilities, n_bins=BINS)
    sizes = np.histogram(probabilities, np.linspace(0, 1, BINS + 1))[0]
    expected = np.abs(shares - means) @ sizes[sizes > 0] / 500
    assert calibration_error(bins_of(labels, probabilities)) == pytest.approx(expected)


def bins_of(labels, probabilities, resamples=50):
    return reliability(labels, probabilities, np.arange(len(labels)), resamples, 0)


def test_the_bins_are_those_of_scikit_learn_with_exact_intervals():
    labels, probabilities = simulated(np.random.default_rng(3), 300, 1.0)
    bins = bins_of(labels, probabilities, 10_000)
    shares, means = calibration_curve(labels, probabilities, n_bins=BINS)
    assert [one.share.value for one in bins] == pytest.approx(shares)
    assert [one.probability for one in bins] == pytest.approx(means)
    assert sum(one.clips for one in bins) == 300
    for one in bins:
        exact = stats.binomtest(round(one.clips * (one.share.value or 0.0)), one.clips).proportion_ci(0.95)
        assert ends(one.share) == pytest.approx((exact.low, exact.high), abs=0.01)


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_one_clip_has_an_error_and_a_bin(probability):
    (one,) = bins = bins_of(np.array([1]), np.array([probability]))
    assert (one.clips, one.share) == (1, Measure(1.0, None, None))
    assert calibration_error(bins) == pytest.approx(1 - probability)


def disagreeing():
    """Predictions whose validation part is overconfident by 3 and whose test part is underconfident by 2."""
    generator = np.random.default_rng(5)
    (labels, probabilities), tested = simulated(generator, 2_000, 3.0), simulated(generator, 2_000, 0.5)
    parts = np.repeat(["val", "test"], 2_000)
    ids = [f"{number}.mp4" for number in range(4_000)]
    columns = np.concatenate([labels, tested[0]]), parts, np.concatenate([probabilities, tested[1]])
    return Predictions(ids, *columns, np.ones(4_000), np.full(4_000, np.nan))


def test_the_temperature_of_a_run_is_that_of_its_validation_part_alone(tmp_path):
    clips = disagreeing()
    validation, test = clips.of("val"), clips.of("test")
    expected = fit_temperature(validation.labels, validation.probabilities)
    on_test = fit_temperature(test.labels, test.probabilities)
    assert expected is not None
    assert on_test is not None
    assert expected.value > 2 > 1 > on_test.value
    assert find_temperature(clips) == expected
    write_predictions(tmp_path / "predictions.csv", clips)
    read = find_temperature(read_predictions(tmp_path / "predictions.csv"))
    assert read is not None
    assert read.value == pytest.approx(expected.value)
    assert read.clips == 2_000


def test_a_run_without_validation_has_no_temperature():
    assert find_temperature(disagreeing().of("test")) is None


@pytest.mark.parametrize("reals", [LEAST_OF_CLASS, LEAST_OF_CLASS - 1])
def test_too_few_validation_clips_of_either_class_give_no_temperature(reals):
    labels = np.repeat([0, 1], [reals, 500])
    clips = Predictions(
        list(map(str, range(len(labels)))),
        labels,
        np.full(len(labels), "val"),
        np.linspace(0.1, 0.9, len(labels)),
        np.ones(len(labels)),
        np.full(len(labels), np.nan),
    )
    assert (find_temperature(clips) is None) == (reals < LEAST_OF_CLASS)


def test_why_nothing_is_calibrated_is_said():
    assert why_uncalibrated((6, 4)).startswith("there are 6 real and 4 fake validation clips, and at least 50 of each")
    assert why_uncalibrated((0, 0)).startswith("there are no validation clips")
