"""Files and folders are complete or absent, on the disk when the call returns, and nothing dead lies about."""

import errno
import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from base.errors import UserError
from base.files import make_folder, point_link, replace_with, require_place, require_writable, write_folder, write_text
from base.temporary import ABANDONED, LOCK, TEMPORARY, lock, remove_abandoned, scratch_folder
from tests import ROOT


@pytest.fixture
def synced(tmp_path: Path, monkeypatch) -> list[tuple[Path, list[str]]]:
    """Each path that is synced, a folder with the names that it held then."""
    calls: list[tuple[Path, list[str]]] = []

    def flush(descriptor: int) -> None:
        there = (tmp_path, *tmp_path.rglob("*"))
        path = next(path for path in there if os.path.samestat(os.fstat(descriptor), path.lstat()))
        names = sorted(file.name for file in path.iterdir()) if path.is_dir() else []
        calls.append((path, names))

    monkeypatch.setattr("base.files.flush", flush)
    return calls


def fill_run(folder: Path) -> None:
    write_text(folder / "run.json", "{}")


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_text(path, "x"),
        lambda path: write_folder(path, fill_run),
        lambda path: point_link(path, "."),
        make_folder,
    ],
    ids=["file", "run folder", "link", "empty folder"],
)
def test_the_folder_is_synced_after_the_rename(tmp_path: Path, synced, write: Callable[[Path], Path]):
    """Without this, a power cut can undo the rename although the call has returned."""
    write(tmp_path / "final")
    assert (tmp_path, ["final"]) in synced


def test_a_file_is_synced_before_it_gets_its_name(tmp_path: Path, synced):
    write_text(tmp_path / "final", "x")
    assert [TEMPORARY in str(path) for path, _ in synced] == [True, False]


def test_what_others_write_into_a_folder_is_synced_before_it_gets_its_name(tmp_path: Path, synced):
    """Keras and the converters of exports sync nothing themselves."""

    def fill(folder: Path) -> None:
        (folder / "variables").mkdir()
        for name in ("model.h5", "variables/data"):
            (folder / name).write_text("weights")

    write_folder(tmp_path / "new" / "run", fill)
    names = [path.relative_to(tmp_path).as_posix().split("/", 3)[-1] for path, _ in synced]
    assert {"model.h5", "variables/data", "variables"} <= set(names)
    final = synced.index((tmp_path / "new", ["run"]))
    assert all(TEMPORARY in str(path) for path, _ in synced[1:final])
    assert (tmp_path, ["new"]) in synced


def test_a_failed_write_leaves_the_old_file(tmp_path: Path):
    path = write_text(tmp_path / "final", "old")

    def fail(temporary: Path) -> None:
        temporary.write_text("new")
        raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        replace_with(path, fail)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("final", "old")]


def test_a_folder_whose_name_was_taken_meanwhile_is_refused_or_goes_elsewhere(tmp_path: Path):
    def fill(folder: Path) -> None:
        fill_run(folder)
        make_folder(tmp_path / "run" / "of another")

    with pytest.raises(UserError, match="run cannot be written"):
        write_folder(tmp_path / "run", fill)
    assert write_folder(tmp_path / "run", fill, lambda: tmp_path / "run-2") == tmp_path / "run-2"
    assert {path.name for path in tmp_path.iterdir()} == {"run", "run-2"}
    assert (tmp_path / "run-2" / "run.json").is_file()


HALF = """
import os, signal, sys
from pathlib import Path
from base.files import replace_with, write_folder

def die(temporary):
    (temporary if sys.argv[2] == "file" else temporary / "x").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)

{"file": replace_with, "folder": write_folder}[sys.argv[2]](Path(sys.argv[1]), die)
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_the_next_call_removes_what_a_killed_one_left(tmp_path: Path, kind: str):
    subprocess.run([sys.executable, "-c", HALF, str(tmp_path / "final"), kind], cwd=Path.cwd(), check=False)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(TEMPORARY)
    write_text(tmp_path / "another", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["another"]


KILLED = """
import os, signal
from base.temporary import scratch_folder
with scratch_folder():
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_next_call_removes_what_a_killed_one_left_in_the_systems_folder(tmp_path: Path, monkeypatch):
    subprocess.run([sys.executable, "-c", KILLED], env={**os.environ, "TMPDIR": str(tmp_path)}, check=False)
    (left,) = tmp_path.iterdir()
    (of_others := tmp_path / "reelcheck-mine").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with scratch_folder() as folder:
        assert sorted(tmp_path.iterdir()) == sorted([folder, of_others])
    assert not left.exists()


def grow_old(path: Path) -> None:
    os.utime(path, (then := time.time() - ABANDONED - 60, then))


