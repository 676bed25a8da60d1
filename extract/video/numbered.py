"""A folder of numbered pictures is a clip: `000.png`, `001.png` and so on, whoever took them out of which video.

The numbers say when each is shown. Any padding will do, and numbers may be missing: the picture before a gap is shown
until its end, as a frame of a video is.
"""

import functools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from base.commands import flag
from base.errors import UserError
from base.text import printable
from cache.profile import Sampling
from extract.video.clock import Timeline
from extract.video.containers import ClipError, Limits
from extract.video.film import Film, Frames
from extract.video.pictures import PICTURE_SUFFIXES, read_picture

FPS = 25.0
"""Numbers a second, unless the user says otherwise."""
FASTEST = 1000.0
LEAST = 2
"""Numbered pictures that make a folder a clip; a single one is a picture."""
_NUMBERED = re.compile(r"(?:frames?[ _-]?)?(\d{1,9})", re.IGNORECASE)


def require_rate(fps: float) -> None:
    """Raises a UserError unless `fps` is a rate that a clip can have."""
    if not 0 < fps <= FASTEST:
        raise UserError(f"{flag('fps', f'{fps:g}')} is no rate of frames; give a number a second, up to {FASTEST:g}.")


def sentence_on_frames(count: int, fps: float) -> str:
    """Returns what is said where `count` clips are folders of numbered pictures, shown at `fps`."""
    many = f"{count} folders of numbered pictures are clips" if count > 1 else "A folder of numbered pictures is a clip"
    return f"{many}, {fps:g} numbers a second ({flag('fps', '...')} says how many)."


def number_of(name: str) -> int | None:
    """Returns the number of the picture called `name`, such as 7 of `0007.png` or `frame_7.jpg`; None if it has none.

    Other words before a number, as in `IMG_0007.jpg`, say that pictures were numbered, not the frames of a clip.
    """
    stem, dot, suffix = name.rpartition(".")
    match = _NUMBERED.fullmatch(stem)
    return int(match[1]) if match and dot + suffix.lower() in PICTURE_SUFFIXES else None


def is_clip_of(names: Iterable[str]) -> bool:
    """Returns whether a folder with files of these `names` is a clip."""
    return sum(number_of(name) is not None for name in names) >= LEAST


def numbered_in(folder: Path) -> dict[int, Path]:
    """Returns the numbered pictures in `folder` in their order; raises ClipError if two have the same number."""
    found: dict[int, Path] = {}
    for path in folder.iterdir():
        number = number_of(path.name)
        if number is not None and (other := found.setdefault(number, path)) != path:
            names = " and ".join(sorted((other.name, path.name)))
            raise ClipError("ambiguous", f"{printable(folder.name)} has number {number} twice, {printable(names)}")
    return {number: found[number] for number in sorted(found)}


def sample_folder(folder: Path, sampling: Sampling, limits: Limits, fps: float) -> Frames:
    """Returns the sampled frames of the clip in `folder`, without pictures that cannot be read, as if they were gaps.

    Raises ClipError if none can be read, with the reason of the first.
    """
    pictures = numbered_in(folder)
    start, name = min(pictures, default=0), printable(folder.name)
    reasons: dict[int, str] = {}
    while pictures:
        failed: dict[int, str] = {}
        frames = _film(pictures, start, limits, fps, failed).sample(sampling)
        if not failed:
            return frames
        reasons |= failed
        pictures = {number: path for number, path in pictures.items() if number not in failed}
    if not reasons:
        raise ClipError("missing", f"{name} is a folder without numbered pictures, such as 000.png")
    first = reasons[min(reasons)]
    raise ClipError("no_frames", f"none of the {len(reasons)} pictures in {name} can be read: {first}")


def film_of_folder(folder: Path, limits: Limits, fps: float) -> Film:
    """Returns the clip in `folder`; its `decode` leaves out the pictures that cannot be read."""
    pictures = numbered_in(folder)
    return _film(pictures, min(pictures, default=0), limits, fps, {})


def _film(pictures: Mapping[int, Path], start: int, limits: Limits, fps: float, failed: dict[int, str]) -> Film:
    """Returns the film of `pictures` from the number `start` on; `failed` gets the reasons of those not read."""
    numbers = list(pictures)
    times = [number - start for number in numbers]
    # The last picture is shown as long as the others are in the middle.
    gap = int(np.median(np.diff(times))) if len(times) > 1 else 1
    end = times[-1] + gap if times else 0
    if end > limits.frames:
        raise ClipError("too_long", f"its pictures have numbers from {start} on over more than {limits.frames} frames")
    decode = functools.partial(_read, numbers, pictures, limits, failed)
    return Film(Timeline(times, end, 1 / fps), decode, lambda image: image)


def _read(
    numbers: list[int], pictures: Mapping[int, Path], limits: Limits, failed: dict[int, str], wanted: Collection[int]
) -> Iterator[tuple[int, np.ndarray]]:
    for place in sorted(wanted):
        number = numbers[place]
        try:
            yield place, read_picture(pictures[number], limits).images[0]
        except ClipError as error:
            failed[number] = error.reason
