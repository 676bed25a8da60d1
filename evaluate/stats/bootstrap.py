"""Intervals over people, which hold the truth also where people are few or all is right.

A resample gives every person a weight from the exponential distribution (Rubin, "The Bayesian bootstrap", Annals of
Statistics 9(1), 1981), so a measure is a function from a stack of weight vectors to one value each; the measure itself
is its value where all weights are one. Clips of one person have one weight: they are not independent, and an interval
that takes them as such is too narrow (Field & Welsh, "Bootstrapping clustered data", JRSS B 69(3), 2007).

What few people did not show is not in their resamples, so these alone are too narrow, and have no width where all is
right. Therefore each resample holds one imaginary person more, judged all wrong for the one end of the interval and all
right for the other (Gaffke, "Three test statistics for a nonparametric one-sided hypothesis on the mean of a
nonnegative variable", Mathematical Methods of Statistics 14(4), 2005). For a share of people that is the exact interval
of Clopper & Pearson (Biometrika 26(4), 1934). `python -m benchmarks.coverage` simulates how often the
truth lies inside.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from base.machine.processors import usable_processors
from base.progress import passing_bar

CONFIDENCE = 0.95
INTERVAL = "Bayesian bootstrap over people, with an imaginary person at each end"
_GRAINS = 1000
"""A weight of one: weights are whole numbers, whose sums are exact and fast."""
_SAME = 1e-9
"""Ends that are nearer than this are no interval: the data say nothing about how far the truth may be."""
_CELLS = 200_000
"""Weights in memory at once: few enough for the array to stay in the processor's cache."""

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
    measures: Callable[[np.ndarray], Mapping[Name, np.ndarray]],
    groups: np.ndarray,
    resamples: int,
    seed: int,
    imagined: Sequence[float] | np.ndarray = (),
) -> dict[Name, Measure]:
    """Returns the values of `measures`, a function of weights int32 (B, N + 2K), with intervals over `groups`.

    `groups` int (N,) says which clips are drawn together: those with the same number; a single group has no interval.
    `imagined` float (K,) is what the K clips of the imaginary person weigh. They follow the others, first all judged
    wrong, then all judged right. Without them an interval knows of the people only who were seen. `measures` runs on
    several threads at once.
    """
    people, clips, draw = len(np.unique(groups)), len(groups), weigher(groups, np.asarray(imagined, np.float64))
    values = measures(np.repeat(np.array([[1, 0]], np.int32), (clips, 2 * len(imagined)), axis=1))

    def sample(generator: np.random.Generator, rows: int) -> dict[Name, np.ndarray]:
        drawn, more = draw(generator, rows)
        nobody = np.zeros_like(more)
        wrong, right = (measures(np.hstack([drawn, *pair])) for pair in ((more, nobody), (nobody, more)))
        return {name: np.stack([wrong[name], right[name]], axis=1) for name in values}

    # Each end has half of the resamples. A single group has no spread to draw.
    samples = in_stacks(sample, clips, -(-resamples // 2) if people > 1 else 0, seed)
    return {name: _measure(value.item(), samples.get(name, np.empty((0, 2)))) for name, value in values.items()}


def share(hits: np.ndarray, groups: np.ndarray, resamples: int, seed: int) -> Measure:
    """Returns the mean of `hits` float (N,) in [0, 1] with an interval over `groups` int (N,); undefined if empty."""
    if not len(hits):
        return Measure(None, None, None)
    # People are drawn whole, so their sums stand for their clips.
    person = np.unique(groups, return_inverse=True)[1]
    clips = np.bincount(person).astype(np.float64)
    usual = clips.mean()
    won, of = np.append(np.bincount(person, hits), (0, usual)), np.append(clips, (usual, usual))

    def measures(weights: np.ndarray) -> dict[str, np.ndarray]:
        return {"share": weights @ won / (weights @ of)}

    return with_intervals(measures, np.arange(len(clips)), resamples, seed, [1.0])["share"]


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

    starts = range(0, resamples, size)
    if len(starts) == 1:  # where clips are few, threads would take longer than the work
        return dict(draw_stack(0))
    with ThreadPoolExecutor(usable_processors()) as threads:
        drawn = threads.map(draw_stack, starts)
        stacks = list(passing_bar(iterable=drawn, total=len(starts), desc="resampling", unit="stack", delay=2))
    return {name: np.concatenate([values[name] for values in stacks]) for name in (stacks[0] if stacks else ())}


def weigher(
    groups: np.ndarray, imagined: np.ndarray
) -> Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]:
    """Returns a function that draws B weight vectors, int32 (B, N) and those of the imaginary person's clips (B, K)."""
    names, group = np.unique(groups, return_inverse=True)
    alone = len(names) == len(groups)

    def draw(generator: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
        drawn = generator.standard_exponential((rows, len(names) + 1), np.float32)
        # Nobody weighs nothing: then every resample has both classes, and all measures are defined.
        people = np.maximum(_GRAINS * drawn[:, :-1], 1).astype(np.int32)
        more = (_GRAINS * drawn[:, -1:] * imagined).astype(np.int32)
        return people if alone else people.take(group, axis=1), more

    return draw


def _measure(value: float, samples: np.ndarray) -> Measure:
    """The interval from samples (B, 2); which side has the lower end depends on the measure."""
    if np.isnan(value):
        return Measure(None, None, None)
    if not samples.size or np.isnan(samples).any():
        return Measure(value, None, None)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(samples, (tail, 1 - tail), axis=0)
    if high.max() - low.min() < _SAME:
        return Measure(value, None, None)
    return Measure(value, min(value, float(low.min())), max(value, float(high.max())))
