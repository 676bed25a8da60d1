"""What cannot be read is neither damaged nor absent: one sentence with the reason, and everything stays as it is."""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from base.errors import UserError
from cache.__main__ import main as cache_command
from cache.manifest import read_manifest
from cache.schema import FRAMES
from cache.shard import array_shape, check, read_arrays, read_index
from cache.store import Store, has_rows, open_store, open_writer, read_origin
from tests import ROOT
from tests.refused import BROKEN, REFUSED, as_somebody_else
from tests.stores import PROFILE, WIDTH, pairs, write_features

needs_broken = pytest.mark.skipif(not BROKEN.exists(), reason="no file is broken here")


@pytest.fixture
def store() -> Iterator[Store]:
    """A store in a folder that anybody may write."""
    with tempfile.TemporaryDirectory() as folder:
        store = write_features(Path(folder), pairs(2, 1))
        for path in (Path(folder), store.folder.parent, store.folder):
            path.chmod(0o777)
        yield store


@contextmanager
def no_more_files() -> Iterator[None]:
    """Lets this process open no file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def names(store: Store) -> list[str]:
    return sorted(path.name for path in store.folder.iterdir())


def write(store: Store) -> None:
    with open_writer(store):
        pass


def test_shards_of_another_user_are_not_set_aside(store: Store):
    """Two who share a folder, one of them with umask 077."""
    before = names(store)
    store.shards[0].chmod(0)
    with as_somebody_else(), pytest.raises(UserError, match=f"{store.shards[0]} {REFUSED}"):
        write(store)
    with as_somebody_else(), pytest.raises(UserError, match=REFUSED):
        cache_command(["verify", str(store.folder)])
    assert names(store) == before


@needs_broken
def test_a_shard_on_a_broken_disk_is_not_set_aside(store: Store):
    (broken := store.folder / "shard-0.h5").symlink_to(BROKEN)
    before = names(store)
    with pytest.raises(UserError, match=rf"{broken} cannot be read \(Input/output error\)"):
        write(store)
    assert names(store) == before


READERS = {
    "check": lambda index: check(index.path),
    "index": lambda index: read_index(index.path, PROFILE),
    "arrays": lambda index: list(read_arrays(index, [0], (FRAMES, WIDTH), np.dtype(np.float16))),
    "shape": array_shape,
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_shard_is_not_damaged_because_too_many_files_are_open(store: Store, read: Callable):
    index = read_index(store.shards[0], PROFILE)
    with no_more_files(), pytest.raises(UserError, match="Too many open files"):
        read(index)
    read(index)


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_shard_is_not_damaged_because_it_has_gone(store: Store, read: Callable):
    index = read_index(store.shards[0], PROFILE)
    index.path.unlink()
    with pytest.raises(UserError, match=r"cannot be read \(No such file or directory\)"):
        read(index)


def test_a_pipe_in_a_store_holds_nobody_up_and_is_set_aside(store: Store):
    os.mkfifo(store.folder / "shard-0.h5")
    with open_writer(store) as writer:
        assert [path.name for path in writer.set_aside] == ["shard-0.damaged"]


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("profile.json", lambda store: open_store(store.folder)),
        ("manifest.csv", lambda store: read_manifest(store.manifest)),
        ("origin.json", lambda store: read_origin(store.folder)),
    ],
)
def test_a_file_of_the_store_that_may_not_be_read_is_not_absent(store: Store, name: str, read: Callable):
    (store.folder / name).touch()
    (store.folder / name).chmod(0)
    with as_somebody_else(), pytest.raises(UserError, match=rf"{name} {REFUSED}; mend that, and run again"):
        read(store)


@pytest.mark.parametrize("read", [lambda store: has_rows(store.folder), lambda store: store.shards, write])
def test_a_store_that_may_not_be_listed_is_not_empty(store: Store, read: Callable):
    store.folder.chmod(0o311)
    with as_somebody_else(), pytest.raises(UserError, match=REFUSED):
        read(store)


CUT = """
import os, sys
from pathlib import Path
import numpy as np
from cache.shard import DamagedShard, read_arrays, read_index
from tests import ROOT
from tests.refused import BROKEN, REFUSED, as_somebody_else
from tests.stores import PROFILE, WIDTH
index = read_index(Path(sys.argv[1]), PROFILE)
try:
    for array in read_arrays(index, range(len(index.keys)), (12, WIDTH), np.dtype(np.float16)):
        os.truncate(index.path, 600)
        array.sum()
except DamagedShard as error:
    print(error)
"""


def test_a_shard_that_is_cut_while_its_arrays_are_read_is_damage(tmp_path: Path):
    """Of a mapped file, the system would kill the process that touches what has gone."""
    store = write_features(tmp_path, pairs(20, 4))
    done = subprocess.run([sys.executable, "-c", CUT, store.shards[0]], cwd=ROOT, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"it says that it holds more than is in the file\n")
