"""The clips of the page: uploads, kept under random names for as long as they are needed; limits on them; examples."""

import math
import secrets
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from base.commands import flag
from base.errors import UserError
from base.text import printable
from detect.web.config import SERVED
from extract.drawn.clip import Capture, Scene, draw_clip, draw_empty_clip
from extract.drawn.look import make_look
from extract.readers.found import VIDEO_SUFFIXES, is_video
from extract.video.containers import ClipError, Limits
from extract.video.decode import play_seconds
from extract.video.pictures import PICTURE_SUFFIXES
from extract.worker_pool import map_clips

KNOWN_SUFFIXES = VIDEO_SUFFIXES | PICTURE_SUFFIXES
WAITING, KEPT = 3600, 600
"""Seconds after which an upload is deleted that was not judged, and one that was and plays beside its verdict."""
SWEEP_SECONDS = 10
MOST_EXAMPLES = 12
MEGABYTE = 1 << 20
FASTEST = 250
"""Frames a second up to which a clip may be as long as the page allows."""
MEASURE_SECONDS = 30.0
"""Seconds that measuring a clip's length may take."""


class NoRoom(Exception):
    """An upload that does not fit in; the message is a sentence for its visitor."""


@dataclass(frozen=True)
class Upload:
    """A clip that was uploaded: by which visitor, its size in bytes, when it is deleted, and what holds it.

    `due` is by the monotonic clock. `tab` is the tab of a browser that holds the clip, "" before it does.
    """

    visitor: str
    size: int
    due: float
    tab: str = ""
    is_judged: bool = False


