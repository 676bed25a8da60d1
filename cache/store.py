"""A store: one folder of shards that were all made with the same profile.

Invariants. A file with a final name is complete (base.files). A row belongs to a video while id, size and mtime match
the manifest. So the order of shards means nothing, resuming is a set difference, and a changed video simply has no row.
One process writes at a time; it holds a lock on the folder, which the system releases when the process ends. Where a
file system has no locks, two writers would do the same videos twice and harm nothing: shards are never changed. Bad
input is never deleted: a damaged shard is renamed to `*.damaged`, and its videos count as not extracted. What cannot be
read is not damaged: it ends the work with a sentence, and stays as it is.
"""

import contextlib
import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from base.commands import command, flag
from base.errors import UserError
from base.files import make_folder, sync, write_text, writing
from base.outside.content import NO_FILE, WrongContent, read_text, reading
from base.outside.values import parse, read_json
from base.temporary import lock, remove_abandoned
from cache.profile import CropProfile, Profile, canonical_json, differences, fingerprint, network_of, parse_profile
from cache.schema import OK, Row
from cache.shard import DamagedShard, ShardIndex, array_shape, check, read_arrays, read_index, write_shard

MANIFEST = "manifest.csv"
PROFILE = "profile.json"
MOST_PROFILE = 2**16
"""Bytes that are read of a profile."""
ORIGIN = "origin.json"
"""Where videos and weights lay when the store was made: a hint, no part of the profile."""
EXTRACTED = "extracted"
"""Its entry that says when the store's videos were last gone through. No part of `Origin`, which goes into runs."""


@dataclass(frozen=True)
class Origin:
    """What `ORIGIN` says. `weights` are "imagenet", "random", or the path of a file; `drawn` clips are the demo's."""

    data: str = ""
    weights: str = ""
    detector_file: str | None = None
    drawn: bool = False
    recogniser_file: str | None = None

    def entries(self) -> dict[str, Any]:
        """Returns the object that `ORIGIN` holds: what is known."""
        return {name: value for name, value in asdict(self).items() if value}


def read_origin(folder: Path) -> Origin:
    """Returns the origin of the store in `folder`; nothing if it came without, or with something else in its place.

    Raises Unreadable.
    """
    try:
        return parse(Origin, read_json(folder / ORIGIN))
    except (*NO_FILE, ValueError):
        return Origin()


@dataclass(frozen=True)
class Store:
    """A store's folder and profile. `create_store` and `open_store` make it and check that the two agree."""

    folder: Path
    profile: Profile

    @property
    def fingerprint(self) -> str:
        """The 12 hex digits of the profile, with which the folder's name ends."""
        return fingerprint(self.profile)

    @property
    def data_set(self) -> str:
        """The name of the data set: that of the folder that holds this one."""
        return data_set_of(self.folder)

    @property
    def manifest(self) -> Path:
        """The path of the CSV file that lists the store's videos in order."""
        return self.folder / MANIFEST

    @property
    def shards(self) -> list[Path]:
        """The paths of the shards, sorted by name."""
        return _shards(self.folder)


def data_set_of(folder: Path) -> str:
    """Returns the name of the data set whose features or crops the store in `folder` holds."""
    return folder.resolve().parent.name


def store_folder(root: Path, profile: Profile) -> Path:
    """Returns the folder of the store of `profile` below `root` (data/<data set>)."""
    kind = "crops" if isinstance(profile, CropProfile) else f"features-{profile.backbone}"
    return root / f"{kind}-{fingerprint(profile)}"


def create_store(root: Path, profile: Profile) -> Store:
    """Returns the store of `profile` below `root`, and creates it if it does not exist."""
    folder = store_folder(root, profile)
    if is_store(folder):
        return open_store(folder)
    with writing(folder, f"choose another folder with {flag('out', '...')}"):
        make_folder(folder)
        write_text(folder / PROFILE, canonical_json(profile) + "\n")
    return Store(folder, profile)


def open_store(folder: Path) -> Store:
    """Returns the store in `folder`; a UserError says what is missing or contradictory."""
    path = folder / PROFILE
    try:
        text = read_text(path, MOST_PROFILE)
    except (*NO_FILE, WrongContent):
        raise UserError(
            f"{folder} holds no features or crops; make them with {command('features', data='...')}."
        ) from None
    profile = parse_profile(text, str(path))
    name = folder.resolve().name.rsplit("-", 1)[-1]
    if name != fingerprint(profile):
        raise UserError(
            f"the name of {folder} ends with {name}, but the fingerprint of its {PROFILE} is {fingerprint(profile)}; "
            "one of the two was changed by hand: extract again."
        )
    return Store(folder, profile)


