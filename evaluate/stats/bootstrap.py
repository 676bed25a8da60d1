"""Percentile bootstrap intervals (Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13).

A resample gives every clip a weight, so a measure is a function from a stack of weight vectors to one value each; the
measure itself is its value where all weights are one. Clips may be drawn in groups: clips of one person are not
independent, and an interval that takes them as such is too narrow (Field & Welsh, "Bootstrapping clustered data",
JRSS B 69(3), 2007). A resample that leaves a measure undefined (it drew one class only) does not count for that
measure's interval; if more than `MOST_UNDEFINED` of them do so, there is no interval.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from base.machine.processors import usable_processors

CONFIDENCE = 0.95
MOST_UNDEFINED = 0.1
"""Share of resamples that may leave a measure undefined before it gets no interval, as tiny classes do."""
_CELLS = 200_000
"""Weights in memory at once: few enough for the array to stay in the processor's cache."""

Values = Iterator[tuple[str, np.ndarray]]
"""Pairs of a name and its values float64 (B,), one per weight vector; NaN where undefined."""
Name = TypeVar("Name")


@dataclass(frozen=True)
class Measure:
    """A value and the ends of its 95 % interval; None where the data do not define them."""

    value: float | None
    low: float | None
    high: float | None


def ends(measure: Measure) -> tuple[float, float] | None:
    """Returns both ends of the interval of `measure`, None if it has no interval."""
    return None if measure.low is None or measure.high is None else (measure.low, measure.high)


def with_intervals(
    measures: Callable[[np.ndarray], Mapping[Name, np.ndarray]], groups: np.ndarray, resamples: int, seed: int
) -> dict[Name, Measure]:
    """Returns the values of `measures`, a function of weights int32 (B, N), with intervals over `groups`.

    `groups` int (N,) says which clips are drawn together: those with the same number; a single group has no interval.
    `measures` runs on several threads at once.
    """
    values = measures(np.ones((1, len(groups)), np.int32))
    # A single group has no spread to draw.
    resamples = resamples if len(np.unique(groups)) > 1 else 0
    draw = weigher(groups)
    samples = in_stacks(lambda generator, rows: measures(draw(generator, rows)), len(groups), resamples, seed)
    return {name: _measure(value.item(), samples.get(name, np.empty(0))) for name, value in values.items()}


def in_stacks(
    draw: Callable[[np.random.Generator, int], Mapping[Name, np.ndarray]], clips: int, resamples: int, seed: int
) -> dict[Name, np.ndarray]:
    """Returns values float64 (`resamples`,) by name; `draw` makes as many of them as it is asked for.

    They are drawn in stacks, on one thread for each processor that this process may use. A stack is small enough for
    arrays of `clips` numbers per value to stay in the processor's cache. Each stack has its own generator, so the
    values depend on `seed` alone.
    """
    size = max(1, _CELLS // clips)

    def draw_stack(start: int) -> Mapping[Name, np.ndarray]:
        return draw(np.random.default_rng((seed, start)), min(size, resamples - start))

    with ThreadPoolExecutor(usable_processors()) as threads:
        stacks = list(threads.map(draw_stack, range(0, resamples, size)))
    return {name: np.concatenate([values[name] for values in stacks]) for name in (stacks[0] if stacks else ())}


def weigher(groups: np.ndarray) -> Callable[[np.random.Generator, int], np.ndarray]:
    """Returns a function that draws B weight vectors, int32 (B, N): how often each clip's group is drawn."""
    names, group = np.unique(groups, return_inverse=True)
    alone = len(names) == len(groups)

    def draw(generator: np.random.Generator, rows: int) -> np.ndarray:
        draws = generator.integers(0, len(names), (rows, len(names))) + len(names) * np.arange(rows)[:, None]
        counts = np.bincount(draws.ravel(), minlength=rows * len(names)).astype(np.int32).reshape(rows, -1)
        return counts if alone else counts.take(group, axis=1)

    return draw


def _measure(value: float, samples: np.ndarray) -> Measure:
    defined = samples[~np.isnan(samples)]
    if np.isnan(value):
        return Measure(None, None, None)
    if not samples.size or defined.size < (1 - MOST_UNDEFINED) * samples.size:
        return Measure(value, None, None)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(defined, (tail, 1 - tail))
    return Measure(value, float(low), float(high))
