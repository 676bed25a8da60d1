"""A shard: an immutable HDF5 file of rows, complete or absent, safe to read whoever wrote it.

The first 512 bytes are a user block, which HDF5 skips. It holds the XXH3 digest of all bytes after it, so one pass over
the file finds any flipped bit. (Collet, XXH3, xxhash.com: protects against accidents, not against forgery.) Reading
follows no link out of the file and runs no code from it.
"""

import io
import math
import mmap
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import xxhash

from cache.files import write_bytes
from cache.profile import CropProfile, Profile, canonical_json, crops_of, fingerprint
from cache.schema import FRAMES, OK, Row, central_regions

MAGIC = b"reelcheck shard 3\n"
BLOCK = 512
TEXT = h5py.string_dtype()
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
    status: np.ndarray
    times: np.ndarray
    boxes: np.ndarray
    regions: np.ndarray
    file_checksum: list[str]


def write_shard(folder: Path, profile: Profile, rows: Sequence[Row]) -> Path:
    """Writes `rows` as one shard in `folder` and returns its path.

    Its name is a hash of the rows' keys, so writing the same rows again replaces the same file.
    """
    name = xxhash.xxh3_64_hexdigest(repr([(row.key, row.outcome) for row in rows]).encode())
    # In memory first: when the disk fills under an open file, HDF5 crashes the process with SIGSEGV.
    content = io.BytesIO()
    _write(content, profile, rows)
    seal(content.getbuffer())
    return write_bytes(folder / f"shard-{name}.h5", content.getbuffer())


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
        for name in ("status", "times", "boxes", "regions"):
            file.create_dataset(name, data=np.stack([getattr(row, name) for row in rows]))
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


def _inflated(path: Path, arrays: h5py.Dataset, positions: Sequence[int]) -> Iterator[np.ndarray]:
    """Yields the compressed arrays of the file `path` at `positions`, read only, as the dataset `arrays` has them.

    Raises DamagedShard if they are compressed in another way, or if what is there does not make a whole array.
    HDF5 would inflate them while it holds the interpreter's lock, and threads that read for a GPU would take turns.
    """
    shape, properties = arrays.shape[1:], arrays.id.get_create_plist()
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    if arrays.chunks != (1, *shape) or filters != [h5py.h5z.FILTER_DEFLATE]:
        raise DamagedShard("its arrays are not compressed one by one")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for position in positions:
            chunk = arrays.id.get_chunk_info_by_coord((position, *(0 for _ in shape)))
            packed = b"" if chunk.byte_offset is None else content[chunk.byte_offset : chunk.byte_offset + chunk.size]
            try:
                flat = zlib.decompressobj().decompress(packed, math.prod(shape) * arrays.dtype.itemsize)
                yield np.frombuffer(flat, arrays.dtype).reshape(shape)
            except (zlib.error, ValueError) as error:
                raise DamagedShard(f"an array in it is not what was compressed ({error})") from None


def seal(content: bytearray | memoryview) -> None:
    """Writes the digest of the HDF5 part of a shard's `content` into its user block."""
    content[:BLOCK] = _head(content)


def _head(content: bytearray | memoryview | mmap.mmap) -> bytes:
    """Returns the user block for the bytes of a shard."""
    with memoryview(content) as view, view[BLOCK:] as body:
        return (MAGIC + xxhash.xxh3_128_hexdigest(body).encode() + b"\n").ljust(BLOCK, b"\0")