def is_store(folder: Path) -> bool:
    """Returns whether `folder` was made for features or crops; it may hold none yet."""
    with reading(folder):
        return (folder / PROFILE).exists()


def has_rows(folder: Path) -> bool:
    """Returns whether the store in `folder` holds a row; one that was begun and failed at once does not."""
    return bool(_shards(folder))


def _shards(folder: Path) -> list[Path]:
    # Path.glob would find nothing in a folder that may not be read.
    with reading(folder), contextlib.suppress(*NO_FILE):
        return sorted(path for path in folder.iterdir() if path.match("shard-*.h5"))
    return []


def require_rows(store: Store) -> None:
    """Raises a UserError if `store` holds no row."""
    if not has_rows(store.folder):
        raise UserError(
            f"{store.folder} holds no extracted video; run {command('features', data='...')} again, or remove it."
        )


def require_profile(store: Store, wanted: Profile) -> None:
    """Raises a UserError with both values if `store` does not go together with features of the profile `wanted`."""
    if network_of(store.profile) != network_of(wanted):
        raise UserError(
            f"{store.folder.name} was made with {differences(store.profile, wanted)}; "
            "features of two profiles never mix: extract again, or use a run trained on these."
        )


class Writer:
    """Adds shards to a store. Only one process may do so, the one for which `open_writer` holds the lock."""

    def __init__(self, store: Store, set_aside: list[Path]) -> None:
        self.store = store
        self.set_aside = set_aside
        """The damaged shards that `open_writer` renamed; their videos have to be extracted again."""

    def append(self, rows: Sequence[Row]) -> Path:
        """Writes `rows` as one new shard, which is on the disk when this returns; returns its path."""
        with writing(self.store.folder):
            return write_shard(self.store.folder, self.store.profile, rows)


@contextlib.contextmanager
def open_writer(store: Store) -> Iterator[Writer]:
    """Locks `store` for writing, removes leftovers of a killed writer and sets damaged shards aside.

    A shard that cannot be read is an Unreadable: nobody knows whether it is damaged, and nothing is changed.
    """
    with reading(store.folder):
        descriptor = os.open(store.folder, os.O_RDONLY)
    try:
        try:
            lock(descriptor, store.folder)
        except BlockingIOError:
            raise UserError(f"{store.folder} is being written by another process; wait until that has ended.") from None
        with writing(store.folder):
            remove_abandoned(store.folder)
            set_aside = [_set_aside(path) for path, _ in verify(store)]
        yield Writer(store, set_aside)
    finally:
        os.close(descriptor)


def _set_aside(path: Path) -> Path:
    target = path.replace(path.with_suffix(".damaged"))
    sync(target.parent)
    return target


def verify(store: Store) -> list[tuple[Path, str]]:
    """Reads every byte of `store` and returns each damaged shard with the reason."""
    return [(path, reason) for path in store.shards if (reason := _damage(path, store.profile))]


def _damage(path: Path, profile: Profile) -> str:
    try:
        check(path)
        index = read_index(path, profile)
        done = [row for row, outcome in enumerate(index.outcome) if outcome == OK]
        if done and not isinstance(profile, CropProfile):  # any bytes are crops
            deque(read_arrays(index, done, *array_shape(index)), 0)
    except DamagedShard as error:
        return str(error)
    return ""


def read_indexes(store: Store, *, checked: bool = True) -> list[ShardIndex]:
    """Returns the index of every shard; a UserError names a damaged one.

    `checked=False` skips the checksum of the whole file, for a caller that holds the writer's lock: opening it checked.
    """
    return [_index(path, store, checked=checked) for path in store.shards]


def _index(path: Path, store: Store, *, checked: bool) -> ShardIndex:
    try:
        if checked:
            check(path)
        return read_index(path, store.profile)
    except DamagedShard as error:
        raise damaged(path, error) from None


def damaged(path: Path, error: DamagedShard) -> UserError:
    """Returns the UserError for a damaged shard."""
    remedy = f"run {command('features', data='...')} again to set it aside and extract its videos anew"
    return UserError(f"{path} is damaged: {error}; {remedy}.")


StoredRow = tuple[ShardIndex, int]
"""Where a row lies: the index of its shard, and its number in there."""


def find_rows(store: Store, *, failed: bool = True, checked: bool = True) -> dict[tuple[str, int, int], StoredRow]:
    """Returns the row of each video in `store` by key; a row with an array wins over a failure of the same file.

    Without `failed` there are no failures among them; `checked` is that of `read_indexes`.
    """
    rows: dict[tuple[str, int, int], StoredRow] = {}
    for index in read_indexes(store, checked=checked):
        for row, key in enumerate(index.keys):
            if index.outcome[row] == OK or (failed and key not in rows):
                rows[key] = (index, row)
    return rows
