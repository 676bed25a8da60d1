"""Shards with a good digest that are none of ours: a sentence each, found by reader and writer, in little memory."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from base.errors import UserError
from cache.contents import load
from cache.schema import FRAMES
from cache.shard import TEXT, DamagedShard, read_index
from cache.store import Store, open_writer, verify
from tests import ROOT
from tests.cache.test_store import forge
from tests.stores import PROFILE, pairs, write_features

ROWS = 12
"""Of the shard, all with features."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return write_features(tmp_path, pairs(4, 2)[:ROWS])


def put(file: h5py.File, name: str, **what: object) -> h5py.Dataset:
    """Puts another dataset in the place of `name`."""
    del file[name]
    return file.create_dataset(name, **what)  # pyright: ignore[reportArgumentType]


def part(file: h5py.File, name: str) -> h5py.Dataset:
    found = file[name]
    assert isinstance(found, h5py.Dataset)
    return found


def value(name: str, place: tuple[int, ...], number: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        part(file, name)[place] = number

    return change


def texts(name: str, *first: str) -> Callable[[h5py.File], object]:
    return lambda file: put(file, name, data=[*first, *map(str, range(ROWS - len(first)))], dtype=TEXT)


def retyped(name: str, dtype: object) -> Callable[[h5py.File], object]:
    return lambda file: put(file, name, data=part(file, name)[()].astype(dtype))


def attribute(what: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file.attrs["fingerprint"] = what

    return change


def named_type(file: h5py.File) -> None:
    del file["array"]
    file["array"] = np.dtype(np.float16)


def bits(file: h5py.File) -> None:
    del file["status"]
    space = h5py.h5s.create_simple((ROWS, FRAMES))
    h5py.h5d.create(file.id, b"status", h5py.h5t.STD_B8LE, space)


IMPOSSIBLE = {
    "status 99": value("status", (0, 0), 99),
    "NaN among the features": value("array", (3, 2, 1), np.nan),
    "-NaN among the features": value("array", (3, 2, 1), -np.float16(np.nan)),
    "an infinite feature": value("array", (ROWS - 1, 11, 0), np.inf),
    "a feature below all": value("array", (0, 0, 0), -np.inf),
    "no time of a frame": value("times", (1, 2), np.nan),
    "an infinite time": value("times", (1, 11), -np.inf),
    "a box of negative width": value("boxes", (1, 2, 2), -1),
    "a region outside the crop": value("regions", (1, 2), (0, 0, 161, 10)),
    "a region turned round": value("regions", (1, 2), (20, 0, 10, 10)),
    "a negative size": value("size", (2,), -1),
    "an empty id": texts("id", ""),
    "an id twice": texts("id", "5"),
    "a status that is a number with a point": retyped("status", np.float64),
    "a size that is a text": texts("size"),
    "an id that is a number": retyped("size", np.int32),
    "numbers in place of ids": lambda file: put(file, "id", data=np.arange(ROWS)),
    "lists in place of ids": lambda file: put(file, "id", shape=(ROWS,), dtype=h5py.vlen_dtype(np.uint8)),
    "texts of one length": lambda file: put(file, "id", data=np.array([b"%d" % i for i in range(ROWS)])),
    "no shape": lambda file: put(file, "id", data=h5py.Empty("f4")),
    "one text": lambda file: put(file, "id", data="one"),
    "a list of fingerprints": attribute(["a", "b"]),
    "a number as fingerprint": attribute(3.5),
    "numbers as fingerprint": attribute(np.arange(3)),
    "no fingerprint": lambda file: file.attrs.__delitem__("fingerprint"),
    "a type in place of the features": named_type,
    "a type that numpy has not": bits,
    "larger features": retyped("array", np.float32),
    "flat features": lambda file: put(file, "array", data=file["array"][:, :, 0]),
    "bytes in place of features": lambda file: put(file, "array", data=np.zeros((ROWS, FRAMES, 8), np.uint8)),
}


@pytest.mark.parametrize("change", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_what_is_never_written_is_damage_to_whoever_reads_it(store: Store, change: Callable[[h5py.File], object]):
    (path,) = store.shards
    forge(path, change)
    with pytest.raises(UserError, match=rf"{path} is damaged: it(s \w+)? .*; run .* again to set it aside"):
        load(store)
    assert [found for found, _ in verify(store)] == [path]
    with open_writer(store) as writer:
        assert len(writer.set_aside) == 1
    assert len(load(store).missing) == ROWS


MANY = 20_000_000


def unwritten(file: h5py.File) -> None:
    """Rows that take no place in the file: HDF5 would make up each from its fill value."""
    put(file, "status", shape=(MANY, FRAMES), dtype=np.uint8)


def packed(file: h5py.File) -> None:
    chunk = (MANY // 20, FRAMES)
    put(file, "status", shape=(MANY, FRAMES), dtype=np.uint8, chunks=chunk, compression="gzip", compression_opts=9)
    part(file, "status")[: chunk[0]] = 0


def of_many(change: Callable[[h5py.File], None]) -> Callable[[h5py.File], None]:
    """Changes a shard and makes all its other columns say that they have as many rows."""

    def changed(file: h5py.File) -> None:
        change(file)
        for name in ("id", "outcome", "reason", "checksum", "file_checksum"):
            put(file, name, shape=(MANY,), dtype=TEXT)
        for name in ("size", "mtime_ns", "times", "boxes", "regions"):
            put(file, name, shape=(MANY, *file[name].shape[1:]), dtype=file[name].dtype)

    return changed


def one_text_for_all(file: h5py.File) -> None:
    """A megabyte to which every row of a column points."""
    put(file, "reason", data=["x" * 1_000_000, *map(str, range(ROWS - 1))], dtype=TEXT)


def large_features(file: h5py.File) -> None:
    put(file, "array", shape=(ROWS, FRAMES, MANY), dtype=np.float16)


CLAIMS = {
    "rows": of_many(unwritten),
    "packed rows": of_many(packed),
    "features": large_features,
    "rows without end": lambda file: put(file, "id", shape=(2**61,), dtype=TEXT, chunks=(1024,)),
}
READ = """
import resource, sys
from pathlib import Path
from cache.shard import DamagedShard, read_index
from tests.stores import PROFILE
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_index(Path(sys.argv[1]), PROFILE)
except DamagedShard as error:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, error)
"""


@pytest.mark.parametrize("change", CLAIMS.values(), ids=CLAIMS)
def test_a_small_file_that_claims_much_takes_little_memory(store: Store, change: Callable[[h5py.File], object]):
    (path,) = store.shards
    forge(path, change)
    assert path.stat().st_size < 500_000
    done = subprocess.run([sys.executable, "-c", READ, path], cwd=ROOT, capture_output=True, text=True, check=True)
    grown, _, reason = done.stdout.partition(" ")
    assert int(grown) * (1 if sys.platform == "darwin" else 1024) < 50e6
    assert reason.startswith("it says that it holds more than is in the file")


def test_a_text_that_many_rows_share_is_not_read_many_times(store: Store):
    (path,) = store.shards
    forge(path, one_text_for_all)
    with h5py.File(path) as file:
        offset = file["reason"].id.get_offset()
    content = bytearray(path.read_bytes())
    first = content[offset : offset + 16]
    content[offset : offset + 16 * ROWS] = first * ROWS
    path.write_bytes(content)
    with pytest.raises(DamagedShard, match="its reason has more text than the file"):
        read_index(path, PROFILE)
