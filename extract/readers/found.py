"""What lies below a folder: its clips, videos and folders of numbered pictures, and all that is none.

One walk finds everything, so what no reader takes can be counted: nothing is left out without a word.
"""

import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from extract.video.numbered import is_clip_of, number_of
from extract.video.pictures import PICTURE_SUFFIXES

# fmt: off
VIDEO_SUFFIXES = frozenset((
    ".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v", ".mkv", ".webm", ".avi", ".divx", ".mpg", ".mpeg",
    ".mpe", ".m1v", ".m2v", ".vob", ".ts", ".mts", ".m2ts", ".m2t", ".wmv", ".asf", ".flv", ".gif", ".ogv",
    ".ogm", ".mxf", ".dv", ".nut", ".ivf", ".y4m", ".h264", ".264", ".hevc", ".h265", ".265", ".mjpeg", ".mjpg",
))
# fmt: on
"""How the names of videos end, for data sets, `detect` and its page: those of the containers that are read here."""
ARCHIVE_LEFTOVERS = "__MACOSX"
"""The folder in which macOS packs what other systems have no use for."""
MOST_FOLDERS = 5
"""Folders that a sentence names."""


def is_video(path: Path) -> bool:
    """Returns whether `path` has the suffix of a video and is not hidden (macOS leaves hidden companion files).

    A broken link or a pipe counts too: it becomes a listed failure.
    """
    return path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".") and not path.is_dir()


@dataclass
class Found:
    """What lies in and below the folder `root`; a reader takes what lies below `base`, which is `root` or in it.

    `videos` are files, `frames` folders with numbered pictures and no video. `pictures` are those that belong to no
    such clip, `numbered` counts those that do, by their clip. `hidden` are videos that nobody is to see, `others` all
    other files. `closed` are folders whose content was not looked at, with the reason.
    """

    root: Path
    base: Path
    videos: list[Path] = field(default_factory=list)
    frames: list[Path] = field(default_factory=list)
    pictures: list[Path] = field(default_factory=list)
    numbered: Counter[Path] = field(default_factory=Counter)
    hidden: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    def within(self, base: Path) -> "Found":
        """Returns the same for a data set whose own folder is `base`."""
        return replace(self, base=base)

    @property
    def clips(self) -> list[Path]:
        """The videos and folders of numbered pictures below `base`."""
        return sorted(path for path in self.videos + self.frames if self.base in path.parents)

    @property
    def folders(self) -> set[str]:
        """The names of the folders in `base`."""
        return {path.name for path in self.base.iterdir() if path.is_dir()}

    def describe_unread(self, read: Collection[Path]) -> Iterator[str]:
        """Yields the sentences that say what is not among the clips `read`, by folder; none if there is nothing.

        Files that are neither videos nor pictures are counted where clips lie.
        """
        yield from self.closed
        loose = [path.parent for path in (*self.videos, *self.hidden) if path not in read]
        pictures = [
            path for path in self.pictures if path not in read and not (path.parent in read and _is_frame(path))
        ]
        by_folder = Counter([*loose, *(path.parent for path in pictures)])
        by_folder.update({folder: count for folder, count in self.numbered.items() if folder not in read})
        if count := by_folder.total():
            what = "1 video or picture that is" if count == 1 else f"{count} videos and pictures that are"
            yield f"{self.root} has {what} not read: {self._places(by_folder)}."
        mixed = {path.parent for path in pictures if _is_frame(path)}
        if mixed := sorted(mixed & {path.parent for path in read}):
            more = f" and {len(mixed) - 1} more folders hold" if len(mixed) > 1 else " holds"
            yield f"{mixed[0]}{more} both videos and numbered pictures: the videos are read."
        near = {path.parent for path in read if path not in self.numbered} | (self.numbered.keys() & set(read))
        suffixes = Counter(path.suffix.lower() or "without a suffix" for path in self.others if path.parent in near)
        if count := suffixes.total():
            listed = ", ".join(f"{number} {kind}" for kind, number in sorted(suffixes.items()))
            yield f"{count} file{'s' * (count > 1)} in {self.root} left out, no clips by their names: {listed}."

    def _places(self, by_folder: Counter[Path]) -> str:
        largest = sorted(by_folder, key=lambda folder: (-by_folder[folder], folder))
        named = [f"{by_folder[folder]} in {self._shown(folder)}" for folder in largest[:MOST_FOLDERS]]
        rest = largest[MOST_FOLDERS:]
        named += [f"{sum(by_folder[one] for one in rest)} in {len(rest)} more folders"] if rest else []
        return ", ".join(named)

    def _shown(self, folder: Path) -> str:
        return f"{folder.relative_to(self.root)}/" if folder != self.root else "the folder itself"


def _is_frame(path: Path) -> bool:
    return number_of(path.name) is not None


def survey(root: Path) -> Found:
    """Returns what lies in and below the folder `root`. Nothing hidden is a clip, nor what lies in a hidden folder.

    Links to folders are not followed.
    """
    found = Found(root, root)
    denied: list[OSError] = []
    for place, subfolders, names in os.walk(root, onerror=denied.append):
        here = Path(place)
        links = [here / name for name in subfolders if (here / name).is_symlink()]
        found.closed += [f"{path} is a link to a folder; its content is left out." for path in sorted(links)]
        parts = here.relative_to(root).parts
        hidden = any(part.startswith(".") or part == ARCHIVE_LEFTOVERS for part in parts)
        _sort(here, names, hidden, found)
    found.closed += [f"{error.filename} cannot be read ({error.strerror}); it is left out." for error in denied]
    return found


def _sort(here: Path, names: Sequence[str], hidden: bool, found: Found) -> None:
    """Adds the files called `names` in the folder `here` to `found`."""
    videos, pictures = [], []
    for name in names:
        suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - of a million names, without a Path for each
        if hidden or name.startswith("."):
            found.hidden += [here / name] if suffix in VIDEO_SUFFIXES else []
        elif suffix in VIDEO_SUFFIXES:
            videos.append(name)
        elif suffix in PICTURE_SUFFIXES:
            pictures.append(name)
        else:
            found.others.append(here / name)
    found.videos += [here / name for name in videos]
    if not videos and is_clip_of(pictures):
        found.frames.append(here)
        numbered = [name for name in pictures if number_of(name) is not None]
        found.numbered[here] = len(numbered)
        pictures = sorted(set(pictures) - set(numbered))
    found.pictures += [here / name for name in pictures]
