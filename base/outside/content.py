"""The door for files that anybody may have written: regular ones, up to a size, so that nothing hangs or fills memory.

No other module opens such a file; `tests/test_architecture.py` holds that. Beside it, `values` reads JSON, TOML
and our tables as types, `lists` what people write, and `arrays` an .npz file.
"""

import contextlib
import errno
import hashlib
import io
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import xxhash

from base.errors import Unreadable
from base.machine.disk import reason

MOST_TABLE = 2**27
"""Bytes that are read of a text; a CSV file of ten thousand clips has a tenth of it or less."""


class WrongContent(ValueError):
    """A file whose content is not read; says what was found, without the file's name."""


NO_FILE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
"""What is raised where there is no file of a name."""
_NOTHING = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)
"""Errors which mean that there is nothing of a name."""


@contextlib.contextmanager
def reading(place: Path) -> Iterator[None]:
    """Turns an OSError of the system in the block into an Unreadable, except `NO_FILE`."""
    try:
        yield
    except NO_FILE:
        raise
    except OSError as error:
        if error.errno is None:  # a library's, about what it has read
            raise
        raise unreadable(place, error) from None


def unreadable(place: Path, error: OSError) -> Unreadable:
    """Returns the UserError for an `error` that came when `place` was read."""
    return Unreadable(f"{place} cannot be read ({reason(error)}); mend that, and run again: it was left as it is.")


@contextlib.contextmanager
def open_regular(path: Path, most: float = math.inf) -> Iterator[io.BufferedReader]:
    """Gives the file `path` open for reading; raises `NO_FILE`, or WrongContent if it is a pipe, a device or too large.

    Raises Unreadable if the system does not open it, or does not read it within the block.
    """
    with reading(path), _opened(path) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise WrongContent("it is not a regular file")
        if status.st_size > most:
            raise WrongContent(f"it has {status.st_size:,} bytes, and at most {most:,} are read")
        yield file


def _opened(path: Path) -> io.BufferedReader:
    try:
        # Without O_NONBLOCK, opening a pipe would wait for a writer, for ever.
        return open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
    except ValueError as error:  # a NUL, or half a pair of Unicode
        raise WrongContent(f"no file can have its name: {error}") from None
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            raise WrongContent(f"it leads to no file: {error.strerror}") from None
        raise


def is_regular(path: Path) -> bool:
    """Returns whether `path` is a regular file, or a link to one; raises Unreadable where the system does not say."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except ValueError:
        return False
    except OSError as error:
        if error.errno in _NOTHING:
            return False
        raise unreadable(path, error) from None


def require_regular(path: Path) -> int:
    """Returns the size of the file `path`; raises what `open_regular` does."""
    with open_regular(path) as file:
        return os.fstat(file.fileno()).st_size


def read_regular(path: Path, most: int) -> bytes:
    """Returns the content of the file `path`, up to `most` bytes; raises what `open_regular` does."""
    with open_regular(path, most) as file:
        return file.read(most)


def read_text(path: Path, most: int = MOST_TABLE) -> str:
    """Returns the UTF-8 text in the file `path`, its line ends as they are; raises what `open_regular` does."""
    try:
        text = read_regular(path, most).decode("utf-8")
    except UnicodeDecodeError as error:
        raise WrongContent(f"byte 0x{error.object[error.start]:02x} at {error.start:,} is not UTF-8") from None
    return require_text(text)


def require_text(text: str) -> str:
    """Returns `text`; raises WrongContent if it has a NUL, which no text has, and at which C's functions end it."""
    if (start := text.find("\0")) >= 0:
        raise WrongContent(f"the character at {start:,} is a NUL")
    return text


def checksum(path: Path) -> str:
    """Returns the XXH3-128 of all bytes of the file, 32 hex digits: it finds damage, and proves no origin.

    Raises what `open_regular` does.
    """
    with open_regular(path) as file:
        return hashlib.file_digest(file, xxhash.xxh3_128).hexdigest()  # pyright: ignore[reportArgumentType]
