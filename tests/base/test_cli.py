"""python -m cache, and how commands read flags, report what is wrong and end."""

import csv
import dataclasses
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
import pytest

from base.command_line.parse import parse_flags
from base.ending import run
from base.errors import UserError
from base.flags import option, required
from cache.__main__ import main
from cache.contents import load
from cache.profile import CropProfile
from cache.store import create_store
from tests import ROOT
from tests.stores import WIDTH, pairs, write_features


@pytest.fixture
def store(tmp_path):
    return write_features(tmp_path, pairs(4, 1))


def test_info_tells_what_is_in_a_folder(store, capsys):
    assert main(["info", str(store.folder)]) == 0
    said = capsys.readouterr().out
    assert "8 ok (4 real, 4 fake), 0 failed, 0 not extracted yet" in said
    assert f"float16 (8, 12, {WIDTH})" in said
    assert '"margin":0.3' in said


def test_several_folders_are_looked_into_and_those_without_a_row_left_out(store, tmp_path, capsys):
    empty = create_store(tmp_path / "set", dataclasses.replace(store.profile, backbone="resnet50")).folder
    folders = [str(empty), str(store.folder), str(store.folder)]
    for command, line in (("info", "8 ok (4 real, 4 fake)"), ("verify", "every byte is as it was written")):
        assert main([command, *folders]) == 0
        said = capsys.readouterr()
        assert said.out.count(line) == 2
        assert said.err == f"{empty} holds no extracted video; it is left out.\n"
    with pytest.raises(UserError, match="there are 2 folders; export one at a time"):
        main(["export", *folders, "--out", str(tmp_path / "x")])
    with pytest.raises(UserError, match="holds no extracted video"):
        main(["info", str(empty)])


def test_verify_finds_one_changed_byte(store, capsys):
    assert main(["verify", str(store.folder)]) == 0
    (shard,) = store.shards
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    assert main(["verify", str(store.folder)]) == 2
    said = capsys.readouterr().out
    assert f"damaged: {shard}" in said
    assert "1 of 1 shards are damaged; reelcheck features --data ... sets them aside" in said


