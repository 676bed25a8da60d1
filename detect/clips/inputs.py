"""What to judge: files, folders, patterns, lists on standard input, and addresses where they are allowed."""

import glob
import re
import sys
import tempfile
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from cache.schema import UserError
from extract.readers.dataset import VIDEO_SUFFIXES

TIMEOUT = 20.0
"""Seconds without an answer after which a download is given up."""
LARGEST_DOWNLOAD = 4_000_000_000
"""Bytes."""
_PART = 1 << 20
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


@dataclass(frozen=True)
class Clip:
    """A clip to judge: the `name` to call it by, and the file; `reason` says why there is none."""

    name: str
    path: Path
    reason: str = ""


@contextmanager
def open_clips(words: Sequence[str], allow_url: bool = False) -> Iterator[list[Clip]]:
    """Gives the clips that `words` name, each once, in order; what was downloaded is deleted afterwards.

    A word is a file, a folder (all videos in and below it), a pattern such as `"*.mp4"`, an http(s) address, or `-` for
    a list of these on standard input, one a line. A UserError says which word is none.
    """
    with tempfile.TemporaryDirectory(prefix="reelcheck-") as folder:
        found = {clip.name: clip for word in _words(words) for clip in _clips(word, allow_url, Path(folder))}
        if not found:
            raise UserError("there is no clip to judge; name a video, a folder with videos, or - for a list.")
        yield list(found.values())


def _words(words: Sequence[str]) -> Iterator[str]:
    for word in words:
        if word == "-":
            yield from filter(None, (line.rstrip("\r\n") for line in sys.stdin))
        else:
            yield word


def _clips(word: str, allow_url: bool, downloads: Path) -> Iterable[Clip]:
    if not word:
        raise UserError("an empty name is no clip, nor the folder that this is called in; say . for that.")
    if address := _ADDRESS.match(word):
        if address[1].lower() not in ("http", "https"):
            raise UserError(f"{word} is no clip that ends; judge it with python -m detect stream {word}.")
        if not allow_url:
            raise UserError(f"{word} would be downloaded; say --allow-url if you trust it, or give a file.")
        return [_download(word, downloads)]
    return [Clip(str(path), path) for path in find_clips(Path(word))]


def find_clips(path: Path) -> list[Path]:
    """Returns the file `path`, the videos in and below it if it is a folder, or the files that fit it as a pattern."""
    try:
        return _find_clips(path)
    except OSError:  # a name that is too long, or in a folder that may not be looked into
        return [path]


def _find_clips(path: Path) -> list[Path]:
    if path.is_dir():
        named = sorted(found for found in path.rglob("*") if found.suffix.lower() in VIDEO_SUFFIXES)
        below = [found for found in named if not found.is_dir()]
        if not below:
            raise UserError(f"{path} holds no video; give a clip, or a folder with clips.")
        return below
    if not path.exists() and glob.has_magic(str(path)):
        found = sorted(map(Path, glob.glob(str(path), recursive=True)))  # noqa: PTH207 - absolute ones, too
        if not found:
            raise UserError(f"no file fits {path}; check the pattern, or give a folder.")
        return [clip for one in found for clip in (find_clips(one) if one.is_dir() else [one])]
    return [path]


def _download(address: str, folder: Path) -> Clip:
    """Downloads the file at `address`; what goes wrong is the clip's reason, since the others can still be judged."""
    path = folder / str(len(list(folder.iterdir())))
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT) as answer, path.open("wb") as file:
            left = LARGEST_DOWNLOAD
            while left > 0 and (part := answer.read(_PART)):
                left -= file.write(part)
            if left > 0 and getattr(answer, "length", None):  # what is still to come
                return Clip(address, path, f"its download broke off {answer.length} bytes before the end")
            if left <= 0:  # whatever its header said
                return Clip(address, path, f"it is larger than {LARGEST_DOWNLOAD // 10**9} GB")
    except (OSError, ValueError, HTTPException) as error:
        return Clip(address, path, f"it cannot be downloaded ({getattr(error, 'reason', None) or error})")
    return Clip(address, path)
