"""Files that are there and are not given to who reads them."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534
BROKEN = Path("/proc/self/mem")
"""A regular file that may be opened, and whose first byte the system cannot read: Input/output error."""
REFUSED = r"cannot be read \(Permission denied\)"


@contextmanager
def as_somebody_else() -> Iterator[None]:
    """Takes from root the right to read everything; a user who owns the files goes by their modes."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def folder_of_all() -> Iterator[Path]:
    """Gives a new folder that anybody may look into; those of pytest are their owner's alone."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)
