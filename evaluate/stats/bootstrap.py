"""Percentile bootstrap intervals (Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13).

A resample is a weight for every clip, so a measure is a function from a stack of weight vectors to a value for each;
the value itself is that of the weights that are all one. Clips may be drawn in groups: footage of one person stands or
falls together, and an interval that takes it for independent is too narrow (Field & Welsh, "Bootstrapping clustered
data", JRSS B 69(3), 2007). A resample that leaves a measure undefined (it drew one class only) is left out of that
measure's interval; where more than `MOST_UNDEFINED` of them do, there is no interval.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

CONFIDENCE = 0.95
MOST_UNDEFINED = 0.1
"""Share of the resamples that may leave a measure undefined before its interval is withheld: a class of one or two."""
_CELLS = 200_000
"""Weights held at once, in numbers: few enough for an array of them to stay in the processor's cache."""

Values = Iterator[tuple[str, np.ndarray]]
"""Names with float64 (B,) values, one a weight vector; NaN where undefined."""
Name = TypeVar("Name")


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
    measures: Callable[[np.ndarray], Mapping[Name, np.ndarray]], groups: np.ndarray, resamples: int, seed: int
) -> dict[Name, Measure]:
    """Returns what `measures` yields for weights int32 (B, N), with intervals over `groups`.

    `groups` int (N,) says which clips are drawn together; its values mean nothing else. `measures` runs on several
    threads at once.
    """
    values = measures(np.ones((1, len(groups)), np.int32))
    draw = weigher(groups)
    drawn = in_stacks(lambda generator, rows: measures(draw(generator, rows)), len(groups), resamples, seed)
    return {name: _measure(value.item(), drawn.get(name, np.empty(0))) for name, value in values.items()}


def in_stacks(
    draw: Callable[[np.random.Generator, int], Mapping[Name, np.ndarray]], clips: int, resamples: int, seed: int
) -> dict[Name, np.ndarray]:
    """Returns the (`resamples`,) values by name of which `draw` returns a given number, a stack of them at a time.

    The stacks, as many as keep arrays of `clips` numbers a value in the processor's cache, are drawn on a thread a
    core; each has a generator of its own, so that the values depend on `seed` alone.
    """
    stack = max(1, _CELLS // clips)

    def drawn(start: int) -> Mapping[Name, np.ndarray]:
        return draw(np.random.default_rng((seed, start)), min(stack, resamples - start))

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        stacks = list(threads.map(drawn, range(0, resamples, stack)))
    return {name: np.concatenate([values[name] for values in stacks]) for name in (stacks[0] if stacks else ())}


def weigher(groups: np.ndarray) -> Callable[[np.random.Generator, int], np.ndarray]:
    """Returns what draws B weight vectors, int32 (B, N): how often the group of each clip is drawn."""
    names, group = np.unique(groups, return_inverse=True)
    alone = len(names) == len(groups)

    def draw(generator: np.random.Generator, rows: int) -> np.ndarray:
        places = generator.integers(0, len(names), (rows, len(names))) + len(names) * np.arange(rows)[:, None]
        counts = np.bincount(places.ravel(), minlength=rows * len(names)).astype(np.int32).reshape(rows, -1)
        return counts if alone else counts.take(group, axis=1)

    return draw


def _measure(value: float, drawn: np.ndarray) -> Measure:
    defined = drawn[~np.isnan(drawn)]
    if np.isnan(value):
        return Measure(None, None, None)
    if not drawn.size or defined.size < (1 - MOST_UNDEFINED) * drawn.size:
        return Measure(value, None, None)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(defined, (tail, 1 - tail))
    return Measure(value, float(low), float(high))