class Uploads:
    """Clips on their way through a private `folder`: at most `most_bytes` in all, `most_bytes_each` of one visitor.

    Each lies in `served`, from where its visitor's browser plays it, in a folder with a random name that only this
    visitor is told; who does not know the name can neither see the clip, nor have it judged or deleted.
    """

    def __init__(self, folder: Path, most_bytes: int, most_bytes_each: int) -> None:
        self.served = folder / SERVED
        self.examples = self.served / "examples"
        self.examples.mkdir(parents=True)
        self._most, self._most_each = most_bytes, most_bytes_each
        self._kept: dict[Path, Upload] = {}  # oldest first
        self._arriving: Counter[str] = Counter()
        self._lock = threading.RLock()

    @contextmanager
    def arriving(self, visitor: str) -> Iterator[Callable[[int], None]]:
        """Gives what counts the bytes of an upload while it arrives; that raises `NoRoom` when there is none left."""
        total = 0

        def count(size: int) -> None:
            nonlocal total
            with self._lock:
                self._make_room(visitor, size)
                self._arriving[visitor] += size
                total += size

        try:
            yield count
        finally:
            with self._lock:
                self._arriving -= Counter({visitor: total})

    def keep(self, visitor: str, content: IO[bytes], name: str) -> Path:
        """Writes an upload that has arrived, and returns its path; of its `name` only the suffix is kept."""
        self.sweep()
        suffix = Path(name).suffix.lower()  # FFmpeg tells some formats by it
        # Whoever sees many names of `tempfile` can tell the next ones.
        clip = self.served / secrets.token_hex(16) / ("clip" + (suffix if suffix in KNOWN_SUFFIXES else ""))
        clip.parent.mkdir()
        try:
            with clip.open("wb") as file:
                shutil.copyfileobj(content, file)
        except BaseException:
            shutil.rmtree(clip.parent)
            raise
        with self._lock:
            self._kept[clip] = Upload(visitor, clip.stat().st_size, time.monotonic() + WAITING)
        return clip

    def has(self, clip: Path) -> bool:
        """Tells whether `clip` is an upload that is still here, or an example."""
        return clip in self._kept or (clip.parent == self.examples and clip.is_file())

    def is_for(self, path: Path, visitor: str) -> bool:
        """Tells whether `visitor` may fetch the file at `path`: an example, their own upload, or no file of ours."""
        path, served = path.resolve(), self.served.resolve()
        if not path.is_relative_to(served) or path.is_relative_to(served / self.examples.name):
            return True
        upload = self._kept.get(self.served / path.relative_to(served))
        return upload is not None and upload.visitor == visitor

    def replace(self, clip: Path | None, newer: Path | None, tab: str = "") -> Path | None:
        """Returns `newer` if it is here, held by `tab`; `clip`, whose place it takes, is deleted if it is another."""
        if clip != newer:
            self.release(clip)
        with self._lock:
            if newer in self._kept:
                self._kept[newer] = replace(self._kept[newer], tab=tab)
        return newer if newer is not None and self.has(newer) else None

    def keep_on(self, clip: Path | None) -> None:
        """Keeps an upload that was judged for a while, so that its visitor can play it."""
        with self._lock:
            if clip is not None and clip in self._kept:
                self._kept[clip] = replace(self._kept[clip], due=time.monotonic() + KEPT, is_judged=True)

    def release(self, clip: Path | None) -> None:
        """Deletes an upload; examples stay."""
        with self._lock:
            if clip is not None and self._kept.pop(clip, None):
                shutil.rmtree(clip.parent, ignore_errors=True)

    def leave(self, visitor: str, tab: str) -> None:
        """Deletes what a `tab` holds that its `visitor` has closed."""
        with self._lock:
            for clip, upload in list(self._kept.items()):
                if (upload.visitor, upload.tab) == (visitor, tab):
                    self.release(clip)

    def sweep(self) -> None:
        """Deletes uploads that are due."""
        with self._lock:
            for clip, upload in list(self._kept.items()):
                if time.monotonic() > upload.due:
                    self.release(clip)

    @contextmanager
    def swept(self) -> Iterator[None]:
        """Has uploads deleted when they are due, until the block ends."""
        ended = threading.Event()

        def sweep() -> None:
            while not ended.wait(SWEEP_SECONDS):
                self.sweep()

        threading.Thread(target=sweep, name="sweeper", daemon=True).start()
        try:
            yield
        finally:
            ended.set()

    def _make_room(self, visitor: str, size: int) -> None:
        """Deletes uploads until `size` more bytes fit in, those first that are due first.

        Where the page is full, a clip that was judged goes first, whosever it is: it only plays. Another is deleted of
        whoever has the most, but none of those who have as little as this visitor.
        """
        while size:
            uses = Counter(self._arriving)
            for upload in self._kept.values():
                uses[upload.visitor] += upload.size
            whose = visitor
            if uses[visitor] + size <= self._most_each:
                if uses.total() + size <= self._most:
                    return
                if clip := self._first_due(lambda upload: upload.is_judged):
                    self.release(clip)
                    continue
                whose, _ = uses.most_common(1)[0]
            clip = self._first_due(lambda upload, whose=whose: upload.visitor == whose)
            if clip is None or (whose != visitor and uses[whose] <= uses[visitor] + size):
                raise NoRoom("There is no room for another clip right now; come back in a few minutes.")
            self.release(clip)

    def _first_due(self, among: Callable[[Upload], bool]) -> Path | None:
        due = {clip: upload.due for clip, upload in self._kept.items() if among(upload)}
        return min(due, key=due.__getitem__, default=None)


def refusal_of(clip: Path, most_bytes: int, most_seconds: float, work_seconds: float = MEASURE_SECONDS) -> str:
    """Returns the sentence that refuses a `clip` as too large, "" for others. The detector refuses what is no clip."""
    try:
        size = clip.stat().st_size
    except FileNotFoundError:
        return "it is no longer here; drop it again."
    if size > most_bytes:
        return f"it has {size / MEGABYTE:.0f} MB; this page takes files of up to {most_bytes / MEGABYTE:.0f} MB."
    ((_, seconds),) = map_clips(play_seconds, [(0, (clip,))], 1, min(MEASURE_SECONDS, work_seconds))
    if not isinstance(seconds, ClipError) and seconds > most_seconds:
        return f"it plays for {seconds:.0f} s; this page takes clips of up to {most_seconds:g} s, so cut it first."
    return ""


def clip_limits(most_seconds: float, seconds: float) -> Limits:
    """Returns the limits for judging one clip of at most `most_seconds` in `seconds` of work."""
    return Limits(frames=math.ceil(most_seconds * FASTEST), seconds=seconds, all_seconds=seconds)


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
