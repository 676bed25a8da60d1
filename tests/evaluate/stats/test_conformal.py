"""Conformal p-values keep the rate of false alarms that they promise."""

import numpy as np
import pytest

from detect.detector.reference import KnownClip, Reference
from evaluate.stats.conformal import least_known, most_as_high, p_value

DRAWS = 1000


def alarms(known: int, rate: float, strict: bool = False, sources: int = 1) -> np.ndarray:
    """Returns float (DRAWS,): of as many references, the share of 400 new real clips that each gives an alarm for."""
    random, shares = np.random.default_rng(0), []
    for _ in range(DRAWS):
        # Clips of one source are alike, which counting each of them by itself would not survive.
        scores = np.repeat(random.normal(0, 1, known), sources) + random.normal(0, 0.2, known * sources)
        clips = [KnownClip(str(i), str(i // sources), float(1 / (1 + np.exp(-s)))) for i, s in enumerate(scores)]
        reference = Reference("x", "", tuple(clips), rate, strict)
        tops = np.sort(list(reference.scores.values()))
        new = 1 / (1 + np.exp(-random.normal(0, 1, 400) - random.normal(0, 0.2, 400)))
        as_high = known - np.searchsorted(tops, new)
        assert reference.beside(float(new[0])).as_high == as_high[0]
        shares.append((as_high <= most_as_high(known, rate, strict)).mean())
    return np.array(shares)


@pytest.mark.parametrize(("known", "rate", "sources"), [(19, 0.05, 1), (45, 0.05, 1), (30, 0.1, 4)])
def test_of_real_clips_like_those_known_at_most_the_promised_share_is_an_alarm(known, rate, sources):
    assert 0.3 * rate < alarms(known, rate, sources=sources).mean() <= rate * 1.05


@pytest.mark.parametrize("known", [59, 100])
def test_the_strict_promise_is_kept_by_nineteen_references_in_twenty(known):
    kept = (alarms(known, 0.05, strict=True) <= 0.05).mean()
    assert kept >= 0.935
    assert (alarms(known, 0.05) <= 0.05).mean() < kept - 0.1


def test_how_many_have_to_be_known():
    assert [least_known(rate) for rate in (0.05, 0.1, 0.01, 1 / 3)] == [19, 9, 99, 2]
    assert least_known(0.05, strict=True) == 59
    for rate in (0.05, 0.1):
        for strict in (False, True):
            least = least_known(rate, strict)
            assert [most_as_high(known, rate, strict) for known in (least - 1, least)] == [-1, 0]
    assert p_value(0, 19) == 0.05
