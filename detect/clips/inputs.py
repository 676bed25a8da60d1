"""Finds the clips to judge, videos and pictures: files, folders, patterns, lists, addresses if these are allowed."""

import glob
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from base.commands import command
from base.errors import UserError
from base.outside.paths import existing, plain_path
from base.progress import show
from base.temporary import scratch_folder
from detect.addresses import AddressError, Site, open_address
from detect.playlists import START, Playlist
from detect.sign_in import Address, read_address, shown
from extract.readers.found import survey
from extract.video.numbered import FPS, sentence_on_frames

LARGEST_DOWNLOAD = 4_000_000_000
"""Bytes."""
DOWNLOAD_SECONDS = 600.0
"""Longest time that the download of one clip takes."""
_CHUNK = 1 << 20
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


@dataclass(frozen=True)
class Clip:
    """A clip to judge: its `name` in the results, and its file; `reason` says why there is no file."""

    name: str
    path: Path
    reason: str = ""


@contextmanager
def open_clips(
    words: Sequence[str], allow_url: bool = False, url_seconds: float = DOWNLOAD_SECONDS, fps: float = FPS
) -> Iterator[list[Clip]]:
    """Gives the clips that `words` name, each once, in order; downloads are deleted afterwards.

    A download that has not ended after `url_seconds` is given up.

    A word is a file, a folder (all videos and pictures in and below it; one of numbered pictures is a clip), a pattern
    such as `"*.mp4"`, an address of a file, http or https, or `-` for a list of these on standard input, one a line. A
    UserError names a word that is none of these.
    """
    with scratch_folder() as folder:
        clips = {
            clip.name: clip for word in _words(words) for clip in _clips(word, allow_url, url_seconds, folder, fps)
        }
        if not clips:
            raise UserError("there is nothing to judge; name a video, a picture, a folder with them, or - for a list.")
        yield list(clips.values())


def _words(words: Sequence[str]) -> Iterator[str]:
    for word in words:
        if word == "-":
            yield from filter(None, (line.rstrip("\r\n") for line in sys.stdin))
        else:
            yield word


def _clips(word: str, allow_url: bool, url_seconds: float, downloads: Path, fps: float) -> Iterable[Clip]:
    if not word:
        raise UserError("an empty name is no clip; for the current folder, give a dot.")
    word = plain_path(word)
    if address := _ADDRESS.match(word):
        if address[1].lower() not in ("http", "https"):
            raise UserError(f"{shown(word)} may never end; judge it with {command('stream', source=shown(word))}.")
        if not allow_url:
            raise UserError(f"{shown(word)} would be downloaded; add --allow-url if you trust it, or give a file.")
        return [download(read_address(word), url_seconds, downloads, LARGEST_DOWNLOAD)]
    return [Clip(str(path), path) for path in find_clips(existing(Path(word)), fps)]


def find_clips(path: Path, fps: float = FPS) -> list[Path]:
    """Returns the file `path`, what is to be judged in and below the folder `path`, or what matches the pattern.

    A folder of numbered pictures is one clip, itself or below `path`, and is said to be, with its `fps`.
    """
    try:
        return _find_clips(path, fps)
    except OSError:  # the name is too long, or its folder may not be read
        return [path]


def _find_clips(path: Path, fps: float) -> list[Path]:
    if path.is_dir():
        below = survey(path)
        clips = sorted(below.videos + below.frames + below.pictures)
        frames = [sentence_on_frames(len(below.frames), fps)] if below.frames else []
        for sentence in [*frames, *below.describe_unread(set(clips))]:
            show(sentence, beside=True)
        if not clips:
            raise UserError(f"{path} holds no video and no picture; give a clip, or a folder with clips.")
        return clips
    if not path.exists() and glob.has_magic(str(path)):
        matches = sorted(map(Path, glob.glob(str(path), recursive=True)))  # noqa: PTH207 - takes absolute patterns too
        if not matches:
            raise UserError(f"no file matches {path}; check the pattern, or give a folder.")
        return [clip for one in matches for clip in (find_clips(one, fps) if one.is_dir() else [one])]
    return [path]


def download(address: Address, seconds: float, folder: Path, most: int, only_public: bool = False) -> Clip:
    """Downloads what is at `address`, of at most `most` bytes; a failure becomes the clip's reason.

    With `only_public`, for addresses that strangers give, this machine and its own network are refused.
    """
    path = folder / str(len(list(folder.iterdir())))
    try:
        return Clip(address.plain, path, _fetch(address, seconds, path, most, only_public))
    except AddressError as error:
        return Clip(address.plain, path, f"it cannot be downloaded ({error})")


def _fetch(address: Address, seconds: float, path: Path, most: int, only_public: bool) -> str:
    """Writes the file at `address`, or the film that a playlist there names, to `path`; returns why it cannot."""
    site = Site(address)
    if only_public and site.is_inside:
        return "it is in the network of the machine that judges"
    with open_address(address.plain, seconds, site=site) as answer:
        start, url = answer.read(len(START)), answer.url
        if start != START:
            reason = _save(start, answer.read, path, most)
            missing = getattr(answer, "length", None)
            return reason or (f"its download broke off {missing} bytes before the end" if missing else "")
    playlist = Playlist(url, site, seconds=seconds)
    watch = command("stream", source=address.plain)
    return _save(b"", playlist.read, path, most) if playlist.ends else f"it is a live source; judge it with {watch}"


def _save(start: bytes, read: Callable[[int], bytes], path: Path, most: int) -> str:
    """Writes `start`, and what `read` then gives, to `path`; returns why that is too much, whatever its header says."""
    with path.open("wb") as file:
        remaining = most - file.write(start)
        while remaining > 0 and (chunk := read(_CHUNK)):
            remaining -= file.write(chunk)
    return "" if remaining > 0 else f"it is larger than {most / 10**9:g} GB"
