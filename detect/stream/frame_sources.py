"""Where frames come from: a camera, an address or a file. Also chooses the few that are judged."""

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from pathlib import Path

import av
import cv2
import numpy as np

from cache.schema import FRAMES, UserError
from extract.video.containers import CONTAINERS, ClipError, Limits, main_stream
from extract.video.decode import choose, play, read_times
from extract.video.display import pixel_aspect, upright

Picture = Callable[[], np.ndarray]
"""Returns a frame as uint8 RGB (H, W, 3). It is a function because most frames are never converted."""

TIMEOUT = 5.0
"""Seconds without a frame after which a source counts as lost."""
FORMATS = f"{CONTAINERS},rtsp,mpjpeg"


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


def open_source(word: str, window: float) -> FrameSource:
    """Returns the source called `word`: the number of a camera, an address, or a file.

    A file shorter than `window` seconds is sampled as a clip, so its last verdict equals that of `detect`.
    Raises a UserError if `word` is none of these.
    """
    if word.isdecimal() and len(word) < 10:  # OpenCV numbers cameras in 32 bits
        return FrameSource(f"camera {word}", True, lambda: _camera(int(word)))
    if "://" in word:
        return FrameSource(word, True, lambda: _address(word))
    path = Path(word)
    if not path.is_file():
        raise UserError(
            f"{word} is not a file, a camera's number or an address such as rtsp://host/path; give one of these."
        )
    try:
        times, end, scale = read_times(path)
    except ClipError as error:
        raise UserError(f"{word} cannot be watched ({error.reason}); give another source.") from None
    seconds = [times[position] * scale for position in choose(times, end, "uniform")]
    moments = seconds if times and end * scale <= window else None
    return FrameSource(word, False, lambda: _file(path), moments)


def sampled(frames: Iterable[Frame], window: float, moments: Sequence[float] | None) -> Iterator[Frame]:
    """Yields the frames on display at `moments`. If None: in the middle of each twelfth of `window`, without end."""
    spacing = Fraction(window).limit_denominator(1000) / FRAMES
    regular = (float((number + Fraction(1, 2)) * spacing) for number in count())
    due = regular if moments is None else iter(moments)
    moment, held = next(due, None), None
    for frame in frames:
        while held is not None and moment is not None and frame.seconds > moment:
            yield held
            moment = next(due, None)
        held = frame
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


def _file(path: Path) -> Iterator[Frame]:
    for seconds, picture in play(path, Limits(frames=10**9)):
        yield Frame(seconds, picture)


def _camera(number: int) -> Iterator[Frame]:
    camera = cv2.VideoCapture(number)
    try:
        start = time.monotonic()
        while True:
            read, image = camera.read()
            if not read:
                raise Lost(f"camera {number} gives no picture")
            yield Frame(time.monotonic() - start, lambda image=image: cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
    finally:
        camera.release()


def _address(address: str) -> Iterator[Frame]:
    """Yields frames with their time of arrival: the sender's clock may start again at any moment."""
    options = {"rtsp_transport": "tcp", "format_whitelist": FORMATS, "rw_timeout": str(int(TIMEOUT * 1e6))}
    try:
        with av.open(address, options=options, timeout=TIMEOUT, metadata_errors="ignore") as container:
            stream = main_stream(container)
            if stream is None:
                raise Lost("it has no video")
            start, aspect = time.monotonic(), pixel_aspect(stream)
            for frame in container.decode(stream):
                yield Frame(time.monotonic() - start, functools.partial(upright, frame, aspect))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        silent = f"it has sent nothing for {TIMEOUT:g} s" if isinstance(error, av.error.ExitError) else None
        raise Lost(silent or getattr(error, "strerror", None) or str(error)) from None
    raise Lost("it has ended")
