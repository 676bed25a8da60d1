"""Detection against what is damaged, oddly named, or interrupted: one sentence each, never a traceback or a guess."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest

from cache.profile import CropProfile, fingerprint
from cache.schema import UserError
from detect.clips.sheet import Judged, draw_sheet
from detect.clips.stage import main
from detect.detector.contract import CONTRACT, read_contract
from detect.detector.networks import CropScorer
from detect.detector.portable import load_network
from detect.detector.verdict import Verdict
from tests import ROOT


@pytest.fixture
def exported(tmp_path):
    """A contract with a file that holds no network; returns its values."""
    (tmp_path / "detector.onnx").write_bytes(b"no network")
    values = {
        "run": "run",
        "format": "onnx",
        "profile": asdict(CropProfile()),
        "fingerprint": fingerprint(CropProfile()),
        "networks": {"detector": {"file": "detector.onnx"}},
        "temperature": {"value": 1.5, "clips": 20},
        "detector_file": None,
    }
    (tmp_path / CONTRACT).write_text(json.dumps(values))
    assert read_contract(tmp_path).run == "run"
    return values


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"profile": asdict(CropProfile(margin=0.4))}, "is not that of its fingerprint"),
        ({"profile": asdict(CropProfile()) | {"margin": "wide"}}, "is not that of its fingerprint"),
        ({"temperature": {"value": 0, "clips": 20}}, "its temperature is 0"),
        ({"temperature": {"value": float("nan"), "clips": 20}}, "its temperature is nan"),
        ({"temperature": {"value": 10**400, "clips": 20}}, "does not describe"),
        ({"temperature": {"value": 1, "clips": float("inf")}}, "does not describe"),
        ({"networks": {"detector": {"file": "x" * 300}}}, "lacks"),
        ({"networks": {"detector": {"file": ".."}}}, "lacks '..'"),
        ({"networks": {"detector": {"file": "\0"}}}, "lacks"),
    ],
)
def test_a_damaged_contract_is_refused(exported, tmp_path, changes, what):
    (tmp_path / CONTRACT).write_text(json.dumps(exported | changes))
    with pytest.raises(UserError, match=what):
        read_contract(tmp_path)


def test_a_network_that_takes_something_else_is_told(tmp_path, monkeypatch):
    def wrong(_):
        raise ValueError("Required inputs are missing")

    monkeypatch.setattr("detect.detector.portable._LOADERS", {"onnx": lambda _: wrong})
    network = load_network(tmp_path / "head.onnx", "onnx")
    with pytest.raises(UserError, match=r"head\.onnx cannot judge crops and mask"):
        network({"crops": np.zeros(1), "mask": np.zeros(1)})


def test_no_number_is_no_verdict():
    judge = CropScorer(lambda inputs: np.full((len(inputs["mask"]), 1), np.nan))
    with pytest.raises(UserError, match="its weights are damaged"):
        judge.probabilities(
            np.zeros((1, 12, 160, 160, 3), np.uint8), np.zeros((1, 12, 4), np.uint8), np.ones((1, 12), bool)
        )


NAMES = ["cost_$5_$6.mp4", "a$\\foo$b.mp4", "bad\udce9.mp4", "line\nbreak\x1b.mp4", "日本.mp4"]


@pytest.mark.parametrize("name", NAMES)
def test_a_sheet_bears_any_name(tmp_path, name):
    failed = Verdict(name, "Failed", None, None, 0.0, f"missing: {name} is not there", ())
    assert draw_sheet(tmp_path / "sheet.png", [Judged(failed, None)]).stat().st_size


def test_a_sheet_that_cannot_be_written_is_told(tmp_path):
    failed = Verdict("x.mp4", "Failed", None, None, 0.0, "missing", ())
    with pytest.raises(UserError, match="cannot be written"):
        draw_sheet(tmp_path / "absent" / "sheet.png", [Judged(failed, None)])
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        main(["x.mp4", "--show", str(tmp_path / "folder.png")])
    with pytest.raises(UserError, match="a name of its own"):
        main(["x.mp4", "--show", "a.png", "--explain", "a.png"])


PROGRAM = """
import sys, time
from cache.cli import run
from extract.clip_workers import map_clips

def main():
    print(next(map_clips(len, [(1, ([1],))], 1, 60.0)), flush=True)
    for _ in map_clips(time.sleep, [(n, (60,)) for n in range(2)], 2, 100.0):
        pass

if __name__ == "__main__":
    run(main)
"""


@pytest.mark.parametrize("wait", [0.05, 1.0])
def test_ctrl_c_at_a_terminal_is_one_line_and_ends_all_workers(ctrl_c, tmp_path, wait):
    """A terminal sends it to the workers as well, which have nothing to say about it."""
    (tmp_path / "program.py").write_text(PROGRAM)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, str(tmp_path / "program.py")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, start_new_session=True, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "(1, 1)\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(wait)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (130, "interrupted; finished work is kept.\n")


def test_names_go_in_and_out_of_any_terminal(tmp_path):
    program = "import sys; from cache.cli import run; run(lambda: print(ascii(sys.stdin.read()), 'é\\u65e5'))"
    environment = os.environ | {"PYTHONIOENCODING": "ascii:strict"}
    command = [sys.executable, "-c", program]
    said = subprocess.run(command, input=b"x\xff.mp4", env=environment, cwd=ROOT, capture_output=True, check=True)
    assert said.stdout == b"'x\\udcff.mp4' \\xe9\\u65e5\n"
