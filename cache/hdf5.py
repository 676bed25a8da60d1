"""Reading an HDF5 file that anybody may have written: no more than the file has, and nothing from outside it.

A file is not mapped: where a part of a mapped file is lost, the system kills the process that touches it. HDF5 reads by
the same Python file as we do, so the system's errors come as they are, and all others are about what was read.
"""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

import h5py
import numpy as np

from base.machine.memory import out_of_memory
from base.outside.content import WrongContent, open_regular

TEXT = h5py.string_dtype()
_REFERENCE = np.dtype([("length", "<u4"), ("heap", "<u8"), ("number", "<u4")])
"""A text in a dataset: how many bytes it has, and where they lie, which may be one place for many."""
_OF_BAD_BYTES = (OSError, RuntimeError, LookupError, TypeError, ValueError)
"""What h5py raises for them."""


@contextmanager
def open_hdf5(path: Path) -> Iterator[tuple[BufferedReader, h5py.File]]:
    """Opens `path` as a file and, by that, as HDF5; raises what `open_regular` does.

    WrongContent is also what h5py finds in the block.
    """
    with open_regular(path) as content:
        size = _size(content)
        try:
            with h5py.File(content, "r") as file:
                yield content, file
        except WrongContent:
            raise
        except _OF_BAD_BYTES as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            if out_of_memory(error):
                raise MemoryError(str(error)) from None
            raise WrongContent(f"it is not readable HDF5 ({' '.join(str(error).split())})") from None
        if _size(content) < size:
            raise WrongContent("it became shorter while it was read")


def member(file: h5py.File, name: str) -> h5py.Dataset:
    """Returns the dataset `name`: a hard link, all bytes inside this file."""
    dataset = inside(file, name)
    if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
        raise WrongContent(f"its {name} is not data inside the file")
    return dataset


def inside(file: h5py.File, name: str) -> h5py.Dataset | h5py.Group | h5py.Datatype:
    """Returns what has the `name`; raises WrongContent if that is nothing, a link, or data outside this file."""
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise WrongContent(f"its {name} is missing or a link; only data inside the file is read")
    item = file[name]
    if isinstance(item, h5py.Dataset) and (item.is_virtual or item.external):
        raise WrongContent(f"its {name} lies outside the file; only data inside it is read")
    return item


def require_kind(dataset: h5py.Dataset, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    """Raises WrongContent unless `dataset` has this `dtype` and `shape`."""
    name, found = _name(dataset), dataset.dtype
    if (found, h5py.check_string_dtype(found)) != (dtype, h5py.check_string_dtype(dtype)):
        raise WrongContent(f"its {name} is {found}, not {dtype}")
    if dataset.shape != shape:
        raise WrongContent(f"its {name} has the shape {dataset.shape}, not {shape}")


def read_array(content: BufferedReader, offset: int | None, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Returns the array of `shape` and `dtype` at `offset`; raises WrongContent if it does not lie there in full."""
    content.seek(require_stored(content, offset, math.prod(shape) * dtype.itemsize))
    array = np.empty(shape, dtype)
    if content.readinto(array) < array.nbytes:  # pyright: ignore[reportArgumentType]
        raise WrongContent("it became shorter while it was read")
    return array


def read_texts(content: BufferedReader, dataset: h5py.Dataset) -> list[str]:
    """Returns the texts of a `dataset` of the kind `TEXT`; raises WrongContent if they are more than the file has."""
    references = read_array(content, dataset.id.get_offset(), dataset.shape, _REFERENCE)
    if references["length"].sum() > _size(content):
        raise WrongContent(f"its {_name(dataset)} has more text than the file")
    return dataset.asstr()[()].tolist()


def require_stored(content: BufferedReader, offset: int | None, size: int) -> int:
    """Returns `offset` if `size` bytes lie there; raises WrongContent if not, or if it is None: none were written."""
    if offset is None or offset + size > _size(content):
        raise WrongContent("it says that it holds more than is in the file")
    return offset


def _name(dataset: h5py.Dataset) -> str:
    return str(dataset.name).strip("/")


def _size(content: BufferedReader) -> int:
    return os.fstat(content.fileno()).st_size
