"""Signs of life: on a terminal a command says what it does before it loads what takes seconds, elsewhere nothing."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest

from tests import ROOT
from tests.stores import pairs, write_features

LOADED = "TENSORFLOW IS BEING LOADED"
STAND_IN = f"import os\nos.write(1, b'{LOADED}\\n')\nraise ImportError('a stand-in')\n"
"""Instead of TensorFlow: says when it is imported, past whatever hides what libraries print, and ends the command."""
FEATURES = {
    "train": (),
    "sweep": ("--trials", "1"),
    "crossval": (),
    "protocols": ("--out", "protocols"),
}
STARTING, STARTING_TENSORFLOW = "starting ...", "starting tensorflow ..."


@pytest.fixture
def place(tmp_path):
    """A folder with features, in which a command finds the stand-in."""
    write_features(tmp_path / "set", pairs(12, 2, 1))
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "__init__.py").write_text(STAND_IN)
    return tmp_path


def environment(place) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": f"{place}:{ROOT}", "KERAS_BACKEND": "tensorflow"}


def on_terminal(words, place) -> str:
    """Returns what the command shows on a terminal of 100 columns, as it comes."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    command = [sys.executable, "-m", "reelcheck", *words]
    process = subprocess.Popen(command, cwd=place, env=environment(place), stdin=its, stdout=its, stderr=its)
    os.close(its)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # Linux's word for a terminal that nobody has open any more
        pass
    os.close(ours)
    process.wait()
    return shown.decode()


@pytest.mark.parametrize("verb", FEATURES)
def test_a_command_says_that_it_starts_and_what_before_tensorflow_is_loaded(verb, place):
    features = next(place.glob("set*/**/manifest.csv")).parent
    shown = on_terminal([verb, "--features", features, *FEATURES[verb]], place)
    assert LOADED in shown
    before = shown[: shown.index(LOADED)]
    assert before.index(STARTING) < before.index(STARTING_TENSORFLOW)
    assert before.lstrip("\r").startswith(STARTING)  # nothing else is waited for first
    assert "a stand-in" in shown


@pytest.mark.parametrize("verb", ["eval", "web", "published", "features"])
def test_every_command_says_that_it_starts_before_its_help(verb, place):
    shown = on_terminal([verb, "--help"], place)
    assert shown.lstrip("\r").startswith(STARTING)
    assert "usage: reelcheck" in shown


def test_where_no_terminal_is_there_is_no_sign(place):
    features = next(place.glob("set*/**/manifest.csv")).parent
    command = [sys.executable, "-m", "reelcheck", "train", "--features", features]
    done = subprocess.run(command, cwd=place, env=environment(place), capture_output=True, text=True, check=False)
    assert LOADED in done.stdout
    assert STARTING not in done.stdout + done.stderr
    assert "starting tensorflow" not in done.stdout + done.stderr
