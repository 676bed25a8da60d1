"""The clips of the page: what visitors gave, under random names and until it is judged; what is too much; examples."""

import math
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import av

from cache.schema import UserError, printable
from detect.web.config import SERVED
from extract.clip_workers import map_clips
from extract.clips.decode import CONTAINERS, ClipError, Limits
from extract.drawn.clip import Capture, Scene, draw_clip, draw_empty_clip
from extract.drawn.look import make_look
from extract.readers.dataset import VIDEO_SUFFIXES, is_video

KEPT = 3600
"""Seconds after which a clip that nobody had judged is deleted."""
MOST_EXAMPLES = 12
MEGABYTE = 1 << 20
FASTEST = 250
"""Frames a second of the fastest cameras whose clips may still be as long as any."""
WORK_SECONDS, MEASURE_SECONDS = 300.0, 30.0
"""Seconds that judging a clip, and finding out how long it is, may take."""


class Uploads:
    """Clips on their way through `folder`, which is ours alone.

    Gradio writes what visitors send to `served`, from where their browser plays it. It names files by their content, so
    two visitors with one clip share a file: each clip is therefore held under a random name of its own, out of every
    browser's reach, and that is what is judged.
    """

    def __init__(self, folder: Path) -> None:
        self.served, self._held = folder / SERVED, folder / "held"
        self.examples = self.served / "examples"
        for each in (self._held, self.examples):
            each.mkdir(parents=True)
        self._originals: dict[Path, Path] = {}

    def hold(self, upload: Path) -> Path | None:
        """Returns where `upload` is now held as well; None if it is there no more."""
        self._sweep()
        suffix = upload.suffix.lower()
        # The visitor's name of it ends here, whatever it holds; FFmpeg tells some formats by the suffix.
        clip = Path(tempfile.mkdtemp(dir=self._held)) / ("clip" + (suffix if suffix in VIDEO_SUFFIXES else ""))
        try:
            _link(upload, clip)
        except FileNotFoundError:
            clip.parent.rmdir()
            return None
        self._originals[clip] = upload
        return clip

    def release(self, clip: Path | None) -> None:
        """Deletes a clip that was held, and what was uploaded as it; examples stay."""
        if clip is None or (original := self._originals.pop(clip, None)) is None:
            return
        shutil.rmtree(clip.parent, ignore_errors=True)
        if not original.is_relative_to(self.examples):
            original.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Deletes uploads that were broken off, which Gradio forgets."""
        for path in self.served.rglob("*"):
            if not path.is_relative_to(self.examples) and path.is_file() and time.time() - path.stat().st_ctime > KEPT:
                path.unlink(missing_ok=True)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # a file system without links
        shutil.copyfile(source, target)


def what_is_too_much(clip: Path, most_bytes: int, most_seconds: float) -> str:
    """Returns the sentence that refuses `clip`, "" if it may be judged. What is no clip is for the detector to say."""
    try:
        size = clip.stat().st_size
    except FileNotFoundError:
        return "it is here no more; drop it again."
    if size > most_bytes:
        return f"it has {size / MEGABYTE:.0f} MB; this page takes clips of up to {most_bytes / MEGABYTE:.0f} MB."
    ((_, seconds),) = map_clips(clip_seconds, [(0, (clip,))], 1, MEASURE_SECONDS)
    if not isinstance(seconds, ClipError) and seconds > most_seconds:
        return f"it plays for {seconds:.0f} s; this page takes clips of up to {most_seconds:g} s, so cut it first."
    return ""


def clip_seconds(clip: Path) -> float:
    """Returns how long `clip` plays, by the times of its packets: none is decoded. 0 for what cannot be read at all."""
    times: list[float] = []
    try:
        with av.open(f"file:{clip}", metadata_errors="ignore", options={"format_whitelist": CONTAINERS}) as container:
            stream = container.streams.video[0]
            for count, packet in enumerate(container.demux(stream)):
                # Containers that give no times show their frames at the usual pace.
                shown = count / float(stream.average_rate or 25)
                times.append(shown if packet.pts is None else float(packet.pts * (stream.time_base or 0)))
    except (av.error.FFmpegError, OSError, ValueError, OverflowError, IndexError):
        return 0.0
    return max(times, default=0.0) - min(times, default=0.0)


def clip_limits(most_seconds: float) -> Limits:
    """Returns what judging one clip of at most `most_seconds` may cost."""
    return Limits(frames=math.ceil(most_seconds * FASTEST), seconds=WORK_SECONDS)


Example = tuple[str, Path]
"""What an example is called, and its clip."""


def draw_examples(folder: Path) -> list[Example]:
    """Draws the examples that are always there into `folder`: a person who talks for 8 seconds, and nobody."""
    talking = draw_clip(folder / "1.mp4", Scene(make_look(7, 1), (7,)), Capture(frames=200))
    return [("A drawn face", talking), ("A room without a face", draw_empty_clip(folder / "2.mp4", seed=7))]


def copy_examples(source: Path, folder: Path) -> list[Example]:
    """Copies the first clips in `source` into `folder`, under names of ours; a UserError if there is none."""
    if not source.is_dir():
        raise UserError(f"--examples {source} is not a folder; give one with clips in it.")
    found: Sequence[Path] = sorted(filter(is_video, source.iterdir()))[:MOST_EXAMPLES]
    if not found:
        raise UserError(f"--examples {source} holds no clip; give a folder with clips, or leave it out.")
    targets = [folder / f"{number}{path.suffix.lower()}" for number, path in enumerate(found, start=1)]
    return [(printable(path.stem), Path(shutil.copyfile(path, to))) for path, to in zip(found, targets, strict=True)]