def test_an_export_is_read_without_reelcheck(store, tmp_path, capsys):
    main(["export", str(store.folder), "--out", str(tmp_path / "to" / "others")])
    assert capsys.readouterr().out == f"{tmp_path / 'to' / 'others.h5'}\n"
    contents = load(store)
    with (tmp_path / "to" / "others.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], int(row["label"])) for row in rows] == [(r.id, r.label) for r in contents.records]
    arrays = {"features": contents.arrays, "label": contents.labels, "mask": contents.mask}
    expected = arrays | vars(contents.seen)
    with (
        np.load(tmp_path / "to" / "others.npz", allow_pickle=False) as arrays,
        h5py.File(tmp_path / "to" / "others.h5") as file,
    ):
        assert set(arrays) == set(expected)
        assert list(file["id"].asstr()) == [row["id"] for row in rows]  # pyright: ignore
        for name, array in expected.items():
            np.testing.assert_array_equal(arrays[name], array)
            np.testing.assert_array_equal(file[name][()], array)  # pyright: ignore


@pytest.mark.parametrize("command", ["info", "verify", "export"])
def test_folders_that_hold_nothing_are_refused(tmp_path, command):
    with pytest.raises(UserError, match="holds no features or crops"):
        main([command, str(tmp_path)])


def test_an_empty_store_cannot_be_exported(tmp_path):
    store = create_store(tmp_path / "set", CropProfile())
    (store.manifest).write_text((write_features(tmp_path / "other", pairs(2, 1)).manifest).read_text())
    with pytest.raises(UserError, match="holds no extracted video"):
        main(["export", str(store.folder)])


@dataclass(frozen=True)
class Config:
    folder: Path = required("where")
    kind: Literal["one", "two"] = option("one", "which")
    share: float = option(0.5, "in 100% of the cases, a share")
    files: tuple[Path, ...] = option((), "some files")
    loud: bool = option(True, "say more")
    much: int | None = option(None, "how much")


def test_flags_follow_from_the_dataclass():
    given = ["--folder", "x", "--kind", "two", "--files", "a,b", "--no-loud", "--much", "3"]
    assert parse_flags("p", "", Config, given) == Config(Path("x"), "two", 0.5, (Path("a"), Path("b")), False, 3)
    assert parse_flags("p", "", Config, ["--folder", "x"]) == Config(Path("x"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config(Path("x")).kind = "two"  # pyright: ignore


@pytest.mark.parametrize(
    "wrong", [[], ["--folder", "x", "--bogus"], ["--folder", "x", "--kind", "three"], ["--folder", "x", "--sha", "1"]]
)
def test_wrong_flags_are_one_sentence(wrong):
    with pytest.raises(UserError, match="p --help lists the flags"):
        parse_flags("p", "", Config, wrong)


def test_help_says_defaults(capsys):
    with pytest.raises(SystemExit) as ended:
        parse_flags("p", "", Config, ["--help"])
    assert ended.value.code == 0
    assert "in 100% of the cases, a share (default: 0.5)" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (UserError("x is wrong; mend it."), 2, "error: x is wrong; mend it.\n"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_how_commands_end(capsys, error, status, said):
    def fail():
        raise error

    with pytest.raises(SystemExit) as ended:
        run(fail)
    assert ended.value.code == status
    assert capsys.readouterr().err.startswith(said)


# Not one long sleep: a signal that comes as it begins would be noticed when it ends.
SLEEP = "for _ in range(600): time.sleep(0.1)"
WAITING = f"import time\ntry:\n print('ready', flush=True)\n {SLEEP}\nexcept KeyboardInterrupt:\n "
ENDS = {
    "by itself": "raise",
    "with an error of its own": "raise ValueError",
    "with a sentence of its own": "raise UserError('the engine is not installed.')",  # its import was interrupted
}
STATUS = {signal.SIGTERM: 143, signal.SIGINT: 130}


def interrupted(number: int, end: str) -> tuple[int, str]:
    """Returns status and stderr of a command that ends like that when the signal comes."""
    program = (
        f"from base.errors import UserError\nfrom base.ending import run\ndef f():\n exec({WAITING + end!r})\nrun(f)"
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
    return process.returncode, errors


@pytest.mark.parametrize("number", STATUS)
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_signal_interrupts_with_a_status_of_its_own_whatever_becomes_of_it(ctrl_c, number, end):
    assert interrupted(number, end) == (STATUS[number], "interrupted; finished work is kept.\n")


def test_a_stage_that_ctrl_c_ends_regularly_says_that_sigterm_ended_it(ctrl_c):
    assert interrupted(signal.SIGINT, "pass") == (0, "")
    assert interrupted(signal.SIGTERM, "pass") == (143, "interrupted; finished work is kept.\n")


def test_a_signal_that_was_ignored_stays_so():
    program = "import os, signal\nfrom base.ending import run\nrun(lambda: os.kill(os.getpid(), signal.SIGINT))"
    words = ["sh", "-c", 'trap \'\' INT; exec "$0" -c "$1"', sys.executable, program]
    assert subprocess.run(words, cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("error", [UserError, RuntimeError])
def test_no_error_shows_the_password_of_an_address(capsys, error):
    def fail():
        raise error("unrecognized arguments: postgresql://me:hunter2@host/db, and http://host:80/a@b")

    with pytest.raises(SystemExit):
        run(fail)
    text = capsys.readouterr().err
    assert "postgresql://me:***@host/db, and http://host:80/a@b" in text
    assert "hunter2" not in text


def test_a_command_gives_the_signal_back(capsys):
    before = [signal.getsignal(number) for number in STATUS]
    with pytest.raises(SystemExit):
        run(lambda: 0)
    assert [signal.getsignal(number) for number in STATUS] == before


def test_a_bug_has_its_traceback_and_a_status_of_its_own(capsys):
    with pytest.raises(SystemExit) as ended:
        run(lambda: 1 // 0, error_status=64)
    assert ended.value.code == 70
    said = capsys.readouterr().err
    assert said.startswith("Traceback (most recent call last):")
    assert said.endswith("ZeroDivisionError: integer division or modulo by zero\n")


def test_an_error_of_the_system_is_no_fault_of_the_output(capsys):
    with pytest.raises(SystemExit) as ended:
        run(lambda: len(Path("/absent/file").read_bytes()))
    assert ended.value.code == 70
    assert "FileNotFoundError" in capsys.readouterr().err


def shell(program: str, redirected: str, unbuffered: str = "") -> subprocess.CompletedProcess[bytes]:
    """The result of `program` as the function of a command, its streams `redirected` as a shell writes it."""
    command = f"import sys\nfrom base.ending import run\ndef f():\n exec({program!r})\n return 3\nrun(f)"
    words = ["sh", "-c", f'"$0" -c "$1" {redirected}', sys.executable, command]
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    return subprocess.run(words, check=False, cwd=ROOT, env=environment, capture_output=True)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_command_works_with_its_streams_closed(closed, tmp_path):
    file = tmp_path / "file"
    done = shell(
        f"import os; file = open({str(file)!r}, 'w'); print('out', list(sys.stdin)); print('err', file=sys.stderr)\n"
        "os.system('echo C code')\nfile.write('content')",
        f"{closed} {'' if '<' in closed else '</dev/null'}",
    )
    assert done.returncode == 3
    assert file.read_text() == "content"
    expected = [b"out []", b"C code"]
    assert sorted(done.stdout.splitlines()) == ([] if " >" in f" {closed}" else sorted(expected))
    assert done.stderr == (b"" if "2>" in closed else b"err\n")


WITH_DEV_FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="macOS has no disk that is always full")


@WITH_DEV_FULL
@pytest.mark.parametrize("program", ["print('x')", "print('x' * 99999)", "print('x', flush=True)"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_under_the_output_is_one_sentence(program, unbuffered):
    done = shell(program, ">/dev/full", unbuffered)
    assert done.returncode == 2
    assert done.stderr == (
        b"error: the output cannot be written (No space left on device); free its disk, or send it elsewhere.\n"
    )


@WITH_DEV_FULL
def test_help_and_errors_on_a_full_disk_have_their_status():
    help_text = "import cache.__main__ as m; m.main(['--help'])"
    assert shell(help_text, ">/dev/full").returncode == 2
    wrong = "print('x'); import base.errors as s; raise s.UserError('x is wrong.')"
    done = shell(wrong, ">/dev/full")
    assert (done.returncode, done.stderr) == (2, b"error: x is wrong.\n")
    assert shell(wrong, "2>/dev/full").returncode == 2
    assert shell("1 // 0", "2>/dev/full").returncode == 70


@pytest.mark.parametrize("package", ["cache", "extract", "train", "evaluate", "detect", "reelcheck"])
def test_each_package_ends_a_bug_with_the_status_of_bugs(package, tmp_path):
    """A module of the standard library that the packages need while they run, not to start, is broken."""
    (tmp_path / "sitecustomize.py").write_text(
        "import argparse\ndef broken(*args): raise RuntimeError('a bug')\nargparse.ArgumentParser.parse_args = broken\n"
    )
    words = {
        "cache": ["info", "x"],
        "train": ["fit", "--x"],
        "evaluate": ["report", "--x"],
        "reelcheck": ["detect", "x"],
    }
    done = subprocess.run(
        [sys.executable, "-m", package, *words.get(package, ["x"])],
        check=False, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 70, done.stderr
    assert done.stderr.startswith("Traceback")


def test_a_reader_that_goes_away_ends_the_command_quietly(store):
    program = f"import sys, cache.commands as m\nfor _ in range(9999): m.info(m.Path({str(store.folder)!r}))"
    command = [sys.executable, "-c", f"from base.ending import run\ndef f():\n exec({program!r})\nrun(f)"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=60) == 141
        assert process.stderr.read() == b""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--nmae", "x"], "--nmae is not a flag of p; did you mean --name? p --help lists the flags."),
        (["--qqq=1"], "--qqq is not a flag of p; p --help lists the flags."),
    ],
)
def test_an_unknown_flag_is_refused_with_the_nearest_name(words, sentence):
    @dataclasses.dataclass(frozen=True)
    class Named:
        name: str = option("", "a name")

    with pytest.raises(UserError) as caught:
        parse_flags("p", "", Named, words)
    assert str(caught.value) == sentence


IN_EXEC = """
from base.ending import run
run(lambda: exec("import os, signal; os.kill(os.getpid(), signal.SIGTERM)"))
"""


def test_sigterm_while_a_class_is_made_gives_its_status(tmp_path: Path):
    (tmp_path / "program.py").write_text(IN_EXEC)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "program"]  # as a file, Python would heed the status
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (143, "interrupted; finished work is kept.\n")
