"""How a run called its test clips, in words."""

import numpy as np

from evaluate.results.calls import Calls, calls_of, calls_sentence
from evaluate.stats.band import band_around
from train.runs.predictions import Predictions


def test_clips_are_called_as_detect_calls_them():
    probabilities = np.array([0.1, 0.5, 0.9, 0.9, 0.9, 0.9])
    coverage, distances = np.array([1, 1, 1, 1, 0.4, 1]), np.array([0.5, np.nan, 1.0, 1.2, 0.5, 0.2])
    labels = np.array([0, 0, 0, 1, 1, 1])
    clips = Predictions(list("abcdef"), labels, np.full(6, "test"), probabilities, coverage, distances)
    assert calls_of(clips, band_around(0.5, None)) == {
        "real": Calls(real=1, close=1, fake=1),
        "fake": Calls(unlike=1, undecided=1, fake=1),
    }


def test_the_sentence_counts_both_classes():
    calls = {"real": Calls(fake=1, real=6), "fake": Calls(fake=6, real=1, close=2, unlike=1)}
    assert calls_sentence(calls) == (
        "In its test it called 6 of 10 fakes fake, 1 real, 2 too close to call, 1 too unlike its training clips, and "
        "1 of 7 real clips fake, 6 real."
    )
    assert calls_sentence({"real": Calls(), "fake": Calls(fake=1)}) == "In its test it called 1 of 1 fake fake."
    assert calls_sentence({"real": Calls(), "fake": Calls()}) == ""
