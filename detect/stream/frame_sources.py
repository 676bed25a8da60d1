"""Where frames come from: a camera, an address or a file. Also chooses the few that are judged."""

import functools
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import av
import cv2
import numpy as np

from cache.schema import FRAMES, UserError
from detect.addresses import AddressError, open_address
from extract.video.containers import CONTAINERS, ClipError, Limits, main_stream, open_input
from extract.video.decode import choose, play, play_stream, read_times
from extract.video.display import pixel_aspect, upright

Picture = Callable[[], np.ndarray]
"""Returns a frame as uint8 RGB (H, W, 3). It is a function because most frames are never converted."""

TIMEOUT = 5.0
"""Seconds without a frame after which a source counts as lost."""
FORMATS = f"{CONTAINERS},rtsp,mpjpeg"
_HTTP = "http,https,tcp,tls,httpproxy"
PROTOCOLS = {
    "file": "file",
    "http": _HTTP,
    "https": _HTTP,
    "rtmp": "rtmp,tcp",
    "rtmps": "rtmps,tcp,tls",
    "rtp": "rtp,udp",
    "rtsp": "rtsp,tcp",
    "rtsps": "rtsps,tcp,tls",
    "srt": "srt",
    "tcp": "tcp",
    "udp": "udp",
}
"""Which of FFmpeg's protocols each kind of address may use: none leads from one kind to another, such as files."""
FINAL = (301, 302, 303, 307, 308, 404, 410)
"""Answers of a server that stay the same if it is asked again: refused redirects, and files that are not there."""


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
    if address := re.match(r"([a-z][a-z0-9+.-]*)://", word, re.IGNORECASE):
        if address[1].lower() not in PROTOCOLS:
            raise UserError(f"{word} is no address that can be watched; give one with {', '.join(PROTOCOLS)}.")
        return _address_source(word, window)
    path = Path(word)
    if not path.is_file():
        raise UserError(
            f"{word} is not a file, a camera's number or an address such as rtsp://host/path; give one of these."
        )
    try:
        times, end, scale = read_times(path, window)
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


def _address_source(address: str, window: float) -> FrameSource:
    """Returns the source at `address`: live, unless an HTTP server that can be reached now has it as a file."""
    live = FrameSource(address, True, lambda: _address(address, paced))
    try:
        if not _ask(address)[1]:
            return live
        with _opened(address) as (container, _):
            seconds = _seconds_of_file(container)
    except ClipError as error:
        raise UserError(f"{address} cannot be watched ({error.reason}); give another source.") from None
    except Lost:
        return live
    if seconds is None:
        return live
    moments = [(2 * k + 1) * seconds / (2 * FRAMES) for k in range(FRAMES)] if seconds <= window else None
    return FrameSource(address, False, lambda: _address(address, iter), moments)


def _address(address: str, pace: Callable[[Iterator[Frame]], Iterator[Frame]]) -> Iterator[Frame]:
    """Yields the frames of a live source with their time of arrival, those of a file with their own times by `pace`.

    A live sender's clock may start again at any moment.
    """
    is_file = False
    try:
        with _opened(address) as (container, stream):
            is_file, start, aspect = _seconds_of_file(container) is not None, time.monotonic(), pixel_aspect(stream)
            if is_file:
                yield from pace(
                    Frame(seconds, functools.partial(upright, frame, aspect)) for seconds, frame in play_stream(stream)
                )
                return
            for frame in container.decode(stream):
                yield Frame(time.monotonic() - start, functools.partial(upright, frame, aspect))
    except Lost as lost:
        if is_file:  # opened again, it would begin anew
            raise ClipError("unreadable", f"it broke off before its end: {lost}") from None
        raise
    raise Lost("it has ended")


@contextmanager
def _opened(address: str) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    """Opens `address` and gives its video stream too; raises Lost, or a ClipError where another try is of no use."""
    options = {
        "rtsp_transport": "tcp",
        "format_whitelist": FORMATS,
        "protocol_whitelist": PROTOCOLS[_protocol(address)],
        "max_redirects": "0",  # `_ask` has followed them
        "rw_timeout": str(int(TIMEOUT * 1e6)),
    }
    try:
        with open_input(_ask(address)[0], options, TIMEOUT) as container:
            stream = main_stream(container)
            if stream is None:
                raise Lost("it has no video")
            yield container, stream
    except (av.error.FFmpegError, OSError, ValueError) as error:
        silent = f"it has sent nothing for {TIMEOUT:g} s" if isinstance(error, av.error.ExitError) else None
        raise Lost(silent or getattr(error, "strerror", None) or str(error)) from None


def _seconds_of_file(container: av.container.InputContainer) -> float | None:
    """Returns how long the file at an address is; None for a live source, whose size or duration is unknown."""
    return container.duration / av.time_base if container.duration and container.size > 0 else None


def _protocol(address: str) -> str:
    return address.partition("://")[0].lower()


def _ask(address: str) -> tuple[str, bool]:
    """Returns where the http(s) `address` leads, and whether what is there has an end; another address leads to itself.

    So FFmpeg, which would follow redirects to any host, is given the last one. Where a server does not answer, it is
    left to FFmpeg to say why, or to sign in. Raises a ClipError where another try is of no use.
    """
    if _protocol(address) not in ("http", "https"):
        return address, False
    parts = urlsplit(address)
    plain = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()  # urllib knows no passwords in addresses
    try:
        with open_address(plain, TIMEOUT, TIMEOUT) as answer:
            return address if answer.url == plain else answer.url, answer.length is not None
    except AddressError as error:
        if error.code in FINAL:
            raise ClipError("unreadable", f"{error}, {error.code}") from None
        return address, False
