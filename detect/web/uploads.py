"""The clips of the page: uploads, kept under random names until they are judged; limits on them; the examples."""

import math
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from cache.commands import flag
from cache.schema import UserError, printable
from detect.web.config import SERVED
from extract.clip_workers import map_clips
from extract.drawn.clip import Capture, Scene, draw_clip, draw_empty_clip
from extract.drawn.look import make_look
from extract.readers.found import VIDEO_SUFFIXES, is_video
from extract.video.containers import ClipError, Limits
from extract.video.decode import play_seconds
from extract.video.pictures import PICTURE_SUFFIXES

KNOWN_SUFFIXES = VIDEO_SUFFIXES | PICTURE_SUFFIXES
KEPT = 3600
"""Seconds after which an upload is deleted that nobody asked to be judged."""
MOST_EXAMPLES = 12
MEGABYTE = 1 << 20
FASTEST = 250
"""Frames a second up to which a clip may be as long as the page allows."""
WORK_SECONDS, MEASURE_SECONDS = 300.0, 30.0
"""Seconds that judging a clip may take, and that measuring its length may take."""


class Uploads:
    """Clips on their way through a private `folder`.

    Gradio writes uploads to `served`, from where the browser plays them. It names files by their content, so two
    visitors with the same clip share a file. Therefore each clip is also held under a random name, out of every
    browser's reach, and that file is judged.
    """

    def __init__(self, folder: Path) -> None:
        self.served, self._held = folder / SERVED, folder / "held"
        self.examples = self.served / "examples"
        for each in (self._held, self.examples):
            each.mkdir(parents=True)
        self._originals: dict[Path, Path] = {}

    def hold(self, upload: Path) -> Path | None:
        """Returns the path under which `upload` is now held too; None if the upload is gone."""
        self._sweep()
        suffix = upload.suffix.lower()
        # The visitor's file name is dropped here; its suffix stays, because FFmpeg tells some formats by it.
        clip = Path(tempfile.mkdtemp(dir=self._held)) / ("clip" + (suffix if suffix in KNOWN_SUFFIXES else ""))
        try:
            _link(upload, clip)
        except FileNotFoundError:
            clip.parent.rmdir()
            return None
        self._originals[clip] = upload
        return clip

    def replace(self, clip: Path | None, upload: Path | None) -> Path | None:
        """Returns where `upload` is held, after `clip`, which was held before, is released unless it is the same."""
        if clip is not None and self._originals.get(clip) == upload:
            return clip
        self.release(clip)
        return self.hold(upload) if upload else None

    def release(self, clip: Path | None) -> None:
        """Deletes a held clip and its upload; examples stay."""
        if clip is None or (original := self._originals.pop(clip, None)) is None:
            return
        shutil.rmtree(clip.parent, ignore_errors=True)
        if not original.is_relative_to(self.examples):
            original.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Deletes old files of uploads that broke off; Gradio forgets them."""
        for path in self.served.rglob("*"):
            if not path.is_relative_to(self.examples) and path.is_file() and time.time() - path.stat().st_ctime > KEPT:
                path.unlink(missing_ok=True)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # the file system has no links
        shutil.copyfile(source, target)


def refusal_of(clip: Path, most_bytes: int, most_seconds: float) -> str:
    """Returns the sentence that refuses a `clip` as too large, "" for others. The detector refuses what is no clip."""
    try:
        size = clip.stat().st_size
    except FileNotFoundError:
        return "it is no longer here; drop it again."
    if size > most_bytes:
        return f"it has {size / MEGABYTE:.0f} MB; this page takes files of up to {most_bytes / MEGABYTE:.0f} MB."
    ((_, seconds),) = map_clips(play_seconds, [(0, (clip,))], 1, MEASURE_SECONDS)
    if not isinstance(seconds, ClipError) and seconds > most_seconds:
        return f"it plays for {seconds:.0f} s; this page takes clips of up to {most_seconds:g} s, so cut it first."
    return ""


def clip_limits(most_seconds: float) -> Limits:
    """Returns the limits for judging one clip of at most `most_seconds`."""
    return Limits(frames=math.ceil(most_seconds * FASTEST), seconds=WORK_SECONDS)


Example = tuple[str, Path]
"""The label of an example, and its clip."""


def draw_examples(folder: Path) -> list[Example]:
    """Draws the default examples into `folder`: a person who talks for 8 seconds, and an empty room."""
    talking = draw_clip(folder / "1.mp4", Scene(make_look(7, 1), (7,)), Capture(frames=200))
    return [("A drawn face", talking), ("A room without a face", draw_empty_clip(folder / "2.mp4", seed=7))]


def copy_examples(source: Path, folder: Path) -> list[Example]:
    """Copies the first clips of `source` into `folder` under new names; a UserError if there is none."""
    if not source.is_dir():
        raise UserError(f"{flag('examples', source)} is not a folder; give one with clips in it.")
    clips: Sequence[Path] = sorted(filter(is_video, source.iterdir()))[:MOST_EXAMPLES]
    if not clips:
        raise UserError(f"{flag('examples', source)} holds no clip; give a folder with clips, or leave it out.")
    targets = [folder / f"{number}{path.suffix.lower()}" for number, path in enumerate(clips, start=1)]
    return [(printable(path.stem), Path(shutil.copyfile(path, to))) for path, to in zip(clips, targets, strict=True)]
