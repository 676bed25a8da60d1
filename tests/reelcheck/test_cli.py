"""The front door: each verb leads to its stage, from a command line and from make."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from base.errors import UserError
from reelcheck.cli import VERBS, dispatch, require_verb
from reelcheck.under_make import _status, variables, words
from tests import ROOT


def make(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """`make` with this Python, as a user's shell would start it."""
    inner = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    environment = {name: value for name, value in os.environ.items() if name not in inner}
    return subprocess.run(
        ["make", *arguments], check=False, cwd=folder, env=environment, capture_output=True, text=True
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the Makefile, whose Python prints the words that the program would be given."""
    for name in ("Makefile", "base/__init__.py", "base/verbs.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "requirements.lock").touch()
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / "show.py").write_text(
        f"import os, sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from reelcheck.under_make import variables, words\n"
        "print(words(sys.argv[3], variables(os.environ['MAKEFLAGS'])))\n"
    )
    python = tmp_path / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} show.py "$@"\n')
    python.chmod(0o755)
    (tmp_path / ".venv" / ".ready").touch()
    return tmp_path


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_flags_and_says_so(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        dispatch([verb, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: reelcheck {verb}")


def test_without_a_verb_the_verbs_are_listed(capsys):
    assert dispatch([]) == 0
    listed = capsys.readouterr().out
    assert all(f"  {verb}" in listed for verb in VERBS)


def test_an_unknown_verb_is_refused_with_the_nearest():
    with pytest.raises(UserError, match=r"'featrues' is not a verb; did you mean features\?"):
        require_verb("featrues")


def test_an_unknown_flag_is_refused(capsys):
    with pytest.raises(UserError, match=r"--haed.*reelcheck train --help"):
        dispatch(["train", "--haed", "gru"])


def test_each_verb_is_a_target_of_make():
    listed = make("help").stdout
    assert [verb for verb in VERBS if f"make {verb} " not in listed] == []


NAMES = [
    "x`touch PWNED`.mp4",
    "$(touch PWNED).mp4",
    "$(shell touch PWNED).mp4",
    "a;touch PWNED.mp4",
    "a $HOME b.mp4",
    "it's.mp4",
    'two "quotes".mp4',
    "back\\slash.mp4",
    "new\tline.mp4",
    "-dash.mp4",
    "a=b.mp4",
    "ünïcode.mp4",
]


@pytest.mark.parametrize("name", NAMES)
def test_make_passes_any_name_through_and_runs_none_of_it(name, checkout):
    done = make("detect", f"VIDEO={name}", "THRESHOLD=0.9", folder=checkout)
    assert done.stdout.strip() == str(["detect", "--threshold=0.9", "--", name]), done.stderr
    assert not (checkout / "PWNED").exists()


def test_variables_become_flags(monkeypatch):
    assert words("train", variables("k -j2 -- HEAD=gru LEARNING_RATE:=0.01")) == [
        "train",
        "--head=gru",
        "--learning-rate=0.01",
    ]
    assert words("eval", {"ARGS": "--seed 3 --resamples '10'"}) == ["eval", "--seed", "3", "--resamples", "10"]
    assert words("train", variables("s -- PYTHON=python3.11")) == ["train"]
    assert variables("ks") == {}


def test_make_of_macos_puts_nothing_before_variables_without_flags():
    r"""make 3.81 writes ` -- ` only behind flags; a space in a value is escaped, so that ` -- ` in it is none."""
    assert variables(r"VIDEO=my\ clip.mp4 RUN=a\ --\ b") == {"VIDEO": "my clip.mp4", "RUN": "a -- b"}
    assert variables("s -- VIDEO=clip.mp4") == {"VIDEO": "clip.mp4"}
    assert variables("ks -j --jobserver-fds=3,4") == {}


def test_patterns_of_one_path_are_expanded_and_others_left_alone(tmp_path):
    (tmp_path / "features-1").mkdir()
    one = f"{tmp_path}/features-*"
    assert words("compare", {"A": one, "B": "runs/b"}) == ["compare", f"--runs={tmp_path}/features-1,runs/b"]
    both = words("train", {"FEATURES": f"{one},{tmp_path}/other-*"})
    assert both == ["train", f"--features={tmp_path}/features-1,{tmp_path}/other-*"]
    (tmp_path / "features-2").mkdir()
    (tmp_path / "features-2" / "profile.json").touch()  # begun, and without a row
    assert words("train", {"FEATURES": one}) == ["train", f"--features={tmp_path}/features-1"]
    (tmp_path / "features-2" / "shard-1.h5").touch()
    assert words("train", {"FEATURES": one}) == ["train", f"--features={tmp_path}/features-2"]
    (tmp_path / "features-2-export.npz").touch()
    assert words("train", {"FEATURES": one}) == ["train", f"--features={tmp_path}/features-2"]
    for name in ("profile.json", "shard-1.h5"):
        (tmp_path / "features-1" / name).touch()
    assert words("train", {"FEATURES": one}) == ["train", f"--features={one}"]


def test_what_a_verb_needs_is_named():
    with pytest.raises(UserError, match="DATA is missing; give it as in make features DATA="):
        words("features", {})


def test_make_ends_with_the_status_of_the_program():
    assert make("train", "HAED=gru").returncode == 2
    assert "HAED is not a flag of reelcheck train; did you mean HEAD?" in make("train", "HAED=gru").stderr


def test_a_bug_has_its_own_status_under_make(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(
        "import argparse\ndef broken(*args): raise RuntimeError('a bug')\nargparse.ArgumentParser.parse_args = broken\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    for verb in (["detect", "VIDEO=x.mp4"], ["train"]):
        ended = make(*verb)
        assert "RuntimeError: a bug" in ended.stderr
        assert f"{verb[0]}] Error 70" in ended.stderr


def test_make_takes_no_verdict_for_an_error():
    assert _status("detect", 1) == 0
    assert [_status("detect", status) for status in (0, 2, 64, 70)] == [0, 2, 64, 70]
    assert _status("eval", 1) == 1
