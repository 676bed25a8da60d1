"""What a store holds, or several of one profile, as arrays in memory: each array is there once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cache.manifest import read_manifest
from cache.profile import Profile
from cache.schema import OK, Seen, VideoRecord
from cache.shard import DamagedShard, ShardIndex, array_shape, read_arrays
from cache.store import Store, StoredRow, damaged, find_rows

ALIGNMENT = 64
"""Bytes: TensorFlow uses an array in memory that begins at a multiple of it, and copies any other."""


@dataclass(frozen=True, eq=False)
class Contents:
    """All rows of a store, or of several, as arrays in memory, in manifest order; N videos are `ok`.

    Several `stores` have one profile, and the names of their data sets stand before the ids: see `cache.union`.
    `arrays` holds features, float16 (N, 12, D), or RGB crops, uint8 (N, 12, 160, 160, 3), and `seen` what these show;
    `checksums` has one text per video. `failures` lists the videos that could not be used, with outcome and reason;
    `missing` those not extracted yet.
    """

    stores: tuple[Store, ...]
    records: list[VideoRecord]
    arrays: np.ndarray
    seen: Seen
    checksums: list[str]
    failures: list[tuple[VideoRecord, str, str]]
    missing: list[VideoRecord]

    @property
    def profile(self) -> Profile:
        """How the arrays were made."""
        return self.stores[0].profile

    @property
    def fingerprint(self) -> str:
        """That of the profile."""
        return self.stores[0].fingerprint

    @property
    def folders(self) -> list[Path]:
        """The folders of the stores."""
        return [store.folder for store in self.stores]

    @property
    def labels(self) -> np.ndarray:
        """int64 (N,): 0 real, 1 fake."""
        return np.array([record.label for record in self.records], np.int64)

    @property
    def data_sets(self) -> np.ndarray:
        """int64 (N,): the number of the store that each video comes from."""
        if len(self.stores) == 1:
            return np.zeros(len(self.records), np.int64)
        numbers = {store.data_set: number for number, store in enumerate(self.stores)}
        return np.array([numbers[record.id.partition("/")[0]] for record in self.records], np.int64)

    @property
    def mask(self) -> np.ndarray:
        """bool (N, 12): the frames that exist, which are not padding."""
        return self.seen.mask


def load(store: Store, records: Sequence[VideoRecord] | None = None) -> Contents:
    """Returns all of `store` as arrays in memory, in the order of `records` (default: its manifest).

    Checks every byte; a UserError names a damaged shard.
    """
    records = read_manifest(store.manifest) if records is None else records
    rows = find_rows(store)
    return contents_of([store], [(record, rows.get(record.key)) for record in records])


def contents_of(stores: Sequence[Store], rows: Sequence[tuple[VideoRecord, StoredRow | None]]) -> Contents:
    """Returns the videos of `stores` with their `rows`, None where a video has none, in that order.

    Raises a UserError as `load`.
    """
    done = [(record, *row) for record, row in rows if row is not None]
    used = [(record, index, row) for record, index, row in done if index.outcome[row] == OK]
    return Contents(
        tuple(stores),
        [record for record, _, _ in used],
        _gather([(index, row) for _, index, row in used]),
        Seen.of([index.seen[row] for _, index, row in used]),
        [index.checksum[row] for _, index, row in used],
        [(record, index.outcome[row], index.reason[row]) for record, index, row in done if index.outcome[row] != OK],
        [record for record, row in rows if row is None],
    )


def _gather(rows: list[StoredRow]) -> np.ndarray:
    """Returns the arrays of `rows`, stacked, reading each shard once."""
    if not rows:
        return np.zeros((0, 0, 0), np.float16)
    shape, dtype = array_shape(rows[0][0])
    out = _aligned((len(rows), *shape), dtype)
    by_shard: dict[Path, tuple[ShardIndex, list[tuple[int, int]]]] = {}
    for target, (index, row) in enumerate(rows):
        by_shard.setdefault(index.path, (index, []))[1].append((row, target))
    for index, wanted in by_shard.values():
        numbers, targets = zip(*sorted(wanted), strict=True)
        try:
            for target, array in zip(targets, read_arrays(index, numbers, shape, dtype), strict=True):
                out[target] = array
        except DamagedShard as error:
            raise damaged(index.path, error) from None
    return out


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Returns an array, not yet filled, that begins at a multiple of `ALIGNMENT`."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)
