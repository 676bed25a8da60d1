"""Disks that are full or must not be written: known by what libraries say, and told by the reason alone."""

import errno
import fcntl
import os

import pytest

from base.errors import UserError
from base.files import writing
from base.machine.disk import cannot_write, flush, reason

HDF5 = OSError(
    errno.ENOSPC,
    "Can't synchronously write data (file write failed: time = Thu Nov 26 18:24:44 2026\n, filename = '/x/a.h5', file "
    "descriptor = 3, errno = 28, error message = 'No space left on device', buf = 0x7f55, total write size = 736512)",
)


@pytest.mark.parametrize(("error", "text"), [
    (HDF5, "No space left on device"),
    (OSError(errno.EROFS, os.strerror(errno.EROFS), "/x"), "Read-only file system"),
    (RuntimeError("(sqlite3.OperationalError) database or disk is full\n[SQL: INSERT]"), "database or disk is full"),
    (RuntimeError("basic_ios::clear: iostream error"), "basic_ios::clear: iostream error"),
    (RuntimeError("RESOURCE_EXHAUSTED: /x/variables; No space left on device [Op:SaveV2]"), "No space left on device"),
])  # fmt: skip
def test_it_is_known_by_what_libraries_say(tmp_path, error, text):
    assert cannot_write(error)
    assert reason(error) == text
    with pytest.raises(UserError) as told, writing(tmp_path, "choose another"):
        raise error
    assert str(told.value) == f"{tmp_path} cannot be written ({text}); choose another."


def test_what_is_flushed_is_synced(monkeypatch):
    made: list[int] = []
    monkeypatch.delattr(fcntl, "F_FULLFSYNC", raising=False)
    monkeypatch.setattr(os, "fsync", made.append)
    flush(9)
    assert made == [9]


@pytest.mark.parametrize(("refuses", "calls"), [(False, ["drive"]), (True, ["drive", "fsync"])])
def test_macos_is_asked_to_empty_the_drives_own_memory(refuses, calls, monkeypatch):
    """Its `fsync` does not; the file system of a network has nothing better."""
    made: list[str] = []

    def full(descriptor: int, command: int) -> None:
        assert (descriptor, command) == (9, 51)
        made.append("drive")
        if refuses:
            raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", full)
    monkeypatch.setattr(os, "fsync", lambda _: made.append("fsync"))
    flush(9)
    assert made == calls


@pytest.mark.parametrize("error", [FileNotFoundError(errno.ENOENT, "No such file"), ValueError("shapes differ")])
def test_other_errors_are_not_of_a_disk(error):
    assert not cannot_write(error)


def test_a_bug_stays_one_while_something_is_written(tmp_path):
    with pytest.raises(ValueError, match="shapes differ"), writing(tmp_path):
        raise ValueError("shapes differ")
