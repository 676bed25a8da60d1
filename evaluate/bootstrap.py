"""Percentile bootstrap intervals (Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13).

A resample is a weight for every clip, so a measure is a function from a stack of weight vectors to a value for each;
the value itself is that of the weights that are all one. Clips may be drawn in groups: footage of one person stands or
falls together, and an interval that takes it for independent is too narrow (Field & Welsh, "Bootstrapping clustered
data", JRSS B 69(3), 2007). A resample that leaves a measure undefined (it drew one class only) is left out of that
measure's interval; where more than `MOST_UNDEFINED` of them do, there is no interval.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95
MOST_UNDEFINED = 0.1
"""Share of the resamples that may leave a measure undefined before its interval is withheld: a class of one or two."""
_CELLS = 200_000
"""Weights held at once, in numbers: few enough for an array of them to stay in the processor's cache."""

Values = Iterator[tuple[str, np.ndarray]]
"""Names with float64 (B,) values, one a weight vector; NaN where undefined."""


@dataclass(frozen=True)
class Measure:
    """A value and the ends of its 95 % interval; each None where the data do not define it."""

    value: float | None
    low: float | None
    high: float | None


def ends(measure: Measure) -> tuple[float, float] | None:
    """Returns the ends of the interval of `measure`, None where it has none."""
    return None if measure.low is None or measure.high is None else (measure.low, measure.high)


def with_intervals(
    measures: Callable[[np.ndarray], Values], groups: np.ndarray, resamples: int, seed: int
) -> dict[str, Measure]:
    """Returns what `measures` yields for weights float64 (B, N), with intervals over `groups`.

    `groups` int (N,) says which clips are drawn together; its values mean nothing else.
    """
    values = {name: value.item() for name, value in measures(np.ones((1, len(groups))))}
    drawn: dict[str, list[np.ndarray]] = {name: [np.empty(0)] for name in values}
    for weights in _resampled(groups, resamples, seed):
        for name, value in measures(weights):
            drawn[name].append(value)
    return {name: _measure(value, np.concatenate(drawn[name])) for name, value in values.items()}


def _resampled(groups: np.ndarray, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yields stacks of float64 (B, N) weights, `resamples` in all: how often each clip's group is drawn."""
    names, group = np.unique(groups, return_inverse=True)
    alone = len(names) == len(groups)
    generator = np.random.default_rng(seed)
    stack = max(1, _CELLS // len(groups))
    for start in range(0, resamples, stack):
        rows = min(stack, resamples - start)
        places = generator.integers(0, len(names), (rows, len(names))) + len(names) * np.arange(rows)[:, None]
        counts = np.bincount(places.ravel(), minlength=rows * len(names)).reshape(rows, -1).astype(np.float64)
        yield counts if alone else counts[:, group]


def _measure(value: float, drawn: np.ndarray) -> Measure:
    defined = drawn[~np.isnan(drawn)]
    if np.isnan(value):
        return Measure(None, None, None)
    if not drawn.size or defined.size < (1 - MOST_UNDEFINED) * drawn.size:
        return Measure(value, None, None)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(defined, (tail, 1 - tail))
    return Measure(value, float(low), float(high))
