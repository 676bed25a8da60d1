"""How a run called the clips of its test part, by the rules of `detect`: in words, how often it is right."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from msgspec import Meta

from cache.schema import FAKE, LEAST_COVERAGE, REAL
from evaluate.stats.band import Band
from train.data.neighbours import is_unlike
from train.runs.predictions import Predictions

_Count = Annotated[int, Meta(ge=0, le=10**9)]


@dataclass(frozen=True)
class Calls:
    """How many clips of one class were called what; `unlike` are too unlike the training clips to be called."""

    fake: _Count = 0
    real: _Count = 0
    close: _Count = 0
    unlike: _Count = 0
    undecided: _Count = 0

    @property
    def clips(self) -> int:
        """All of them."""
        return self.fake + self.real + self.close + self.unlike + self.undecided


def calls_of(clips: Predictions, band: Band) -> dict[str, Calls]:
    """Returns the calls of the "real" and of the "fake" among `clips`."""
    calls = _calls(clips, band)
    return {
        name: Calls(**Counter(calls[row] for row in np.flatnonzero(clips.labels == label)))
        for name, label in (("real", REAL), ("fake", FAKE))
    }


def called_fake(clips: Predictions, band: Band) -> np.ndarray:
    """Returns which of the N `clips` are called fake, bool (N,)."""
    return np.array([call == "fake" for call in _calls(clips, band)], bool)


def _calls(clips: Predictions, band: Band) -> list[str]:
    return [_call(*facts, band) for facts in zip(clips.probabilities, clips.coverage, clips.distances, strict=True)]


def _call(probability: float, coverage: float, distance: float, band: Band) -> str:
    if coverage < LEAST_COVERAGE:
        return "undecided"
    if is_unlike(distance):
        return "unlike"
    return {"Fake": "fake", "Real": "real", "Unsure": "close"}[band.call(probability)]


def calls_sentence(calls: Mapping[str, Calls]) -> str:
    """Returns "In its test it called 6 of 10 fakes fake, 1 real, 3 too close, and 1 of 7 real clips fake, 6 real."."""
    tested = of_classes(calls["fake"], calls["real"])
    return f"In its test it called {tested}." if tested else ""


def of_classes(fakes: Calls, reals: Calls) -> str:
    """Returns how both classes were called, without one that has none: "6 of 10 fakes fake, 4 real, and 0 of ..."."""
    classes = {"fake": fakes, "real clip": reals}
    return ", and ".join(_of_class(calls, name) for name, calls in classes.items() if calls.clips)


def _of_class(calls: Calls, name: str) -> str:
    noun = name + "s" * (calls.clips != 1)
    others = {
        "real": calls.real,
        "too close to call": calls.close,
        "too unlike its training clips": calls.unlike,
        "undecided": calls.undecided,
    }
    rest = "".join(f", {count:,} {words}" for words, count in others.items() if count)
    return f"{calls.fake:,} of {calls.clips:,} {noun} fake{rest}"
