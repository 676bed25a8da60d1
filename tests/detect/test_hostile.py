"""Detection against what is damaged, oddly named, or interrupted: one sentence each, never a traceback or a guess."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
from matplotlib.image import imread

from base.errors import UserError
from cache.profile import CropProfile, fingerprint
from detect.__main__ import main
from detect.clips.evidence import Evidence
from detect.clips.sheet import Judged, draw_sheet
from detect.detector.contract import CONTRACT, read_contract
from detect.detector.formats import FORMATS, load_network
from detect.detector.networks import CropScorer
from detect.detector.verdict import SeenFrame, Verdict, failed
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
        ({"temperature": {"value": 0, "clips": 20}}, "has 0 as 'temperature.value', where a number >= 0.1 is expected"),
        ({"temperature": {"value": float("nan"), "clips": 20}}, "NaN is no finite number"),
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

    monkeypatch.setitem(FORMATS, "onnx", replace(FORMATS["onnx"], read=lambda _: wrong))
    network = load_network(tmp_path / "head.onnx", "onnx")
    with pytest.raises(UserError, match=r"head\.onnx cannot judge crops and mask"):
        network({"crops": np.zeros(1), "mask": np.zeros(1)})


def test_no_number_is_no_verdict():
    judge = CropScorer(lambda inputs: np.full((len(inputs["mask"]), 1), np.nan))
    with pytest.raises(UserError, match="its weights are damaged"):
        judge.score(np.zeros((1, 12, 160, 160, 3), np.uint8), np.zeros((1, 12, 4), np.uint8), np.ones((1, 12), bool))


NAMES = ["cost_$5_$6.mp4", "a$\\foo$b.mp4", "bad\udce9.mp4", "line\nbreak\x1b.mp4", "日本.mp4"]


@pytest.mark.parametrize("name", NAMES)
def test_a_sheet_bears_any_name(tmp_path, name):
    absent = failed(name, "missing", f"{name} is not there")
    assert draw_sheet(tmp_path / "sheet.png", [Judged(absent, None)]).stat().st_size


def test_a_sheet_is_as_high_as_what_it_shows(tmp_path):
    frames = tuple(SeenFrame(float(second), "face", (1, 2, 3, 4)) for second in range(12))
    crops = np.zeros((12, 160, 160, 3), np.uint8)
    clip = Verdict("x", "Real", 0.2, None, 1.0, "", frames)
    evidence = Evidence(np.ones(12), np.ones((12, 4, 4)))
    sheets = {
        "failed": Judged(failed("x", "missing", "x is not there"), None),
        "picture": Judged(replace(clip, frames=frames[:1]), crops),
        "picture's evidence": Judged(replace(clip, frames=frames[:1]), crops, Evidence(np.ones(1), np.ones((1, 4, 4)))),
        "clip": Judged(clip, crops),
        "clip's evidence": Judged(clip, crops, evidence),
    }
    heights = [imread(draw_sheet(tmp_path / f"{name}.png", [one])).shape[0] for name, one in sheets.items()]
    assert heights[0] < heights[1] == heights[2] < heights[3] < heights[4]


def test_a_sheet_that_cannot_be_written_is_told(tmp_path):
    absent = failed("x.mp4", "missing", "x.mp4 is not there")
    with pytest.raises(UserError, match="cannot be written"):
        draw_sheet(tmp_path / "absent" / "sheet.png", [Judged(absent, None)])
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        main(["x.mp4", "--show", str(tmp_path / "folder.png")])
    for flag in ("--show", "--explain"):
        with pytest.raises(UserError, match=f"there is no folder .*absent; make it, or choose another {flag}"):
            main(["x.mp4", flag, str(tmp_path / "absent" / "x.png")])
    assert not (tmp_path / "absent").exists()
    with pytest.raises(UserError, match="a name of its own"):
        main(["x.mp4", "--show", "a.png", "--explain", "a.png"])


PROGRAM = """
import sys, time
from base.ending import run
from extract.worker_pool import map_clips

def main():
    print(next(map_clips(len, [(1, ([1],))], 1, 60.0)), flush=True)
    for _ in map_clips(time.sleep, [(n, (60,)) for n in range(2)], 2, 100.0):
        pass

if __name__ == "__main__":
    run(main)
"""


@pytest.mark.parametrize(
    ("number", "wait", "status"), [(signal.SIGINT, 0.05, 130), (signal.SIGINT, 1.0, 130), (signal.SIGTERM, 1.0, 143)]
)
def test_a_signal_to_all_processes_is_one_line_and_ends_all_workers(ctrl_c, tmp_path, number, wait, status):
    """A terminal and a service manager send theirs to the workers as well, which have nothing to say about it."""
    (tmp_path / "program.py").write_text(PROGRAM)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, str(tmp_path / "program.py")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, start_new_session=True, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "(1, 1)\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(wait)
        os.killpg(process.pid, number)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (status, "interrupted; finished work is kept.\n")


def test_workers_of_an_unfinished_loop_do_not_outlive_the_program():
    """They do not hear SIGTERM, with which `multiprocessing` ends them at the exit."""
    program = (
        "from extract.worker_pool import map_clips\nall = map_clips(len, [(1, ([1],))] * 3, 1, 60.0)\nprint(next(all))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "(1, 1)\n", "")


def test_names_go_in_and_out_of_any_terminal(tmp_path):
    program = "import sys; from base.ending import run; run(lambda: print(ascii(sys.stdin.read()), 'é\\u65e5'))"
    environment = os.environ | {"PYTHONIOENCODING": "ascii:strict"}
    command = [sys.executable, "-c", program]
    said = subprocess.run(command, input=b"x\xff.mp4", env=environment, cwd=ROOT, capture_output=True, check=True)
    assert said.stdout == b"'x\\udcff.mp4' \\xe9\\u65e5\n"
