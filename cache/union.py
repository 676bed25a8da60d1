"""Several stores of one profile as one, so that a head can be trained on the data sets of all.

The name of its data set stands before a video's id, as in "ff++/original/000.mp4", and after a person's, as in
"id0 (Celeb-DF-v2)": people of different data sets are different ones, unless a CSV file says otherwise. The videos are
in the order of their own ids, so that a data set that was divided in two is in the order of the whole.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from base.commands import flag
from base.errors import UserError
from base.outside.lists import read_table
from base.outside.values import shown
from cache.contents import Contents, contents_of
from cache.manifest import read_manifest
from cache.schema import VideoRecord
from cache.store import MANIFEST, Store, StoredRow, data_set_of, find_rows, open_store, require_profile

SamePeople = Mapping[tuple[str, str], str]
"""The name that a person has in all data sets, by data set and the name there."""


class Member(NamedTuple):
    """A video of one of several data sets: the number of its folder, its record there, and that under its full name."""

    folder: int
    own: VideoRecord
    record: VideoRecord


def load_union(folders: Sequence[Path], same_people: Path | None = None) -> Contents:
    """Returns all videos of the stores in `folders` as arrays in memory, each array once; of one folder, as `load`.

    The CSV file `same_people` has the columns dataset, person and as. A UserError says where profiles differ, data sets
    have one name, or the file names nobody.
    """
    stores = open_union(folders)
    members = read_members(folders, same_people)
    rows = [find_rows(store) for store in stores]
    return contents_of(stores, [(one.record, rows[one.folder].get(one.own.key)) for one in members])


def open_union(folders: Sequence[Path]) -> list[Store]:
    """Returns the stores in `folders`; a UserError says where their profiles differ."""
    stores = [open_store(folder) for folder in folders]
    for store in stores[1:]:
        require_profile(store, stores[0].profile)
    return stores


def stored_clips(folders: Sequence[Path], place: Callable[[Path], Path]) -> list[tuple[VideoRecord, StoredRow | None]]:
    """Returns each video in the manifests of `folders` with its row in the store `place(folder)`, None without one."""
    places = [place(folder) for folder in folders]
    rows = [find_rows(open_store(one), failed=False) if one.exists() else {} for one in places]
    return [(one.record, rows[one.folder].get(one.own.key)) for one in read_members(folders)]


def read_members(folders: Sequence[Path], same_people: Path | None = None) -> list[Member]:
    """Returns the videos in the manifests of `folders`; those of a single one keep their names and order.

    A UserError says that two data sets have one name, or what is wrong in the file `same_people`.
    """
    lists = [read_manifest(folder / MANIFEST) for folder in folders]
    if len(folders) == 1:
        if same_people:
            raise UserError(f"{flag('same_people', same_people)} is for several data sets, and there is one; drop it.")
        return [Member(0, record, record) for record in lists[0]]
    names = _names(folders)
    people = read_same_people(same_people, dict(zip(names, lists, strict=True))) if same_people else {}
    members = [
        Member(number, record, _under(names[number], record, people))
        for number, records in enumerate(lists)
        for record in records
    ]
    return sorted(members, key=lambda one: (one.own.is_blend, one.own.id))


def _names(folders: Sequence[Path]) -> list[str]:
    names: dict[str, Path] = {}
    for folder in folders:
        if other := names.get(data_set_of(folder)):
            raise UserError(
                f"{other} and {folder} are both of a data set called {data_set_of(folder)}, so nobody could tell their "
                "clips apart; give each data set once, or rename the folder of one."
            )
        names[data_set_of(folder)] = folder
    return list(names)


def _under(name: str, record: VideoRecord, people: SamePeople) -> VideoRecord:
    def person(own: str) -> str:
        return own and people.get((name, own), f"{own} ({name})")

    return replace(
        record,
        id=f"{name}/{record.id}",
        target=person(record.target),
        donor=person(record.donor),
        source=record.source and f"{name}/{record.source}",
    )


def read_same_people(path: Path, records: Mapping[str, Sequence[VideoRecord]]) -> SamePeople:
    """Returns who is who by the CSV file `path` with the columns dataset, person and as.

    `records` are those of each data set by name. A UserError names a line whose data set or person is not there.
    """
    known = {name: frozenset().union(*(record.people for record in own)) for name, own in records.items()}
    people: dict[tuple[str, str], str] = {}
    for line, values in read_table(path, ("dataset", "person", "as")).rows:
        name, person, common = (values[column].strip() for column in ("dataset", "person", "as"))
        if name not in known:
            raise UserError(f"{path}, line {line}: {shown(name)} is none of the data sets {', '.join(known)}.")
        if person not in known[name] or not common:
            raise UserError(
                f"{path}, line {line}: nobody in {name} is called {shown(person)}, or nobody is named as the same; "
                "correct the line, or remove it."
            )
        if people.setdefault((name, person), common) != common:
            raise UserError(f"{path}, line {line}: {shown(person)} of {name} is two people; keep one of the lines.")
    return people
