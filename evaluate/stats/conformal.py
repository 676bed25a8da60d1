"""Conformal p-values: how unusual a score is among those of clips that are known to be real.

Vovk, Gammerman & Shafer, "Algorithmic Learning in a Random World", 2005; Bates, Candes, Lei, Romano & Sesia, "Testing
for outliers with conformal p-values", Annals of Statistics 51(1), 2023. Whatever the detector is, of new real clips of
the same kind at most the share r gets a p-value of r or less. Nothing is said of how many fakes do.
"""

import math

import numpy as np

DEFAULT_RATE = 0.05
SURE = 0.95
"""How sure the stricter promise is: with a mean rate of 5 % four of ten references may have a higher one."""


def p_value(as_high: int, known: int) -> float:
    """Returns the p-value of a score that so many of the `known` scores reach."""
    return (1 + as_high) / (1 + known)


def most_as_high(known: int, rate: float, strict: bool = False) -> int:
    """Returns how many of the `known` scores may reach one that still gives an alarm; -1 if they are too few for any.

    Of real clips at most the share `rate` gives an alarm: on average over references of this size, or, where `strict`,
    by 95 in 100 references (Clopper & Pearson, "The use of confidence or fiducial limits", Biometrika 26, 1934).
    """
    if not strict:
        return math.floor(rate * (1 + known) * (1 + 1e-12)) - 1
    from scipy.stats import binom

    within = np.flatnonzero(binom.cdf(np.arange(known + 1), known, rate) <= 1 - SURE)
    return int(within[-1]) if within.size else -1


def least_known(rate: float, strict: bool = False) -> int:
    """Returns how many scores must be known for an alarm to be possible at `rate`: 19 for 0.05, 59 if `strict`."""
    if strict:
        return math.ceil(math.log(1 - SURE) / math.log(1 - rate))
    return math.ceil((1 - 1e-12) / rate) - 1
