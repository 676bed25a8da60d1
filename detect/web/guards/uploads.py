"""Which clip the files of an upload are: one file, or the numbered pictures of one folder."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from detect.web.guards.refusals import Refused
from extract.readers.found import VIDEO_SUFFIXES
from extract.video.numbered import number_of
from extract.video.pictures import PICTURE_SUFFIXES

KNOWN_SUFFIXES = VIDEO_SUFFIXES | PICTURE_SUFFIXES
FRAMES = "clip.frames"
"""The folder in which numbered pictures lie."""
Sent = tuple[str, Path]
"""What the sender calls a file, perhaps with folders before it, and where it lies."""
ONE = "a form has one clip: a file called file, or several that are the numbered pictures of one folder"


def clip_of(files: Sequence[Sent], folder: Path) -> tuple[str, Path]:
    """Returns what to call the clip that the `files` are, and where it lies: in `folder`, under a name of ours.

    Of several files, those that are no video or picture by their names are deleted, as a browser sends all of a
    folder. Refuses what is no one clip.
    """
    if len(files) > 1:
        clips = [file for file in files if _is_clip(file[0])]
        for _, path in {*files} - {*clips}:
            path.unlink()
        files = clips
    if not files:
        raise Refused(400, f"Choose a clip or a picture first: {ONE}.")
    return _frames(files, folder) if len(files) > 1 else _single(*files[0], folder)


def size_of(clip: Path) -> int:
    """Returns the bytes of a clip, a file or a folder of files."""
    return sum(path.stat().st_size for path in (clip.iterdir() if clip.is_dir() else [clip]))


def _is_clip(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in KNOWN_SUFFIXES and not path.name.startswith(".")


def _single(name: str, path: Path, folder: Path) -> tuple[str, Path]:
    suffix = Path(name).suffix.lower()  # FFmpeg tells some formats by it
    return Path(name).name, path.rename(folder / ("clip" + (suffix if suffix in KNOWN_SUFFIXES else "")))


def _frames(files: Sequence[Sent], folder: Path) -> tuple[str, Path]:
    """Puts numbered pictures into a folder, under their own names, which hold nothing but a number."""
    names = [PurePosixPath(name) for name, _ in files]
    if other := next((name.name for name in names if number_of(name.name) is None), ""):
        raise Refused(400, f"{other} is no numbered picture, such as 000.png, but comes with other files; {ONE}.")
    places = {name.parent for name in names}
    if len(places) > 1 or len({name.name.casefold() for name in names}) < len(names):
        raise Refused(400, f"The pictures are of more than one folder; {ONE}.")
    (folder / FRAMES).mkdir()
    for name, (_, path) in zip(names, files, strict=True):
        path.rename(folder / FRAMES / name.name)
    return places.pop().name or f"{len(names)} frames", folder / FRAMES
