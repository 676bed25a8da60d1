"""Reads DFDC: labels, parts and sources from the `metadata.json` in each of its folders."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from base.errors import UserError
from base.outside.values import WrongValue, is_path, parse, shown
from cache.schema import FAKE, REAL, Part, VideoRecord, safe_relative_path
from extract.readers.dataset import Dataset, make_dataset, make_record, read_as, require_folder
from extract.readers.found import find_clips, is_video

METADATA = "metadata.json"
LABELS = {"REAL": REAL, "FAKE": FAKE}


@dataclass(frozen=True)
class _Entry:
    label: Annotated[str, Meta(pattern=r"\A(REAL|FAKE)\Z")]
    split: Part | None = None
    original: str | None = None


@dataclass(frozen=True)
class _Listed:
    """What `metadata.json` says about the video `path`; `original` is the file name of the video it was made from."""

    path: Path
    label: int
    original: str
    part: str


def is_dfdc(root: Path) -> bool:
    """Returns whether `root` or a folder in it has a `metadata.json`."""
    return bool(_folders(root))


def read_dfdc(root: Path) -> Dataset:
    """Returns the videos of a DFDC folder, or of a folder of these; raises a UserError if it cannot be read.

    The people are not published. Listed videos that do not exist are left out with a note, since folders are often
    downloaded in part. A video that is not listed has no label and is refused.
    Dolhansky et al., "The DeepFake Detection Challenge (DFDC) Dataset", arXiv:2006.07397, 2020.
    """
    require_folder(root)
    listed = {folder: list(_read_metadata(folder)) for folder in _require_folders(root)}
    here = [video for videos in listed.values() for video in videos if video.path.is_file()]
    ids = {video.path: video.path.relative_to(root).as_posix() for video in here}
    names = {path.name: name for path, name in ids.items()}
    notes = [note for folder, videos in listed.items() for note in _notes(folder, videos, ids)]
    known = [METADATA, *(video.path.name for video in here)]
    notes += find_clips(list(listed), deep=False, known=known).describe_left_out(root)
    return make_dataset(root, [_record(root, video, ids, names) for video in here], notes=notes)


def _folders(root: Path) -> list[Path]:
    return [path.parent for path in (root / METADATA, *sorted(root.glob(f"*/{METADATA}"))) if os.path.lexists(path)]


def _require_folders(root: Path) -> list[Path]:
    folders = _folders(root)
    bare = [path for path in sorted(root.glob("dfdc_*")) if path.is_dir() and path not in folders]
    if bare or not folders:
        raise UserError(f"{bare[0] if bare else root} has no {METADATA}; add the one that came with its videos.")
    return folders


def _read_metadata(folder: Path) -> Iterator[_Listed]:
    path = folder / METADATA
    metadata = read_as(dict[str, Any], path)
    for name, values in metadata.items():
        yield _listed(path, name, values)
    for video in sorted(folder.iterdir()):
        if video.name not in metadata and is_video(video):
            raise UserError(
                f"{video} is not in {path}, so its label is unknown; move it elsewhere, or add it to the list."
            )


def _listed(path: Path, name: str, values: Any) -> _Listed:
    try:
        entry = parse(_Entry, values)
    except WrongValue as error:
        raise UserError(f"{path}: {shown(name)} {error}; correct the entry.") from None
    for text in (name, entry.original) if entry.original else (name,):
        if not _is_file_name(text):
            raise UserError(f"{path} names {shown(text)}, which is not a video beside it; remove the entry.")
    return _Listed(path.parent / name, LABELS[entry.label], entry.original or "", entry.split or "")


def _is_file_name(text: Any) -> bool:
    try:
        return is_path(text) and len(safe_relative_path(text).parts) == 1
    except ValueError:
        return False


def _notes(folder: Path, videos: list[_Listed], ids: dict[Path, str]) -> Iterator[str]:
    absent = [video.path.name for video in videos if video.path not in ids]
    if absent:
        yield (
            f"{folder / METADATA} lists {len(absent)} of {len(videos)} videos that do not exist, the first "
            f"{absent[0]}; they are left out."
        )


def _record(root: Path, video: _Listed, ids: dict[Path, str], names: dict[str, str]) -> VideoRecord:
    """Returns the record. Its source is an id if the original is in this folder or another, else the file name."""
    source = ""
    if video.label == FAKE and video.original:
        beside = ids.get(video.path.with_name(video.original))
        source = beside or names.get(video.original, video.original)
    return make_record(root, video.path, video.label, ids[video.path], source=source, part=video.part)
