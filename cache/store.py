"""A store: one folder of shards that were all made with one profile.

Invariants. A file with a final name is complete (cache.files). A row is valid for a video while id, size and mtime
match the manifest, so the order in which shards were written means nothing: resuming is a set difference, and a changed
file is simply not found. One process writes at a time, holding a lock on the folder itself that dies with it. Nothing
is deleted on bad input: a damaged shard is renamed to `*.damaged` and its videos count as not extracted.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cache.files import remove_temporaries, write_text, writing
from cache.manifest import read_manifest
from cache.profile import FeatureProfile, Profile, canonical_json, differences, fingerprint, parse_profile
from cache.schema import OK, Row, UserError, VideoRecord, mask_of
from cache.shard import DamagedShard, ShardIndex, array_shape, check, read_arrays, read_index, write_shard

MANIFEST = "manifest.csv"
PROFILE = "profile.json"
ORIGIN = "origin.json"
"""Where videos and weights lay when the store was made: a hint, no part of the profile."""


@dataclass(frozen=True)
class Store:
    """A store's folder and its profile. Made by `create_store` or `open_store`, which check that the two agree."""

    folder: Path
    profile: Profile

    @property
    def fingerprint(self) -> str:
        """The 12 hex digits of the profile, which end the folder's name."""
        return fingerprint(self.profile)

    @property
    def manifest(self) -> Path:
        """The CSV file with the store's videos, in order."""
        return self.folder / MANIFEST

    @property
    def shards(self) -> list[Path]:
        """The shards' paths, by name."""
        return sorted(self.folder.glob("shard-*.h5"))


@dataclass(frozen=True, eq=False)
class Contents:
    """What a store holds, in manifest order; N videos are `ok`.

    `arrays` is float16 (N, 12, D) of features or uint8 (N, 12, 160, 160, 3) of RGB crops; `status` uint8 (N, 12),
    `times` float64 (N, 12) seconds, `boxes` int32 (N, 12, 4) pixels, `checksums` one text a video. `failures` holds
    the videos that could not be used, with outcome and reason; `missing` those not extracted yet.
    """

    store: Store
    records: list[VideoRecord]
    arrays: np.ndarray
    status: np.ndarray
    times: np.ndarray
    boxes: np.ndarray
    checksums: list[str]
    failures: list[tuple[VideoRecord, str, str]]
    missing: list[VideoRecord]

    @property
    def labels(self) -> np.ndarray:
        """int64 (N,): 0 real, 1 fake."""
        return np.array([record.label for record in self.records], np.int64)

    @property
    def mask(self) -> np.ndarray:
        """bool (N, 12): the frames that are there."""
        return mask_of(self.status)


def store_folder(root: Path, profile: Profile) -> Path:
    """Returns the folder below `root` (data/<data set>) that belongs to `profile`."""
    kind = f"features-{profile.backbone}" if isinstance(profile, FeatureProfile) else "crops"
    return root / f"{kind}-{fingerprint(profile)}"


def create_store(root: Path, profile: Profile) -> Store:
    """Returns the store of `profile` below `root`, made if it was not there."""
    folder = store_folder(root, profile)
    if (folder / PROFILE).exists():
        return open_store(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / PROFILE, canonical_json(profile) + "\n")
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}); choose another folder with OUT=....") from None
    return Store(folder, profile)


def open_store(folder: Path) -> Store:
    """Returns the store in `folder`; a UserError says what is missing or does not agree."""
    path = folder / PROFILE
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise UserError(f"{folder} holds no features or crops; make them with make features DATA=....") from None
    profile = parse_profile(text, str(path))
    named = folder.resolve().name.rsplit("-", 1)[-1]
    if named != fingerprint(profile):
        raise UserError(
            f"{folder} is named {named} but its {PROFILE} gives {fingerprint(profile)}; "
            "one of the two was changed by hand: extract again."
        )
    return Store(folder, profile)


def require_profile(found: Store, asked: Profile) -> None:
    """Raises a UserError with both values where the store was not made with the profile `asked`."""
    if found.profile != asked:
        raise UserError(
            f"{found.folder.name} was made with {differences(found.profile, asked)}; "
            "features of two profiles never mix: extract again, or use the run that belongs to these."
        )


