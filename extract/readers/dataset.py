"""What the readers of data sets share: the set as found on disk, the record of one file, and the checks all need."""

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cache.schema import UserError, VideoRecord, printable

VIDEO_SUFFIXES = {".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".gif", ".ts"}


@dataclass(frozen=True)
class Dataset:
    """A data set as found on disk.

    `name` is that of its store; `records` are sorted by id, their paths relative to `root`; `notes` are sentences about
    what was left out.
    """

    name: str
    root: Path
    records: list[VideoRecord]
    notes: list[str]


def make_dataset(root: Path, records: Iterable[VideoRecord], name: str = "", notes: Sequence[str] = ()) -> Dataset:
    """Returns the set of `records`, named like its folder if not otherwise; a UserError where an id is there twice."""
    found = sorted(records, key=lambda record: record.id)
    if not found:
        raise UserError(f"{root} holds no videos where its layout has them; unpack the data set there.")
    for one, other in itertools.pairwise(found):
        if one.id == other.id:
            raise UserError(f"{one.id} is there twice, as {one.path} and {other.path}; remove one.")
    return Dataset(name or root.resolve().name, root, found, list(notes))


def make_record(root: Path, path: Path, label: int, name: str, **known: str) -> VideoRecord:
    """Returns the record of the file `path` below `root` with the id `name`; `known` may name people, source, part."""
    if printable(name) != name:
        raise UserError(
            f"{printable(str(path))} has a control character, or one that is no Unicode, in its name; rename it."
        )
    status = path.stat() if path.is_file() else path.lstat()
    unknown = {"target": "", "donor": "", "source": "", "part": ""}
    return VideoRecord(
        id=name,
        path=path.relative_to(root).as_posix(),
        label=label,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        **(unknown | known),
    )


def link_sources(records: Sequence[VideoRecord]) -> list[VideoRecord]:
    """Returns `records` with each source, an id without suffix, as the id of a video where that is in the set."""
    ids = {record.id.rpartition(".")[0]: record.id for record in records}
    return [replace(record, source=ids.get(record.source, record.source)) for record in records]


def is_video(path: Path) -> bool:
    """Tells whether `path` is named like a video, and not hidden, as macOS' companions of files are.

    A link into nothing or a pipe is one: it ends as a failure that is listed.
    """
    return path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".") and not path.is_dir()


def clips_in(folder: Path) -> Iterator[Path]:
    """Yields the videos that lie in `folder` itself or in its sub-folder `videos`."""
    for place in (folder, folder / "videos"):
        if place.is_dir():
            yield from filter(is_video, place.iterdir())


def require_folder(root: Path) -> None:
    """Raises a UserError if `root` is not a folder."""
    if not root.is_dir():
        raise UserError(f"{root} is not a folder; give the data set's folder as DATA=....")


def read_json(path: Path) -> Any:
    """Returns what the JSON file `path` holds; a UserError where it is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read as JSON ({error}); restore the file of the data set.") from None
