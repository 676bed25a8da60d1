"""How often do 95 % intervals hold the truth where clips and people are few? `python -m benchmarks.coverage` tells.

Scores are normal for real and for fake clips, apart by what the ROC AUC says. Half of the variance of a clip is its
person's: a quarter in all clips of the person, a quarter in those of one class, so that clips of one person are alike.
A second detector shares most of the first one's scores. Each drawn test part is evaluated as the product does it, and
beside that by three intervals for the ROC AUC that are in use elsewhere. The truth is that of 200,000 people.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import norm

from base.command_line.parse import parse_flags
from base.ending import run
from base.files import write_json
from base.flags import option
from evaluate.results.measures import MAIN
from evaluate.stats.bootstrap import Measure, ends
from evaluate.stats.metrics import RESAMPLES, THRESHOLD, difference_measures, evaluate
from evaluate.stats.paired_tests import delong
from evaluate.stats.pairs import UNKNOWN, paired_share

AREAS = ((0.6, 0.6), (0.8, 0.9), (0.95, 0.95), (0.99, 0.95))
"""ROC AUC of both simulated detectors."""
LAYOUTS = ((2, 8), (2, 40), (3, 12), (5, 5), (5, 20), (8, 50), (12, 24), (20, 20), (20, 50))
"""People and clips, half of these real."""
SHARED, COMMON = 0.5, 0.7
"""The share of a clip's variance that is its person's, and of a detector's that the other one has too."""
MANY = 200_000
Z = 1.959964


@dataclass(frozen=True)
class CoverageConfig:
    """How long to simulate, and where the figures go."""

    draws: int = option(500, "test parts drawn for each detector and number of people and clips")
    resamples: int = option(RESAMPLES, "resamples behind each interval")
    seed: int = option(0, "seed of the draws")
    out: Path = option(Path("benchmarks/coverage.json"), "the file of results")


@dataclass(frozen=True)
class Row:
    """One detector, and one number of people and clips.

    `coverage` is the share of the intervals of a measure that held its truth, `width` their mean width, by the
    measure's name; differences are called `name minus`, other ways to an interval of the ROC AUC `roc_auc, way`.
    """

    roc_auc: float
    people: int
    clips: int
    coverage: dict[str, float]
    width: dict[str, float]


def main(argv: Sequence[str] | None = None) -> None:
    """Simulates, prints a line for each row, and writes the results."""
    config = parse_flags("python -m benchmarks.coverage", __doc__ or "", CoverageConfig, argv)
    rows = []
    for row in simulate(config.draws, config.resamples, config.seed):
        rows.append(row)
        print(summary_line(row), flush=True)
    print("\n".join(table_lines(rows)))
    results: dict[str, object] = {"draws": config.draws, "resamples": config.resamples, "seed": config.seed}
    results |= {"shared": SHARED, "common": COMMON, "rows": list(map(asdict, rows))}
    print(write_json(config.out, results))


def simulate(
    draws: int,
    resamples: int,
    seed: int,
    areas: Sequence[tuple[float, float]] = AREAS,
    layouts: Sequence[tuple[int, int]] = LAYOUTS,
) -> Iterator[Row]:
    """Yields a row for each of `areas` and `layouts`."""
    generator = np.random.default_rng(seed)
    for both in areas:
        truth = _truth(generator, both)
        for people, clips in layouts:
            held, widths = defaultdict(list), defaultdict(list)
            for _ in range(draws):
                for name, interval in _intervals(generator, both, people, clips, resamples).items():
                    held[name].append(interval[0] - 1e-9 <= truth[name.partition(", ")[0]] <= interval[1] + 1e-9)
                    widths[name].append(interval[1] - interval[0])
            yield Row(both[0], people, clips, _means(held), _means(widths))


def summary_line(row: Row) -> str:
    """Returns what a row says: the least coverage of all measures, and the ROC AUC's by each way."""
    ours = {name: share for name, share in row.coverage.items() if ", " not in name}
    least = min(ours, key=ours.__getitem__)
    others = ", ".join(f"{name.partition(', ')[2]} {share:.0%}" for name, share in row.coverage.items() if ", " in name)
    return (
        f"AUC {row.roc_auc:.2f}, {row.people:>2} people, {row.clips:>2} clips: ROC AUC {ours['roc_auc']:.1%}, "
        f"{row.width['roc_auc']:.2f} wide; least {ours[least]:.1%} ({least}); ROC AUC by {others}"
    )


