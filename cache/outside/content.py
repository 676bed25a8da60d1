"""Reading a file that anybody may have written: a regular one, up to a size, so that nothing hangs or fills memory."""

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

import xxhash

MOST_JSON = 2**24
MOST_TABLE = 2**27
"""Bytes that are read of a JSON file and of a CSV file; those of ten thousand clips are a tenth of it or less."""


class WrongContent(ValueError):
    """A file whose content is not read; says what was found, without the file's name."""


def require_regular(path: Path) -> int:
    """Returns the size of the file `path`; raises WrongContent if it is a pipe, a device or a folder, or OSError."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise WrongContent("it is no regular file")
    return status.st_size


def read_regular(path: Path, most: int) -> bytes:
    """Returns the content of the file `path`, up to `most` bytes; raises WrongContent, or OSError."""
    # Without O_NONBLOCK, opening a pipe would wait for a writer, for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise WrongContent("it is no regular file")
        if status.st_size > most:
            raise WrongContent(f"it has {status.st_size:,} bytes, and at most {most:,} are read")
        return file.read(most)


def read_text(path: Path, most: int = MOST_TABLE) -> str:
    """Returns the UTF-8 text in the file `path`, its line ends as they are; raises WrongContent, or OSError."""
    try:
        return read_regular(path, most).decode("utf-8")
    except UnicodeDecodeError as error:
        raise WrongContent(f"byte 0x{error.object[error.start]:02x} at {error.start:,} is not UTF-8") from None


def read_json(path: Path, most: int = MOST_JSON) -> Any:
    """Returns the value in the JSON file `path`; raises WrongContent, or OSError."""
    try:
        return json.loads(read_text(path, most))
    except RecursionError:
        raise WrongContent("it is nested too deeply") from None
    except WrongContent:
        raise
    except ValueError as error:
        raise WrongContent(str(error)) from None


def checksum(path: Path) -> str:
    """Returns the XXH3-128 of all bytes of the file, 32 hex digits: it finds damage, and proves no origin."""
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, xxhash.xxh3_128).hexdigest()  # pyright: ignore[reportArgumentType]