class Writer:
    """The one process that may add to a store, while `open_writer` holds the lock."""

    def __init__(self, store: Store, set_aside: list[Path]) -> None:
        self.store = store
        self.set_aside = set_aside
        """Damaged shards that were renamed on opening; their videos have to be extracted again."""

    def append(self, rows: Sequence[Row]) -> Path:
        """Writes `rows` as one new shard, complete when this returns; returns its path."""
        with writing(self.store.folder):
            return write_shard(self.store.folder, self.store.profile, rows)


@contextlib.contextmanager
def open_writer(store: Store) -> Iterator[Writer]:
    """Locks `store` for writing, clears what a killed writer left, sets damaged shards aside."""
    descriptor = os.open(store.folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{store.folder} is being written by another process; wait until it has ended.") from None
        with writing(store.folder):
            remove_temporaries(store.folder)
            set_aside = [_set_aside(path) for path, _ in verify(store)]
        yield Writer(store, set_aside)
    finally:
        os.close(descriptor)


def _set_aside(path: Path) -> Path:
    target = path.with_suffix(".damaged")
    return path.replace(target)


def verify(store: Store) -> list[tuple[Path, str]]:
    """Reads every byte of `store` and returns the damaged shards, each with what is wrong with it."""
    return [(path, wrong) for path in store.shards if (wrong := _wrong_with(path, store.profile))]


def _wrong_with(path: Path, profile: Profile) -> str:
    try:
        check(path)
        read_index(path, profile)
    except DamagedShard as error:
        return str(error)
    return ""


def read_indexes(store: Store, *, checked: bool = True) -> list[ShardIndex]:
    """Returns the index of every shard; a UserError names one that is damaged.

    `checked=False` leaves out reading every byte, for a caller that holds the writer's lock and has just done so.
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
    """Returns the sentence for a damaged shard."""
    return UserError(f"{path} is damaged: {error}; run make features again to set it aside and redo its videos.")


Place = tuple[ShardIndex, int]


def find_rows(indexes: Sequence[ShardIndex]) -> dict[tuple[str, int, int], Place]:
    """Returns where each video's row is, by key; a row with an array wins over a failure of the same file."""
    found: dict[tuple[str, int, int], Place] = {}
    for index in indexes:
        for row, key in enumerate(index.keys):
            if key not in found or index.outcome[row] == OK:
                found[key] = (index, row)
    return found


def load(store: Store, records: Sequence[VideoRecord] | None = None) -> Contents:
    """Returns everything in `store` as resident arrays, in the order of `records` (by default its manifest).

    Every byte is checked on the way; a UserError names a shard that is damaged.
    """
    records = read_manifest(store.manifest) if records is None else records
    rows = find_rows(read_indexes(store))
    done = [(record, *rows[record.key]) for record in records if record.key in rows]
    used = [(record, index, row) for record, index, row in done if index.outcome[row] == OK]
    return Contents(
        store,
        [record for record, _, _ in used],
        _gather([(index, row) for _, index, row in used]),
        _column(used, "status"),
        _column(used, "times"),
        _column(used, "boxes"),
        [index.checksum[row] for _, index, row in used],
        [(record, index.outcome[row], index.reason[row]) for record, index, row in done if index.outcome[row] != OK],
        [record for record in records if record.key not in rows],
    )


def _column(used: list[tuple[VideoRecord, ShardIndex, int]], name: str) -> np.ndarray:
    return np.array([getattr(index, name)[row] for _, index, row in used])


def _gather(places: list[Place]) -> np.ndarray:
    """Returns the arrays at `places`, stacked, reading each shard once."""
    if not places:
        return np.zeros((0, 0, 0), np.float16)
    shape, dtype = array_shape(places[0][0])
    out = np.empty((len(places), *shape), dtype)
    by_shard: dict[Path, tuple[ShardIndex, list[int], list[int]]] = {}
    for place, (index, row) in enumerate(places):
        _, rows, targets = by_shard.setdefault(index.path, (index, [], []))
        rows.append(row)
        targets.append(place)
    for index, rows, targets in by_shard.values():
        try:
            for target, array in zip(targets, read_arrays(index, rows, shape, dtype), strict=True):
                out[target] = array
        except DamagedShard as error:
            raise damaged(index.path, error) from None
    return out
