"""A shard: an immutable HDF5 file of rows, complete or absent, safe to read whoever wrote it.

The first 512 bytes are a user block, which HDF5 skips. It holds the XXH3 digest of all bytes after it, so one pass over
the file finds any flipped bit. (Collet, XXH3, xxhash.com: protects against accidents, not against forgery.) Reading
follows no link out of the file and runs no code from it.
"""

import hashlib
import io
import itertools
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xxhash

from base.files import write_bytes
from base.outside.content import NO_FILE, WrongContent, open_regular, unreadable
from cache.hdf5 import TEXT, member, open_hdf5, read_array, read_texts, require_kind, require_stored
from cache.profile import CropProfile, ForeignProfile, Profile, canonical_json, crops_of, fingerprint
from cache.schema import CROP_SIZE, FRAMES, OK, SEEN, FrameStatus, Row, Seen, central_regions

MAGIC = b"reelcheck shard 3\n"
BLOCK = 512
SIGN, INFINITE = 0x8000, 0x7C00
"""Bits of a float16: the sign, and the least of the others where it is infinite or no number."""
PART = 8
"""Clips whose features are read at once: they stay in the processor's cache until they are where they belong."""
FIRST_VERSION_WITH_REGIONS = 4
"""The version of crop profiles whose shards hold the faces' regions."""


class DamagedShard(Exception):
    """A shard whose content is not what was written; the text says what is wrong."""


@dataclass(frozen=True, eq=False)
class ShardIndex:
    """All of a shard except its arrays.

    `checksum` is the XXH3-64 of each array's bytes ("" for failures), `file_checksum` that of the video's file ("" in
    shards of earlier versions).
    """

    path: Path
    keys: list[tuple[str, int, int]]
    outcome: list[str]
    reason: list[str]
    checksum: list[str]
    seen: Seen
    file_checksum: list[str]


def write_shard(folder: Path, profile: Profile, rows: Sequence[Row]) -> Path:
    """Writes `rows` as one shard in `folder` and returns its path.

    Its name is a hash of the rows' keys, so writing the same rows again replaces the same file.
    """
    name = xxhash.xxh3_64_hexdigest(repr([(row.key, row.outcome) for row in rows]).encode())
    # In memory first: when the disk fills under an open file, HDF5 crashes the process with SIGSEGV.
    content = io.BytesIO()
    _write(content, profile, rows)
    with content.getbuffer() as view:
        seal(view)
    return write_bytes(folder / f"shard-{name}.h5", content.getvalue())


def _write(content: io.BytesIO, profile: Profile, rows: Sequence[Row]) -> None:
    arrays = [row.array for row in rows if row.array is not None]
    with h5py.File(content, "w", userblock_size=BLOCK, libver=("v110", "v110")) as file:
        file.attrs["profile"] = canonical_json(profile)
        file.attrs["fingerprint"] = fingerprint(profile)
        for name in ("id", "outcome", "reason", "file_checksum"):
            file.create_dataset(name, data=[getattr(row, name) for row in rows], dtype=TEXT)
        checksums = ["" if row.array is None else array_checksum(row.array) for row in rows]
        file.create_dataset("checksum", data=checksums, dtype=TEXT)
        file.create_dataset("size", data=np.array([row.size for row in rows], np.int64))
        file.create_dataset("mtime_ns", data=np.array([row.mtime_ns for row in rows], np.int64))
        for name, values in vars(Seen.of([row.seen for row in rows])).items():
            file.create_dataset(name, data=values)
        if arrays:
            _write_arrays(file, np.stack(arrays))


def _write_arrays(file: h5py.File, arrays: np.ndarray) -> None:
    if arrays.dtype == np.uint8:  # crops: lossless, one chunk per clip so that a clip can be read alone
        chunk = (1, *arrays.shape[1:])
        steps = _steps(arrays)
        file.create_dataset("array", data=steps, chunks=chunk, compression="gzip", compression_opts=1, shuffle=False)
    else:  # features: contiguous, so that loading is one copy
        file.create_dataset("array", data=arrays)


def _steps(crops: np.ndarray) -> np.ndarray:
    """Returns each pixel minus the one above it (PNG's filter "Up"), uint8 with wrap-around.

    Measured per clip of celeb-df-mini: raw 0.92 MB; gzip alone 0.51 MB; this with gzip 0.33 MB, written in 9 ms and
    read in 3.3 ms; left neighbours instead 0.36 MB, read in 5 ms; the frame before instead 0.48 MB; PNG 0.33 MB in
    27 ms; lossless WebP 0.19 MB in 300 ms.
    """
    steps = crops.copy()
    steps[..., 1:, :, :] -= crops[..., :-1, :, :]
    return steps