def check(path: Path) -> None:
    """Raises DamagedShard if `path` is not byte for byte what was written."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            head = content[:BLOCK]
            if not head.startswith(MAGIC):
                raise DamagedShard("it does not begin like a shard")
            if head != _head(content):
                raise DamagedShard("its bytes are not those that were written")
    except (OSError, ValueError) as error:
        raise DamagedShard(f"it cannot be read ({error})") from None


def array_checksum(array: np.ndarray) -> str:
    """Returns the XXH3-64 of the bytes of `array`, 16 hex digits."""
    return xxhash.xxh3_64_hexdigest(np.ascontiguousarray(array).data)


def read_index(path: Path, profile: Profile) -> ShardIndex:
    """Returns all of the shard except its arrays; raises DamagedShard if it is not a shard of `profile`."""
    with _open(path) as file:
        if file.attrs.get("fingerprint") != fingerprint(profile):
            raise DamagedShard(f"it was made with the profile {file.attrs.get('fingerprint')}")
        rows = int(_member(file, "id").size or 0)
        texts = {name: _texts(file, name, rows) for name in _TEXTS}
        numbers = {name: _member(file, name, (rows, *shape))[()] for name, shape in _NUMBERS.items()}
        texts["file_checksum"] = _texts(file, "file_checksum", rows) if "file_checksum" in file else [""] * rows
        numbers["regions"] = _regions(file, rows, numbers["status"], crops_of(profile))
        if done := texts["outcome"].count(OK):
            _member(file, "array", (done, FRAMES))
        keys = list(zip(texts.pop("id"), numbers.pop("size").tolist(), numbers.pop("mtime_ns").tolist(), strict=True))
        return ShardIndex(path, keys, **texts, **numbers)


_TEXTS = ("id", "outcome", "reason", "checksum")
_NUMBERS = {"size": (), "mtime_ns": (), "status": (FRAMES,), "times": (FRAMES,), "boxes": (FRAMES, 4)}


def _regions(file: h5py.File, rows: int, status: np.ndarray, crops: CropProfile) -> np.ndarray:
    """Returns the regions of each row. Older shards have none: there every face counts as the crop's middle."""
    if "regions" not in file and crops.version < FIRST_VERSION_WITH_REGIONS:
        return central_regions(status, crops.margin)
    return _member(file, "regions", (rows, FRAMES, 4))[()]


def _texts(file: h5py.File, name: str, rows: int) -> list[str]:
    dataset = _member(file, name, (rows,))
    if h5py.check_string_dtype(dataset.dtype) is None:
        raise DamagedShard(f"its {name} is no text")
    return [str(text) for text in dataset.asstr()[()]]


def read_arrays(
    index: ShardIndex, rows: Sequence[int], shape: tuple[int, ...], dtype: np.dtype
) -> Iterator[np.ndarray]:
    """Yields the array of each of `rows`; raises DamagedShard if one is not of `shape` and `dtype`.

    Features are views of the mapped file; crops are decompressed one by one.
    """
    position = np.cumsum([outcome == OK for outcome in index.outcome]) - 1
    with _open(index.path) as file:
        arrays = _member(file, "array")
        if arrays.shape[1:] != shape or arrays.dtype != dtype:
            raise DamagedShard(f"its arrays are {arrays.dtype} {arrays.shape[1:]}, not {dtype} {shape}")
        offset = arrays.id.get_offset()
        if offset is None:
            yield from map(_crops, _inflated(index.path, arrays, [int(position[row]) for row in rows]))
        else:
            # A plain view of it, for numpy makes each slice of a memmap in Python.
            view = np.asarray(np.memmap(index.path, arrays.dtype, mode="r", offset=offset, shape=arrays.shape))
            yield from (view[position[row]] for row in rows)


def array_shape(index: ShardIndex) -> tuple[tuple[int, ...], np.dtype]:
    """Returns the shape and dtype of one array of the shard."""
    with _open(index.path) as file:
        arrays = _member(file, "array")
        return arrays.shape[1:], arrays.dtype


@contextmanager
def _open(path: Path) -> Iterator[h5py.File]:
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except (OSError, RuntimeError, KeyError, UnicodeDecodeError) as error:  # what h5py raises for bad bytes
        raise DamagedShard(f"it is not readable HDF5 ({' '.join(str(error).split())})") from None


def _member(file: h5py.File, name: str, shape: tuple[int, ...] = ()) -> h5py.Dataset:
    """Returns the dataset `name`: a hard link, all bytes inside this file, with a shape that begins with `shape`."""
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise DamagedShard(f"its {name} is missing or a link; only data inside the file is read")
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
        raise DamagedShard(f"its {name} lies outside the file; only data inside it is read")
    if dataset.shape[: len(shape)] != shape:
        raise DamagedShard(f"its {name} has the shape {dataset.shape}, not {shape}")
    return dataset
