"""From how many validation clips does a temperature help? `python -m benchmarks.calibration` simulates it.

A head's logits are normal for real and for fake clips, apart by what its ROC AUC says, and off by a known temperature:
divided by that they are the log-odds of fake. The clips of a person share half of their variance, and the people of
validation are not those of test. A temperature is fitted on validation as the product fits it; it helps if the expected
log-loss on the people of test is lower with it than without.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from base.command_line.parse import parse_flags
from base.ending import run
from base.files import write_json
from base.flags import option
from evaluate.stats.calibration import LOGIT, fit_temperature
from evaluate.stats.metrics import log_losses

AREAS = (0.6, 0.7, 0.8, 0.9)
"""ROC AUC of the simulated heads."""
TEMPERATURES = (0.5, 1.0, 1.5, 2.0, 4.0)
"""The true ones: at 1 a fitted one can only harm, above it the head is overconfident."""
COUNTS = (4, 8, 12, 20, 32, 50, 64, 100, 200)
"""Validation clips of each class."""
PER_PERSON, SHARED = 4, 0.5
"""Clips of each class that show one person, and the share of their variance that is the person's."""
TEST_CLIPS = 4000
"""Of each class: enough that the log-loss on them is the expected one, to 0.01."""
GRID = np.geomspace(0.1, 10, 41)
"""Temperatures at which the log-loss on test is computed; between them it is interpolated."""


@dataclass(frozen=True)
class SimulationConfig:
    """How long to simulate, and where the figures go."""

    draws: int = option(200, "validation parts drawn for each kind of head and number of clips")
    seed: int = option(0, "seed of the draws")
    out: Path = option(Path("benchmarks/calibration.json"), "the file of results")


@dataclass(frozen=True)
class Row:
    """One kind of head and one number of validation clips of each class.

    `lowers` is the share of draws in which the fitted temperature lowers the log-loss on test. `mean_change` is how
    much it changes it on average, in nats, below 0 for the better, and `worst_tenth` what one draw in ten exceeds.
    """

    roc_auc: float
    temperature: float
    clips: int
    lowers: float
    mean_change: float
    worst_tenth: float


def main(argv: Sequence[str] | None = None) -> None:
    """Simulates, prints a line for each number of clips, and writes the results."""
    config = parse_flags("python -m benchmarks.calibration", __doc__ or "", SimulationConfig, argv)
    rows = list(simulate(config.draws, config.seed))
    for count in COUNTS:
        print(summary_line(count, [row for row in rows if row.clips == count]))
    results: dict[str, object] = {"draws": config.draws, "seed": config.seed}
    results |= {"per_person": PER_PERSON, "shared": SHARED, "rows": list(map(asdict, rows))}
    print(write_json(config.out, results))


def simulate(draws: int, seed: int, counts: Sequence[int] = COUNTS) -> Iterator[Row]:
    """Yields a row for each kind of head and each of `counts`."""
    generator = np.random.default_rng(seed)
    for area in AREAS:
        for temperature in TEMPERATURES:
            labels, probabilities = draw_clips(generator, area, temperature, TEST_CLIPS)
            losses = _losses(labels, probabilities)
            raw = float(log_losses(labels, probabilities).mean())
            for count in counts:
                changes = np.array(
                    [
                        np.interp(np.log(_fitted(generator, area, temperature, count)), np.log(GRID), losses) - raw
                        for _ in range(draws)
                    ]
                )
                lowers, worst = float((changes < 0).mean()), float(np.quantile(changes, 0.9))
                yield Row(area, temperature, count, lowers, round(float(changes.mean()), 5), round(worst, 5))


def draw_clips(
    generator: np.random.Generator, area: float, temperature: float, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns labels int64 and probabilities float64 (2 x count,) of `count` real and `count` fake clips."""
    apart = np.sqrt(2) * norm.ppf(area)  # between the classes' means, in standard deviations
    labels = np.repeat([0, 1], count)
    people = generator.normal(size=-(-count // PER_PERSON))
    person = np.tile(np.repeat(people, PER_PERSON)[:count], 2)  # a fake shows the person of its real clip
    noise = np.sqrt(SHARED) * person + np.sqrt(1 - SHARED) * generator.normal(size=2 * count)
    log_odds = apart * (noise + apart * (labels - 0.5))
    return labels, expit(np.clip(temperature * log_odds, -LOGIT, LOGIT))


def summary_line(count: int, rows: Sequence[Row]) -> str:
    """Returns what the `rows` with `count` clips say, heads that are off and heads that are right apart."""
    off, right = ([row for row in rows if (row.temperature == 1) == is_right] for is_right in (False, True))
    lowers = [row.lowers for row in off]
    return (
        f"{count:>4} of each: lowers the log-loss of heads that are off in {np.mean(lowers):.0%} of draws (the least "
        f"{min(lowers):.0%}), by {-np.mean([row.mean_change for row in off]):.3f} on average; costs heads that are "
        f"right {np.mean([row.mean_change for row in right]):.3f} (one in ten more than "
        f"{max(row.worst_tenth for row in right):.3f})"
    )


def _fitted(generator: np.random.Generator, area: float, temperature: float, count: int) -> float:
    fitted = fit_temperature(*draw_clips(generator, area, temperature, count))
    assert fitted is not None
    return fitted.value


def _losses(labels: np.ndarray, probabilities: np.ndarray) -> list[float]:
    """Returns the log-loss on clips at each temperature of `GRID`."""
    logits = np.log(probabilities / (1 - probabilities))
    return [float(np.mean(np.logaddexp(0, logits / value) - labels * logits / value)) for value in GRID]


if __name__ == "__main__":
    run(main)