def _crops(steps: np.ndarray) -> np.ndarray:
    """Undoes `_steps`, row by row: np.cumsum takes five times as long."""
    crops = np.empty_like(steps)
    crops[..., 0, :, :] = steps[..., 0, :, :]
    for row in range(1, steps.shape[-3]):
        np.add(crops[..., row - 1, :, :], steps[..., row, :, :], out=crops[..., row, :, :])
    return crops


def _inflated(content: io.BufferedReader, arrays: h5py.Dataset, positions: Sequence[int]) -> Iterator[np.ndarray]:
    """Yields the compressed arrays of the file `content` at `positions`, read only, as the dataset `arrays` has them.

    Raises DamagedShard if they are compressed in another way, or if what is there does not make a whole array.
    HDF5 would inflate them while it holds the interpreter's lock, and threads that read for a GPU would take turns.
    """
    _require_packed(arrays)
    shape = arrays.shape[1:]
    for position in positions:
        chunk = arrays.id.get_chunk_info_by_coord((position, *(0 for _ in shape)))
        try:
            packed = read_array(content, chunk.byte_offset, (chunk.size,), np.dtype(np.uint8))
            flat = zlib.decompressobj().decompress(packed.data, math.prod(shape) * arrays.dtype.itemsize)
            yield np.frombuffer(flat, arrays.dtype).reshape(shape)
        except (zlib.error, ValueError) as error:
            raise DamagedShard(f"an array in it is not what was compressed ({error})") from None


def _require_packed(arrays: h5py.Dataset) -> None:
    properties = arrays.id.get_create_plist()
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    if arrays.chunks != (1, *arrays.shape[1:]) or filters != [h5py.h5z.FILTER_DEFLATE]:
        raise DamagedShard("its arrays are not compressed one by one")


def seal(content: bytearray | memoryview) -> None:
    """Writes the digest of the HDF5 part of a shard's `content` into its user block."""
    with memoryview(content) as view, view[BLOCK:] as body:
        view[:BLOCK] = _head(xxhash.xxh3_128_hexdigest(body))


def _head(digest: str) -> bytes:
    """Returns the user block of a shard whose other bytes have the XXH3-128 `digest`."""
    return (MAGIC + digest.encode() + b"\n").ljust(BLOCK, b"\0")


