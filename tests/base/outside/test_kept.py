"""What is kept is made once, and made again where it is not what was written."""

import os
import time
from pathlib import Path

import pytest

from base.files import Unwritable
from base.outside import kept


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(kept.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


class Maker:
    """Writes the same file at each call, and counts them."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, into: Path) -> None:
        self.calls += 1
        (into / "network.bin").write_bytes(b"numbers")


def content(make: Maker, key: str = "a") -> bytes:
    with kept.kept({"network": key}, make) as folder:
        return (folder / "network.bin").read_bytes()


def test_it_is_made_once_for_each_key():
    make = Maker()
    assert [content(make), content(make), content(make, "b")] == [b"numbers"] * 3
    assert make.calls == 2
    assert kept.is_kept({"network": "a"})
    assert not kept.is_kept({"network": "c"})


def _half(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:3])


def _other(file: Path) -> None:
    file.write_bytes(b"Numbers")


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize("harm", [_half, _other, Path.unlink, _pipe])
@pytest.mark.parametrize("name", ["network.bin", kept.INDEX])
def test_what_is_damaged_is_made_again(folder, harm, name):
    make = Maker()
    content(make)
    harm(next(folder.glob(f"*/{name}")))
    assert not kept.is_kept({"network": "a"})
    assert content(make) == b"numbers"
    assert make.calls == 2
    assert kept.is_kept({"network": "a"})


@pytest.mark.parametrize("listed", ["../../../etc/hostname", "/etc/hostname"])
def test_an_index_names_files_beside_it_alone(folder, listed):
    make = Maker()
    content(make)
    index = next(folder.glob(f"*/{kept.INDEX}"))
    index.write_text(index.read_text().replace("network.bin", listed))
    assert content(make) == b"numbers"
    assert make.calls == 2


def test_an_index_that_names_nothing_is_no_index(folder):
    make = Maker()
    content(make)
    next(folder.glob(f"*/{kept.INDEX}")).write_text('{"key": {"network": "a"}, "checksums": {}}')
    assert not kept.is_kept({"network": "a"})
    assert content(make) == b"numbers"


def test_what_stands_for_another_key_is_made_again(folder):
    make = Maker()
    content(make)
    content(make, "b")
    one, other = folder.iterdir()
    one.rename(folder / "moved")
    other.rename(one)
    (folder / "moved").rename(other)
    assert not any(kept.is_kept({"network": name}) for name in "ab")
    content(make)
    assert make.calls == 3


def test_what_somebody_else_owns_is_not_used(monkeypatch):
    make = Maker()
    content(make)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert not kept.is_kept({"network": "a"})


def test_where_nothing_can_be_kept_it_is_there_for_the_block(monkeypatch):
    def refuse(*_):
        raise Unwritable("the disk is full.")

    monkeypatch.setattr(kept, "write_folder", refuse)
    make = Maker()
    with kept.kept({"network": "a"}, make) as folder:
        assert (folder / "network.bin").read_bytes() == b"numbers"
    assert not folder.exists()
    assert not kept.is_kept({"network": "a"})


def test_a_process_that_is_slower_takes_what_the_faster_one_made():
    fast, slow = Maker(), Maker()

    def overtaken(into: Path) -> None:
        slow(into)
        content(fast)

    with kept.kept({"network": "a"}, overtaken) as folder:
        assert (folder / "network.bin").read_bytes() == b"numbers"
    assert (fast.calls, slow.calls) == (1, 1)
    assert len(list(folder.parent.glob("*"))) == 1


def test_what_nobody_uses_is_removed_when_something_new_is_kept(folder):
    make = Maker()
    content(make, "old")
    content(make, "used")
    old, used = (kept._folder_of({"network": name}) for name in ("old", "used"))
    long_ago = time.time() - kept.UNUSED - 60
    for one in (old, used):
        os.utime(one, (long_ago, long_ago))
    content(make, "used")
    content(make, "new")
    assert not old.exists()
    assert used.exists()


def test_it_lies_in_the_users_cache_folder_unless_named(monkeypatch, tmp_path):
    monkeypatch.delenv(kept.VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert kept.cache_folder() == tmp_path / "reelcheck"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert kept.cache_folder() == tmp_path / ".cache" / "reelcheck"