@pytest.mark.parametrize("kind", ["file", "folder without a lock", "folder with a lock"])
@pytest.mark.parametrize("owner", ["1", "999999999", "999999999@00000000"])
def test_what_no_lock_tells_of_goes_when_it_is_old(tmp_path: Path, owner: str, kind: str):
    """As earlier versions left it, or another machine, which may not share its locks."""
    left = tmp_path / f"{TEMPORARY}{owner}-x"
    if kind == "file":
        left.write_text("half")
    else:
        left.mkdir()
    if kind == "folder with a lock":
        (left / LOCK).touch()
    write_folder(tmp_path / "run", fill_run)
    assert left.exists()
    grow_old(left)
    remove_abandoned(tmp_path)
    assert not left.exists()


@pytest.mark.parametrize("content", [[], [LOCK], ["half", LOCK]])
def test_what_a_process_killed_as_it_began_or_ended_left_goes_at_once(tmp_path: Path, content: list[str]):
    owner = re.sub("^reelcheck-", TEMPORARY, name_of_scratch())
    (left := tmp_path / owner).mkdir()
    for name in content:
        (left / name).touch()
    remove_abandoned(tmp_path)
    assert not left.exists()


def name_of_scratch() -> str:
    with scratch_folder() as folder:
        return folder.name


def test_a_folder_goes_before_its_lock_does(tmp_path: Path, monkeypatch):
    """Killed while it cleans up, a process leaves a folder with a lock, or an empty one."""
    unlinked, gone = Path.unlink, list[str]()

    def unlink(path: Path, missing_ok: bool = False) -> None:
        gone.append(path.name)
        unlinked(path, missing_ok)

    def fill(temporary: Path) -> None:
        for name in ("a", "z", temporary.name):
            (temporary.parent / name).touch()
        monkeypatch.setattr(Path, "unlink", unlink)

    replace_with(tmp_path / "file", fill)
    assert sorted(gone[:-1]) == ["a", "z"]
    assert gone[-1] == LOCK
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("moment", ["before it is opened", "before it is locked"])
def test_a_folder_that_is_removed_before_it_is_locked_is_made_anew(tmp_path: Path, moment: str, monkeypatch):
    opened, removed = Path.open, list[Path]()

    def open_late(path: Path, mode: str = "r", *others: Any, **named: Any) -> object:
        if path.name != LOCK or mode != "w" or removed:
            return opened(path, mode, *others, **named)
        removed.append(path.parent)
        file = opened(path, mode) if moment == "before it is locked" else None
        remove_abandoned(tmp_path)
        assert not path.exists()
        return file or opened(path, mode)

    monkeypatch.setattr(Path, "open", open_late)
    assert write_text(tmp_path / "file", "whole").read_text() == "whole"
    assert len(removed) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


ANOTHER = "import sys; from pathlib import Path; from base.files import write_text; write_text(Path(sys.argv[1]), '')"


def write_meanwhile(path: Path, *before: str) -> None:
    """Has another process, begun by the command `before`, write `path` and so remove what it takes for left behind."""
    done = subprocess.run([*before, sys.executable, "-c", ANOTHER, path], cwd=ROOT, check=False, capture_output=True)
    if before and done.returncode and not path.exists():
        pytest.skip(f"{before[0]} is not allowed here")
    assert done.returncode == 0


@pytest.mark.parametrize("write", [replace_with, write_folder])
@pytest.mark.parametrize("age", ["young", "old"])
def test_what_a_live_process_writes_stays_although_no_process_has_its_number(tmp_path, monkeypatch, write, age):
    """As where two containers of one host's name share a folder."""

    def fill(temporary: Path) -> None:
        fill_run(temporary) if write is write_folder else temporary.write_text("whole")
        if age == "old":
            grow_old(next(tmp_path.glob(f"{TEMPORARY}*")))
        write_meanwhile(tmp_path / "another")
        assert temporary.exists()

    monkeypatch.setattr(os, "getpid", lambda: 999_999_999)
    write(tmp_path / "mine", fill)
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "another"}


def test_what_a_process_of_another_namespace_writes_stays(tmp_path: Path):
    def fill(temporary: Path) -> None:
        temporary.write_text("whole")
        write_meanwhile(tmp_path / "another", "unshare", "--pid", "--fork")
        assert temporary.exists()

    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare")
    assert replace_with(tmp_path / "mine", fill).read_text() == "whole"