def check(path: Path) -> None:
    """Raises DamagedShard if `path` is not byte for byte what was written, Unreadable if the system cannot tell."""
    with _reading(path), open_regular(path) as content:
        head = content.read(BLOCK)
        if not head.startswith(MAGIC):
            raise DamagedShard("it does not begin like a shard")
        if head != _head(hashlib.file_digest(content, xxhash.xxh3_128).hexdigest()):  # pyright: ignore[reportArgumentType]
            raise DamagedShard("its bytes are not those that were written")


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turns what is wrong with a file into a DamagedShard; that a shard has gone meanwhile is an Unreadable."""
    try:
        yield
    except WrongContent as error:
        raise DamagedShard(str(error)) from None
    except NO_FILE as error:
        raise unreadable(path, error) from None


def array_checksum(array: np.ndarray) -> str:
    """Returns the XXH3-64 of the bytes of `array`, 16 hex digits."""
    return xxhash.xxh3_64_hexdigest(np.ascontiguousarray(array).data)


def read_index(path: Path, profile: Profile) -> ShardIndex:
    """Returns all of the shard except its arrays.

    Raises DamagedShard if it is not a shard of `profile` or holds what is never written, and Unreadable.
    """
    crops = CropProfile() if isinstance(profile, ForeignProfile) else crops_of(profile)
    with _reading(path), open_hdf5(path) as (content, file):
        _require_profile(file, profile)
        rows = math.prod(member(file, "id").shape)
        older = ("file_checksum", "regions") if crops.version < FIRST_VERSION_WITH_REGIONS else ("file_checksum",)
        there = [name for name in _COLUMNS if name in file or name not in older]
        columns = {name: _column(content, file, name, rows) for name in there}
        if done := columns["outcome"].count(OK):
            _require_arrays(content, file, done, profile)
    columns.setdefault("file_checksum", [""] * rows)
    # Where nobody wrote where a face lies in its crop, it counts as the middle.
    columns.setdefault("regions", central_regions(columns["status"], crops.margin))
    _require_possible(columns)
    keys = list(zip(columns.pop("id"), columns.pop("size").tolist(), columns.pop("mtime_ns").tolist(), strict=True))
    return ShardIndex(path, keys, seen=Seen(*map(columns.pop, SEEN)), **columns)


_COLUMNS = {
    **dict.fromkeys(("id", "outcome", "reason", "checksum", "file_checksum"), (TEXT, ())),
    **dict.fromkeys(("size", "mtime_ns"), (np.dtype(np.int64), ())),
    "status": (np.dtype(np.uint8), (FRAMES,)),
    "times": (np.dtype(np.float64), (FRAMES,)),
    "boxes": (np.dtype(np.int32), (FRAMES, 4)),
    "regions": (np.dtype(np.uint8), (FRAMES, 4)),
}
"""The dtype of each dataset but the arrays, and the shape of a row in it."""


def _require_profile(file: h5py.File, profile: Profile) -> None:
    name = file.attrs.get("fingerprint")
    if not isinstance(name, str) or name != fingerprint(profile):
        raise DamagedShard(f"it was made with the profile {str(name)[:60]}")


def _column(content: io.BufferedReader, file: h5py.File, name: str, rows: int) -> Any:
    """Returns the dataset `name`, a list of texts or an array."""
    dataset, (dtype, shape) = member(file, name), _COLUMNS[name]
    require_kind(dataset, dtype, (rows, *shape))
    if dtype == TEXT:
        return read_texts(content, dataset)
    return read_array(content, dataset.id.get_offset(), dataset.shape, dtype)


def _require_arrays(content: io.BufferedReader, file: h5py.File, count: int, profile: Profile) -> None:
    """Raises DamagedShard unless the shard has `count` arrays of the kind that `profile` makes, features in full."""
    arrays = member(file, "array")
    if isinstance(profile, CropProfile):
        require_kind(arrays, np.dtype(np.uint8), (count, FRAMES, CROP_SIZE, CROP_SIZE, 3))
        _require_packed(arrays)
    else:
        require_kind(arrays, np.dtype(np.float16), (count, FRAMES, arrays.shape[-1]))
        require_stored(content, arrays.id.get_offset(), math.prod(arrays.shape) * arrays.dtype.itemsize)


def _require_possible(columns: Mapping[str, Any]) -> None:
    """Raises DamagedShard if a value is one that no clip has."""
    names, status, regions = columns["id"], columns["status"], columns["regions"]
    impossible = {
        "id": "" in names or len(set(names)) < len(names),
        "size": columns["size"] < 0,
        "status": status > max(FrameStatus),
        "times": ~np.isfinite(columns["times"]) & (status != FrameStatus.PAD),
        "boxes": columns["boxes"][..., 2:] < 0,
        "regions": (regions.max() > CROP_SIZE) | (regions[..., :2] > regions[..., 2:]),
    }
    if wrong := [name for name, values in impossible.items() if np.any(values)]:
        raise DamagedShard(f"its {wrong[0]} has values that no clip has")


def read_arrays(
    index: ShardIndex, rows: Sequence[int], shape: tuple[int, ...], dtype: np.dtype
) -> Iterator[np.ndarray]:
    """Yields the array of each of `rows`, features as they lie in the file, crops decompressed.

    Raises DamagedShard if one is not of `shape` and `dtype` or has numbers that are not finite, and Unreadable.
    """
    position = np.cumsum([outcome == OK for outcome in index.outcome]) - 1
    places = position[list(rows)].tolist()
    with _reading(index.path), open_hdf5(index.path) as (content, file):
        arrays = member(file, "array")
        require_kind(arrays, dtype, (len(arrays), *shape))
        if dtype == np.uint8:
            yield from map(_crops, _inflated(content, arrays, places))
        else:
            yield from _features(content, arrays, places)


def _features(content: io.BufferedReader, arrays: h5py.Dataset, positions: Sequence[int]) -> Iterator[np.ndarray]:
    """Yields the features of the file `content` at `positions`, as the dataset `arrays` has them."""
    count, *shape = arrays.shape
    size = math.prod(shape) * arrays.dtype.itemsize
    start = require_stored(content, arrays.id.get_offset(), count * size)
    for part, places in itertools.groupby(positions, lambda position: position // PART):
        first = part * PART
        features = read_array(content, start + first * size, (min(PART, count - first), *shape), arrays.dtype)
        _require_finite(features)
        yield from (features[place - first] for place in places)


def _require_finite(features: np.ndarray) -> None:
    """Raises DamagedShard if one of `features`, float16, is infinite or no number."""
    # By their bits, of positive and of negative numbers: np.isfinite takes ten times as long.
    if features.view(np.int16).max() >= INFINITE or features.view(np.uint16).max() >= INFINITE | SIGN:
        raise DamagedShard("its array has numbers that are not finite")


def array_shape(index: ShardIndex) -> tuple[tuple[int, ...], np.dtype]:
    """Returns the shape and dtype of one array of the shard."""
    with _reading(index.path), open_hdf5(index.path) as (_, file):
        arrays = member(file, "array")
        return arrays.shape[1:], arrays.dtype
