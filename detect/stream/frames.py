"""Frames on their way from a source to a verdict, and which few of them are judged."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import count

import numpy as np

from base.errors import UserError
from cache.schema import FRAMES

Picture = Callable[[], np.ndarray]
"""Returns a frame as uint8 RGB (H, W, 3). It is a function because most frames are never converted."""

TIMEOUT = 5.0
"""Seconds without a frame after which a source counts as lost."""


class SourceError(UserError):
    """A source cannot be watched, or any further: it is given up, which has a status of its own."""

    status = 2


class Lost(Exception):
    """A live source has ended or failed; the text says how."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame: its time in seconds from the first frame of the source, and its picture."""

    seconds: float
    picture: Picture


@dataclass(frozen=True, eq=False)
class FrameSource:
    """What is watched. `frames` opens it and yields its frames; a live source (`lives`) raises Lost at its end.

    `moments` are the seconds at which frames are taken from a file shorter than a window; None for all others.
    """

    name: str
    lives: bool
    frames: Callable[[], Iterator[Frame]]
    moments: Sequence[float] | None = None


def sampled(frames: Iterable[Frame], window: float, moments: Sequence[float] | None) -> Iterator[Frame]:
    """Yields the frames on display at `moments`. If None: in the middle of each twelfth of `window`, without end.

    Frames that end before the first of these moments give their last one.
    """
    spacing = Fraction(window).limit_denominator(1000) / FRAMES
    regular = (float((number + Fraction(1, 2)) * spacing) for number in count())
    due = regular if moments is None else iter(moments)
    moment, held, some = next(due, None), None, False
    for frame in frames:
        while held is not None and moment is not None and frame.seconds > moment:
            yield held
            moment, some = next(due, None), True
        held = frame
    if held is not None and moments is None and not some:
        yield held
    if held is not None and moments is not None:
        while moment is not None:  # the last frame stays on display until the end
            yield held
            moment = next(due, None)


def paced(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Yields `frames`, none before its time."""
    start: float | None = None
    for frame in frames:
        start = time.monotonic() - frame.seconds if start is None else start
        time.sleep(max(0.0, start + frame.seconds - time.monotonic()))
        yield frame