def test_without_locks_files_are_written_and_only_what_is_old_goes(tmp_path: Path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    young, old = (tmp_path / f"{TEMPORARY}1-{name}" for name in ("young", "old"))
    young.mkdir()
    old.mkdir()
    grow_old(old)
    write_folder(tmp_path / "run", fill_run)
    assert sorted(tmp_path.iterdir()) == sorted([young, tmp_path / "run"])


def test_leftovers_of_a_name_like_ours_are_not_ours(tmp_path: Path):
    (mine := tmp_path / f"{TEMPORARY}notes").mkdir()
    grow_old(mine)
    remove_abandoned(tmp_path)
    assert mine.exists()


@pytest.mark.parametrize("folder", ["", "runs", "a/b/c"])
def test_a_folder_that_can_be_written_is_left_as_it_is(tmp_path: Path, folder: str):
    require_writable(tmp_path / folder, "choose another")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/a/runs cannot be written \(Not a directory\); choose another --runs\.$"):
        require_writable(tmp_path / "file" / "a" / "runs", "choose another --runs")

    def read_only(dir: Path) -> None:
        assert dir == tmp_path
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "TemporaryFile", read_only)
    with pytest.raises(UserError, match=r"runs cannot be written \(Read-only file system\)"):
        require_writable(tmp_path / "runs", "choose another --runs")


def test_a_relative_folder_is_looked_for_from_here(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    require_writable(Path("runs/deeper"), "choose another")


NO_NAMES = ["n" * 235, "n" * 300, "\u00e4" * 120, "line\nbreak", "bell\x07", "null\x00", "half\udc80"]


@pytest.mark.parametrize("name", NO_NAMES)
def test_a_name_that_nothing_can_have_is_one_line_before_the_work(tmp_path: Path, name: str):
    for check, path in ((require_writable, tmp_path / name), (require_writable, tmp_path / name / "a"),
                        (require_place, tmp_path / name)):  # fmt: skip
        with pytest.raises(UserError, match=r"cannot be written \(.*\); choose another --name\.$") as told:
            check(path, "choose another --name")
        assert str(told.value).isprintable()
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_the_file_system_refuses_is_one_line_before_the_work(tmp_path: Path, monkeypatch):
    def refuse(path, *_, **__):
        raise OSError(errno.EILSEQ, os.strerror(errno.EILSEQ))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(UserError, match=r"name cannot be written \(Invalid or .*\); choose another --name\.$"):
        require_writable(tmp_path / "name", "choose another --name")


def test_the_longest_name_that_is_taken_fits_with_all_that_is_made_of_it(tmp_path: Path):
    def taken(length: int) -> bool:
        try:
            require_writable(tmp_path / ("n" * length), "")
        except UserError:
            return False
        return True

    longest = max(filter(taken, range(100, 250)))
    name = "n" * longest
    assert longest > 180
    write_folder(tmp_path / f"{name}-seed1234567890-2", fill_run)
    write_text(tmp_path / f".training-{name}-tuned-2.npz", "")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_told_of(tmp_path: Path, number: int, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    told: list[str] = []
    with (tmp_path / "file").open("w") as one, (tmp_path / "file").open("w") as other:
        assert lock(one.fileno(), tmp_path / "file", told.append)
        with pytest.raises(BlockingIOError):
            lock(other.fileno(), tmp_path / "file", told.append)
        assert told == []
        monkeypatch.setattr(fcntl, "flock", refuse)
        assert not lock(other.fileno(), tmp_path / "file", told.append)
    assert told == [
        f"{tmp_path / 'file'} is on a file system without locks ({os.strerror(number)}): two that write there at once "
        "are not kept apart, so start no second one."
    ]


MACOS_WITHOUT_LOCKS = """
import errno, fcntl
errno.ENOTSUP, errno.EOPNOTSUPP = 45, 102
from pathlib import Path
from base.temporary import lock
def refuse(*_):
    raise OSError(45, "Operation not supported")
fcntl.flock = refuse
print(lock(0, Path("x")))
"""


def test_macos_has_a_number_of_its_own_for_no_locks():
    command = [sys.executable, "-c", MACOS_WITHOUT_LOCKS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "False"


def test_other_failures_of_a_lock_are_none_of_that(tmp_path: Path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    os.close(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        lock(descriptor, tmp_path)


def test_hdf5_asks_for_no_locks(tmp_path: Path):
    """It would be refused them on some file systems, when it writes Keras' weights after training."""
    program = "import sys, base, h5py; h5py.File(sys.argv[1], 'w').close()"
    environment = {name: value for name, value in os.environ.items() if name != "HDF5_USE_FILE_LOCKING"}
    path = tmp_path / "weights.h5"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = subprocess.run([sys.executable, "-c", program, path], check=False, cwd=ROOT, env=environment)
    assert done.returncode == 0
