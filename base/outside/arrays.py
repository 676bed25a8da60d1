"""Reading an .npz file that anybody may have written: no pickle, and nothing larger in memory than the file itself."""

import io
import zipfile
from pathlib import Path

import numpy as np

from base.outside.content import WrongContent, open_regular

MOST_ARRAYS = 2**33
"""Bytes of a file of arrays; the training of the largest backbone takes an eighth of it."""
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Returns the arrays that `numpy.savez` wrote into the file `path`, by name; raises what `open_regular` does."""
    with open_regular(path, MOST_ARRAYS) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
                _require_plain(members, file.seek(0, io.SEEK_END))
                return {one.filename.removesuffix(".npy"): _array(archive.read(one)) for one in members}
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:  # what zipfile raises
            raise WrongContent(f"it is not an archive of arrays: {error}") from None


def _require_plain(members: list[zipfile.ZipInfo], size: int) -> None:
    """Raises WrongContent if a member is packed, or if all claim more bytes than the file has."""
    if any(one.compress_type != zipfile.ZIP_STORED or one.file_size != one.compress_size for one in members):
        raise WrongContent("its arrays are packed, and no packed one is read")
    if sum(one.file_size for one in members) > size:
        raise WrongContent("its arrays claim more bytes than it has")
    if len({one.filename for one in members}) < len(members):
        raise WrongContent("it has two arrays of one name")


def _array(content: bytes) -> np.ndarray:
    """Returns the array of one member; raises WrongContent for what is none, and for Python's objects."""
    head = io.BytesIO(content)
    try:
        shape, by_columns, dtype = _HEADERS[np.lib.format.read_magic(head)](head)
        if min(shape, default=0) < 0:
            raise ValueError("its shape is below 0")
        values = np.frombuffer(content, dtype, offset=head.tell())  # refuses objects
        return values.reshape(shape, order="F" if by_columns else "C")
    except (KeyError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise WrongContent(f"it has an array that cannot be read: {str(error).partition(chr(10))[0]}") from None
