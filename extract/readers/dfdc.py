"""Reads DFDC: labels, parts and sources from the `metadata.json` in each of its folders."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from msgspec import Meta

from base.errors import UserError
from base.outside.values import WrongValue, is_path, parse, shown
from cache.schema import FAKE, REAL, Part, VideoRecord, safe_relative_path
from extract.readers.dataset import Dataset, make_dataset, make_record, read_as
from extract.readers.found import Found

METADATA = "metadata.json"
FRAMES = "frames"
"""Folder in which DeepfakeBench keeps the frames of the videos beside it."""
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


def read_dfdc(found: Found) -> Dataset:
    """Returns the videos of a DFDC folder, or of a folder of these; raises a UserError if it cannot be read.

    The people are not published. Listed videos that do not exist are left out with a note, since folders are often
    downloaded in part. A clip that is not listed has no label and is refused. Dolhansky et al., "The DeepFake Detection
    Challenge (DFDC) Dataset", arXiv:2006.07397, 2020; as frames, github.com/SCLBD/DeepfakeBench.
    """
    root = found.base
    listed = {folder: list(_read_metadata(folder, found)) for folder in _require_folders(root)}
    here = [video for videos in listed.values() for video in videos if video.path.exists()]
    ids = {video.path: video.path.relative_to(root).as_posix() for video in here}
    originals = {path.with_suffix(""): name for path, name in ids.items()}
    elsewhere = {path.name: name for path, name in originals.items()}
    notes = [note for folder, videos in listed.items() for note in _notes(folder, videos, ids)]
    return make_dataset(found, [_record(found.root, video, ids, originals, elsewhere) for video in here], notes=notes)


def folders_with_metadata(root: Path) -> list[Path]:
    """Returns `root`, if it has a `metadata.json`, and the folders in it that have one."""
    return [path.parent for path in (root / METADATA, *sorted(root.glob(f"*/{METADATA}"))) if os.path.lexists(path)]


def _require_folders(root: Path) -> list[Path]:
    folders = folders_with_metadata(root)
    bare = [path for path in sorted(root.glob("dfdc_*")) if path.is_dir() and path not in folders]
    if bare or not folders:
        raise UserError(f"{bare[0] if bare else root} has no {METADATA}; add the one that came with its videos.")
    return folders


def _read_metadata(folder: Path, found: Found) -> Iterator[_Listed]:
    path = folder / METADATA
    metadata = read_as(dict[str, Any], path)
    for name, values in metadata.items():
        yield _listed(path, name, values)
    frames = {PurePosixPath(name).stem for name in metadata}
    for clip in found.clips:
        listed = frames if clip in found.numbered else metadata
        if clip.parent in (folder, folder / FRAMES) and clip.name not in listed and clip != folder / FRAMES:
            raise UserError(
                f"{clip} is not in {path}, so its label is unknown; move it elsewhere, or add it to the list."
            )


def _listed(path: Path, name: str, values: Any) -> _Listed:
    try:
        entry = parse(_Entry, values)
    except WrongValue as error:
        raise UserError(f"{path}: {shown(name)} {error}; correct the entry.") from None
    for text in (name, entry.original) if entry.original else (name,):
        if not _is_file_name(text):
            raise UserError(f"{path} names {shown(text)}, which is not a video beside it; remove the entry.")
    stem = PurePosixPath(name).stem
    places = (path.parent / name, path.parent / FRAMES / stem, path.parent / stem)
    place = next(filter(os.path.lexists, places), places[0])
    return _Listed(place, LABELS[entry.label], entry.original or "", entry.split or "")


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


def _record(
    root: Path, video: _Listed, ids: dict[Path, str], originals: dict[Path, str], elsewhere: dict[str, str]
) -> VideoRecord:
    """Returns the record. Its source is an id if the original is in this folder or another, else the file name."""
    source = ""
    if video.label == FAKE and video.original:
        stem = PurePosixPath(video.original).stem
        source = originals.get(video.path.with_name(stem)) or elsewhere.get(stem, video.original)
    return make_record(root, video.path, video.label, ids[video.path], source=source, part=video.part)
