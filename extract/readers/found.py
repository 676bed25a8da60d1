"""What lies below a folder: its clips, and what is left out because nothing shows that it is one."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

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


def is_video(path: Path) -> bool:
    """Returns whether `path` has the suffix of a video and is not hidden (macOS leaves hidden companion files).

    A broken link or a pipe counts too: it becomes a listed failure.
    """
    return path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".") and not path.is_dir()


@dataclass
class Found:
    """The clips below some folders, sorted; links to folders, which are not followed; the files left out, by kind."""

    clips: list[Path] = field(default_factory=list)
    links: list[Path] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def describe_left_out(self, folder: Path) -> list[str]:
        """Returns the sentences that say what was left out below `folder`; none if nothing was."""
        sentences = [f"{path} is a link to a folder; its content is left out." for path in self.links]
        if count := self.left_out.total():
            kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(self.left_out.items()))
            sentences.append(f"{count} file{'s' * (count > 1)} in {folder} left out, no clips by their names: {kinds}.")
        return sentences


def find_clips(
    folders: Sequence[Path], deep: bool = True, is_clip: Callable[[Path], bool] = is_video, known: Sequence[str] = ()
) -> Found:
    """Returns what lies in `folders`, and below them if `deep`. Files called as in `known` belong to the layout.

    Nothing hidden is a clip, neither a file nor what lies in a hidden folder; hidden clips are counted.
    """
    found = Found()
    for folder in folders:
        for place, subfolders, names in os.walk(folder):
            here = Path(place)
            if deep:
                found.links += [here / name for name in subfolders if (here / name).is_symlink()]
            hidden = any(part.startswith(".") or part == ARCHIVE_LEFTOVERS for part in here.relative_to(folder).parts)
            for path in (here / name for name in names if name not in known):
                if not hidden and is_clip(path):
                    found.clips.append(path)
                elif not hidden and not path.name.startswith("."):
                    found.left_out[path.suffix.lower() or "without a suffix"] += 1
                elif path.suffix.lower() in VIDEO_SUFFIXES:
                    found.left_out["hidden"] += 1
            if not deep:
                break
    found.clips.sort()
    found.links.sort()
    return found
