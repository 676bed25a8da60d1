"""Where frames come from: a camera, an address or a file."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import cv2

from base.errors import UserError
from detect.sign_in import read_address, shown
from detect.stream.address_sources import open_address_source
from detect.stream.frames import Frame, FrameSource, Lost, SourceError
from extract.video.containers import ClipError, Limits
from extract.video.decode import play, read_times
from extract.video.film import choose


def open_source(word: str, window: float) -> FrameSource:
    """Returns the source called `word`: the number of a camera, an address, or a file.

    A file shorter than `window` seconds is sampled as a clip, so its last verdict equals that of `detect`.
    Raises a UserError if `word` is none of these.
    """
    if word.isdecimal() and len(word) < 10:  # OpenCV numbers cameras in 32 bits
        return FrameSource(f"camera {word}", True, lambda: _camera(int(word)))
    if re.match(r"[a-z][a-z0-9+.-]*://", word, re.IGNORECASE):
        return open_address_source(read_address(word), window)
    path = Path(word)
    if not path.is_file():
        raise UserError(
            f"{shown(word)} is not a file, a camera's number or an address such as rtsp://host/path; give one of these."
        )
    try:
        times, end, scale = read_times(path, window)
    except ClipError as error:
        raise SourceError(f"{word} cannot be watched ({error.reason}); give another source.") from None
    seconds = [times[position] * scale for position in choose(times, end, "uniform")]
    moments = seconds if times and end * scale <= window else None
    return FrameSource(word, False, lambda: _file(path), moments)


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
