"""On Windows, which lacks two of Python's modules, each command and the API say in one sentence where to go."""

import os
import subprocess
import sys

import pytest

from base.machine.system import NEEDED
from tests import ROOT

SENTENCE = "Reelcheck needs Linux or macOS; on Windows, install and run it within WSL (wsl --install)."


def run_without(names: tuple[str, ...], folder, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs Python in a process that cannot import the modules `names`."""
    (folder / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({names}))\n")
    variables = {**os.environ, "PYTHONPATH": f"{folder}:{ROOT}"}
    return subprocess.run([sys.executable, *words], env=variables, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("words", "status"),
    [("reelcheck detect clip.mp4", 64), ("reelcheck train", 2), ("reelcheck --help", 64), ("train fit", 2)],
)
def test_a_command_says_so(words, status, tmp_path):
    done = run_without(NEEDED, tmp_path, "-m", *words.split())
    assert (done.returncode, done.stdout, done.stderr) == (status, "", f"error: {SENTENCE}\n")


def test_the_api_says_so_as_an_error_of_the_import(tmp_path):
    program = "try:\n    from reelcheck import extract\nexcept ImportError as error:\n    print(error)"
    done = run_without(NEEDED, tmp_path, "-c", program)
    assert (done.stdout, done.stderr) == (f"{SENTENCE}\n", "")


def test_what_is_refused_without_them_works_with_them(tmp_path):
    assert run_without((), tmp_path, "-m", "reelcheck", "--help").returncode == 0
