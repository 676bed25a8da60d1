"""What all readers share: the data set they return, the record of one file, and common checks."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from base.commands import flag
from base.errors import UserError
from base.outside.lists import read_text
from base.outside.values import explained, parse, parse_json
from base.text import is_break, printable
from cache.schema import VideoRecord
from extract.readers.found import Found, find_clips

T = TypeVar("T")


@dataclass(frozen=True)
class Dataset:
    """A data set on disk.

    `name` becomes the name of its store. `records` are sorted by id; their paths are relative to `root`. `notes` are
    sentences about what was left out.
    """

    name: str
    root: Path
    records: list[VideoRecord]
    notes: list[str]


def make_dataset(root: Path, records: Iterable[VideoRecord], name: str = "", notes: Sequence[str] = ()) -> Dataset:
    """Returns the set of `records`, by default named like its folder; raises a UserError if an id repeats."""
    rows = sorted(records, key=lambda record: record.id)
    if not rows:
        raise UserError(f"{root} holds no videos where its layout expects them; unpack the data set there.")
    for one, other in itertools.pairwise(rows):
        if one.id == other.id:
            raise UserError(f"{one.id} exists twice, as {one.path} and {other.path}; remove one.")
    return Dataset(name or root.resolve().name, root, rows, list(notes))


def make_record(root: Path, path: Path, label: int, name: str, **details: str) -> VideoRecord:
    """Returns the record of the file `path` below `root` called `name`; `details` are target, donor, part and so on."""
    if any(map(is_break, name)):
        raise UserError(
            f"{printable(str(path))} has a control character, or one that is not Unicode, in its name; rename it."
        )
    status = path.stat() if path.is_file() else path.lstat()
    unknown = {"target": "", "donor": "", "source": "", "part": ""}
    return VideoRecord(
        id=name,
        path=path.relative_to(root).as_posix(),
        label=label,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        **(unknown | details),
    )


def link_sources(records: Sequence[VideoRecord]) -> list[VideoRecord]:
    """Returns `records` with each source, an id without suffix, completed to the id of the video, if in the set."""
    ids = {record.id.rpartition(".")[0]: record.id for record in records}
    return [replace(record, source=ids.get(record.source, record.source)) for record in records]


def find_in(*folders: Path) -> Found:
    """Returns the videos in `folders` and in the sub-folder `videos` of each."""
    places = [place for folder in folders for place in (folder, folder / "videos") if place.is_dir()]
    return find_clips(places, deep=False)


def require_folder(root: Path) -> None:
    """Raises a UserError if `root` is not a folder."""
    if not root.is_dir():
        raise UserError(f"{root} is not a folder; give the data set's folder as {flag('data', '...')}.")


def read_as(kind: type[T], path: Path) -> T:
    """Returns the content of the JSON file `path` as `kind`; raises a UserError if it is not that."""
    with explained(path, "JSON", "restore the file that came with the data set"):
        return parse(kind, parse_json(read_text(path)))
