"""The band around a threshold in which a score is too close to call."""

import math
from dataclasses import dataclass
from typing import Literal

from evaluate.stats.calibration import Temperature

LEAST_ODDS = 2.0
"""A clip is called Real or Fake only if that is at least this many times as likely to be right as wrong."""


Call = Literal["Real", "Unsure", "Fake"]


@dataclass(frozen=True)
class Band:
    """A clip is called fake from the score `threshold` on, unless its score lies between `low` and `high`.

    `fitted` says whether the width comes from the run's validation clips; else it is the default.
    """

    low: float
    threshold: float
    high: float
    fitted: bool

    def call(self, score: float) -> Call:
        """Returns what a clip with this score is called."""
        if self.low < score < self.high:
            return "Unsure"
        return "Fake" if score >= self.threshold else "Real"

    @property
    def sentence(self) -> str:
        """Which scores are too close to call, and where that comes from."""
        if self.low == self.high:
            return "No score is too close to call."
        source = "as wide as the run's validation clips say" if self.fitted else "the default width"
        return f"Scores between {self.low:.3f} and {self.high:.3f} are too close to call, {source}."


def band_around(threshold: float, temperature: Temperature | None) -> Band:
    """Returns the band around `threshold`; without a `temperature` the scores are taken for calibrated ones.

    Chow, "On optimum recognition error and reject tradeoff", IEEE Transactions on Information Theory 16(1), 1970: call
    nothing of which you are less sure than a wrong call is worth. How sure a score is, the temperature says: it is what
    log-odds have to be divided by, so the odds are below `LEAST_ODDS` up to temperature x log(`LEAST_ODDS`) on either
    side of a threshold of 0.5. Any other threshold gets as much in log-odds; 0 and 1 leave nothing to be unsure of.
    """
    value = temperature.value if temperature else 1.0
    low, high = (_moved(threshold, side * value * math.log(LEAST_ODDS)) for side in (-1, 1))
    return Band(low, threshold, high, temperature is not None)


def _moved(probability: float, log_odds: float) -> float:
    """Returns `probability` with its log-odds moved by `log_odds`."""
    factor = math.exp(log_odds)
    return probability * factor / (probability * factor + 1 - probability)