def table_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yields the table of the documentation: a line for each number of people and clips, the least over the rest."""
    yield "| people | clips | all measures | ROC AUC | its width | percentiles over people | DeLong, logit | Newcombe |"
    yield "|" + "---|" * 8
    for people, clips in dict.fromkeys((row.people, row.clips) for row in rows):
        own = [row for row in rows if (row.people, row.clips) == (people, clips)]
        every = min(share for row in own for name, share in row.coverage.items() if ", " not in name)
        ways = ("roc_auc", *(f"roc_auc, {way}" for way in ("percentiles over people", "DeLong, logit", "Newcombe")))
        first, *others = (f"{min(row.coverage[way] for row in own):.0%}" for way in ways)
        widths = [row.width["roc_auc"] for row in own]
        width = f"{min(widths):.2f} to {max(widths):.2f}"
        yield f"| {' | '.join([str(people), str(clips), f'{every:.0%}', first, width, *others])} |"


def draw_scores(
    generator: np.random.Generator, areas: tuple[float, float], labels: np.ndarray, people: np.ndarray
) -> list[np.ndarray]:
    """Returns the probabilities of two detectors, float64 (N,), of clips with `labels` and `people` int (N,)."""

    def noise() -> np.ndarray:
        person = generator.normal(size=people.max() + 1)[people]
        of_class = generator.normal(size=(2, people.max() + 1))[labels, people]
        return np.sqrt(SHARED / 2) * (person + of_class) + np.sqrt(1 - SHARED) * generator.normal(size=len(labels))

    common = noise()
    apart = [np.sqrt(2) * norm.ppf(area) for area in areas]  # between the classes' means, in standard deviations
    scores = (np.sqrt(COMMON) * common + np.sqrt(1 - COMMON) * noise() + own * (labels - 0.5) for own in apart)
    return [expit(np.clip(own * score, -12, 12)) for own, score in zip(apart, scores, strict=True)]


def _truth(generator: np.random.Generator, areas: tuple[float, float]) -> dict[str, float]:
    labels, people = np.arange(2 * MANY) % 2, np.arange(2 * MANY) // 2
    one, two = draw_scores(generator, areas, labels, people)
    return {name: measure.value or 0.0 for name, measure in _measures(labels, one, two, people, 0, 0)}


def _intervals(
    generator: np.random.Generator, areas: tuple[float, float], people: int, clips: int, resamples: int
) -> Mapping[str, tuple[float, float]]:
    labels, persons = layout(people, clips)
    one, two = draw_scores(generator, areas, labels, persons)
    seed = int(generator.integers(2**31))
    found = {name: ends(measure) for name, measure in _measures(labels, one, two, persons, resamples, seed)}
    others = _others(generator, labels, one, persons, resamples // 2)  # as many as an end of ours has
    found |= {f"roc_auc, {way}": interval for way, interval in others}
    return {name: interval for name, interval in found.items() if interval is not None}


def layout(people: int, clips: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns labels and people, int (N,): as many real as fake clips, as evenly over the people as it goes."""
    number = np.arange(clips)
    person, turn = number % people, number // people
    return (number if people % 2 else person + turn) % 2, person


def _measures(
    labels: np.ndarray, one: np.ndarray, two: np.ndarray, people: np.ndarray, resamples: int, seed: int
) -> Iterator[tuple[str, Measure]]:
    yield from evaluate(labels, one, THRESHOLD, resamples, seed, people).items()
    differences = difference_measures(labels, (one, THRESHOLD), (two, THRESHOLD), resamples, seed, people)
    yield from ((f"{name} minus", differences[name]) for name in MAIN)
    yield "paired_share", paired_share(labels, one, np.full(len(labels), UNKNOWN), people, resamples, seed).share


def _others(
    generator: np.random.Generator, labels: np.ndarray, one: np.ndarray, people: np.ndarray, resamples: int
) -> Iterator[tuple[str, tuple[float, float]]]:
    """Yields other ways to an interval of the ROC AUC."""
    wins = (np.sign(one[labels == 1][:, None] - one[labels == 0]) + 1) / 2
    count = people.max() + 1
    drawn = generator.multinomial(count, np.full(count, 1 / count), resamples)[:, people]
    fakes, reals = drawn[:, labels == 1], drawn[:, labels == 0]
    both = fakes.sum(axis=1) * reals.sum(axis=1)
    areas = np.einsum("bf,fr,br->b", fakes, wins, reals)[both > 0] / both[both > 0]
    low, high = np.quantile(areas, (0.025, 0.975)) if areas.size else (0.0, 1.0)
    yield "percentiles over people", (float(low), float(high))
    area, error = float(wins.mean()), delong(labels, one, np.full(len(one), 0.5)).error or 0.0
    inside = float(np.clip(area, 1e-9, 1 - 1e-9))
    reach = Z * error / (inside * (1 - inside))
    yield "DeLong, logit", (float(expit(logit(inside) - reach)), float(expit(logit(inside) + reach)))
    yield "Newcombe", _newcombe(area, len(labels) // 2)


def _newcombe(area: float, each: int) -> tuple[float, float]:
    """Newcombe's method 5 for `each` clips of both classes, Statistics in Medicine 25(4), 2006."""

    def error(area: float) -> float:
        spread = 1 + (each - 1) * ((1 - area) / (2 - area) + area / (1 + area))
        return float(np.sqrt(area * (1 - area) * spread) / each)

    def end(sign: float, low: float, high: float) -> float:
        root: Any = brentq(lambda at: at + sign * Z * error(at) - area, low, high)
        return root

    return (end(1, 0, area) if area > 0 else 0.0), (end(-1, area, 1) if area < 1 else 1.0)


def _means(values: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: round(float(np.mean(own)), 4) for name, own in values.items()}


if __name__ == "__main__":
    run(main)
