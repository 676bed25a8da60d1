"""Significance tests for two detectors on the same clips: pure functions over arrays.

P-values are two-sided. A value that the data do not define is None, never NaN; `reason` says why a test is impossible.
All tests treat clips as independent; evaluate.stats.metrics.difference_measures can resample whole people instead.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from evaluate.stats.bootstrap import CONFIDENCE
from evaluate.stats.metrics import checked, log_losses

POWER = 0.8
"""Chance of detecting a real difference that `clips_needed` aims for."""


@dataclass(frozen=True)
class McNemar:
    """Is one detector right more often? `first` and `second` count the clips that only that detector gets right.

    `p` is exact and conservative; `p_mid` counts the observed table half and is less so (Fagerland et al., BMC Medical
    Research Methodology 13:91, 2013). `chi2` and `p_chi2` are the asymptotic test with Edwards' continuity correction,
    which published comparisons often use. `g` is Cohen's g: the share of disagreements that `first` wins, minus 1/2.
    """

    first: int
    second: int
    p: float
    p_mid: float
    chi2: float | None
    p_chi2: float | None
    g: float | None


@dataclass(frozen=True)
class DeLong:
    """Does one detector rank better? The difference in ROC AUC, first minus second, with its normal interval."""

    difference: float | None
    error: float | None
    low: float | None
    high: float | None
    p: float | None
    reason: str = ""


@dataclass(frozen=True)
class Wilcoxon:
    """Does one detector have the lower log-loss on the typical clip? Signed ranks of the differences.

    `clips` counts the differences that are not 0. `effect` is the matched-pairs rank-biserial correlation, from -1 (the
    second is better on every clip) to 1 (the first is).
    """

    clips: int
    median: float
    p: float
    effect: float | None


def mcnemar(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> McNemar:
    """Returns McNemar's test of the calls `first` and `second`, bool (N,) for fake.

    McNemar, "Note on the sampling error of the difference between correlated proportions", Psychometrika 12, 1947.
    """
    fake = np.asarray(labels) == 1
    one, two = (np.asarray(calls, bool) == fake for calls in (first, second))
    return mcnemar_of_counts(int((one & ~two).sum()), int((two & ~one).sum()))


def mcnemar_of_counts(first: int, second: int) -> McNemar:
    """Returns the test from the number of clips that only the first, and only the second, gets right."""
    clips = first + second
    if not clips:
        return McNemar(0, 0, 1.0, 1.0, None, None, None)
    chi2 = max(abs(first - second) - 1, 0) ** 2 / clips
    p = float(stats.binomtest(first, clips).pvalue)
    less = min(first, second)
    p_mid = float(2 * stats.binom.cdf(less, clips, 0.5) - stats.binom.pmf(less, clips, 0.5))
    return McNemar(first, second, p, p_mid, chi2, float(stats.chi2.sf(chi2, 1)), first / clips - 0.5)


def delong(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> DeLong:
    """Returns the paired test of two ROC AUCs, from probabilities of fake, float (N,).

    DeLong et al., "Comparing the areas under two or more correlated receiver operating characteristic curves",
    Biometrics 44(3), 1988, by the mid-ranks of Sun & Xu, IEEE Signal Processing Letters 21(11), 2014.
    Raises ValueError as `evaluate.stats.metrics.evaluate`.
    """
    labels, first = checked(labels, first)
    labels, second = checked(labels, second)
    fakes, reals = int(labels.sum()), int((1 - labels).sum())
    if not (fakes and reals):
        return DeLong(None, None, None, None, None, "there is one class only")
    of_fakes, of_reals = zip(*(_placements(labels, one) for one in (first, second)), strict=True)
    difference = float(of_fakes[0].mean() - of_fakes[1].mean())
    if min(fakes, reals) < 2:
        return DeLong(difference, None, None, None, None, "a class has one clip, so its variance is unknown")
    variance = np.var(np.subtract(*of_fakes), ddof=1) / fakes + np.var(np.subtract(*of_reals), ddof=1) / reals
    error = math.sqrt(variance)
    # Placements are shares of clips; equal ones can differ by rounding.
    if error < 1e-12:
        if abs(difference) < 1e-12:
            return DeLong(0.0, 0.0, 0.0, 0.0, 1.0)
        return DeLong(difference, None, None, None, None, "the difference is the same for every clip")
    reach = float(stats.norm.ppf((1 + CONFIDENCE) / 2)) * error
    p = float(2 * stats.norm.sf(abs(difference) / error))
    return DeLong(difference, error, difference - reach, difference + reach, p)


def _placements(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The share of reals below each fake, and of fakes above each real; a tie counts half."""
    fake = labels == 1
    together = stats.rankdata(probabilities)
    below = (together[fake] - stats.rankdata(probabilities[fake])) / (~fake).sum()
    above = 1 - (together[~fake] - stats.rankdata(probabilities[~fake])) / fake.sum()
    return below, above


def wilcoxon(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> Wilcoxon:
    """Returns the signed-rank test of the clips' log-losses, from probabilities of fake, float (N,).

    It compares losses because they say how wrong a probability is. On the probabilities themselves the test would tell
    which detector says fake more often, not which is better. Clips without a difference are left out, as Wilcoxon did
    (Biometrics Bulletin 1(6), 1945); effect size by Kerby, Comprehensive Psychology 3, 2014. Raises ValueError as
    `evaluate.stats.metrics.evaluate`.
    """
    gains = log_losses(labels, second) - log_losses(labels, first)
    differing = gains[gains != 0]
    median = float(np.median(gains))
    if not differing.size:
        return Wilcoxon(0, median, 1.0, None)
    ranks = stats.rankdata(np.abs(differing))
    p = float(stats.wilcoxon(differing).pvalue)
    return Wilcoxon(differing.size, median, p, float((ranks * np.sign(differing)).sum() / ranks.sum()))


def holm(values: Sequence[float | None]) -> list[float | None]:
    """Returns p-values corrected for multiple tests; None stays None and does not count as a test.

    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6(2), 1979.
    """
    known = sorted((value, row) for row, value in enumerate(values) if value is not None)
    corrected: list[float | None] = [None] * len(values)
    least = 0.0
    for number, (value, row) in enumerate(known):
        least = max(least, min(1.0, value * (len(known) - number)))
        corrected[row] = least
    return corrected


def accuracy_error(first: int, second: int, clips: int) -> float:
    """Returns the standard error of a difference in accuracy, from the clips that only one detector gets right."""
    return math.sqrt(max(first + second - (first - second) ** 2 / clips, 0)) / clips


def clips_needed(difference: float, error: float, clips: int) -> int | None:
    """Returns how many clips would reveal a `difference` of this size four times in five (`POWER`), by a normal test.

    `error` is its standard error with `clips` clips. None if the difference or its error is 0.
    """
    if not (difference and error):
        return None
    z = float(stats.norm.ppf((1 + CONFIDENCE) / 2) + stats.norm.ppf(POWER))
    return math.ceil(clips * (z * error / difference) ** 2)
