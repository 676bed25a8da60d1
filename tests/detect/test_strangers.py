"""Runs and exports from strangers are as harmless as a clip: one sentence or a verdict, soon, no other file read."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from base.errors import UserError
from base.outside.content import checksum
from cache.schema import FRAMES
from cache.store import ORIGIN, Origin, read_origin
from detect.detector.contract import CONTRACT
from detect.detector.load import open_detector
from detect.detector.networks import CropScorer, EnsembleScorer
from detect.export.stage import ExportConfig, export
from tests import ROOT
from tests.crops import write_source
from tests.strangers import OUTSIDE, arrays, edit, leaves, put, spoil, write_head_run
from train.runs.contents import read_contents
from train.runs.folder import AUDIT, CONFIG, DONE, PREDICTIONS, SPLIT, WEIGHTS

SOON = 2.0


@contextmanager
def soon(seconds: float = 5 * SOON) -> Iterator[None]:
    """Ends what waits for a pipe; five times as patient as the promise, for a busy machine."""

    def late(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_head_run(tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture
def run(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "run")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


CHANGES: dict[str, tuple[str, Callable[[Any], object], str]] = {
    "margin": (CONFIG, lambda v: put(v, ("profile", "crops", "margin"), "wide"), "'wide' as 'profile.crops.margin'"),
    "far": (CONFIG, lambda v: put(v, ("profile", "crops", "margin"), 1e30), "<= 2.0 is expected"),
    "backbone": (CONFIG, lambda v: put(v, ("profile", "backbone"), "../../x"), "where a text matching"),
    "taps": (CONFIG, lambda v: put(v, ("profile", "taps"), [[1, 2]]), r"'profile.taps\[0\]', where a list of"),
    "many taps": (
        CONFIG,
        lambda v: put(v, ("profile", "taps"), [["a", "b", "c"]] * 65),
        "where a list of length <= 64",
    ),
    "version": (CONFIG, lambda v: put(v, ("profile", "version"), 99), "where a whole number <= 2"),
    "unknown": (CONFIG, lambda v: put(v, ("profile", "crops", "x"), 1), "'x' in profile.crops, which this version"),
    "origin": (CONFIG, lambda v: v.update(origin=[]), "as 'origin', where an object"),
    "nothing": (CONFIG, lambda v: v.update(origin=None), "as 'origin', where an object"),
    "text": (CONFIG, lambda v: v.update(origin="x"), "as 'origin', where an object"),
    "file": (
        CONFIG,
        lambda v: v["origin"].update(detector_file=3),
        "3 as 'origin.detector_file', where a text or null",
    ),
    "size": (CONFIG, lambda v: v.update(size=10**12), "1000000000000 as 'size', where a whole number <= 16384"),
    "float": (CONFIG, lambda v: v.update(size=1e30), "as 'size', where a whole number or null"),
    "huge": (CONFIG, lambda v: v.update(size=2 * 10**6), "where a whole number <= 16384"),
    "other": (CONFIG, lambda v: v.update(size=961), "a head for 961 features"),
    "units": (CONFIG, lambda v: v["head"].update(units=4096), r"head\.weights\.h5 .* needs [\d,]+ or more"),
    "code": (CONFIG, lambda v: v["head"].update(code="import os"), "'code' in head, which this version does not know"),
    "done": (DONE, lambda v: v.update(weights=[1]), "as 'weights', where an object"),
    "seconds": (DONE, lambda v: v.update(seconds="long"), "'long' as 'seconds', where a number or null"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_value_that_is_wrong_is_named(run, name):
    file, change, what = CHANGES[name]
    edit(run / file, change)
    with soon(), pytest.raises(UserError, match=what):
        open_detector(run)


@pytest.mark.parametrize("make", [pipe, endless])
@pytest.mark.parametrize("name", [CONFIG, DONE, WEIGHTS, PREDICTIONS])
def test_what_is_no_file_is_not_waited_for(run, name, make):
    make(run / name)
    with soon(), pytest.raises(UserError, match=r"is not a regular file|holds no finished run"):
        open_detector(run)


@pytest.mark.parametrize("name", [AUDIT, SPLIT])
def test_an_evaluation_waits_for_no_pipe_either(run, name):
    pipe(run / name)
    with soon(), pytest.raises(UserError, match="is not a regular file"):
        read_contents(run)


@pytest.mark.parametrize("text", ["[]", "null", '"text"', "{", "[" * 100_000, '{"data": 1}', '{"weights": {}}'])
def test_an_origin_that_is_none_says_nothing(tmp_path, text):
    (tmp_path / ORIGIN).write_text(text)
    assert read_origin(tmp_path) == Origin()


def test_a_large_file_is_not_read(run):
    with (run / CONFIG).open("r+b") as file:
        file.truncate(2**40)
    with soon(), pytest.raises(UserError, match="at most 16,777,216 are read"):
        open_detector(run)


def test_an_ensemble_of_itself_is_refused(run):
    member = {"kind": "average", "weights": [1.0], "intercept": 0.0, "members": [str(run)]}
    crops = json.loads((run / CONFIG).read_text())["profile"]["crops"]
    edit(run / CONFIG, lambda v: v.update(kind="ensemble", ensemble=member, profile=crops))
    with soon(), pytest.raises(UserError, match="maybe of itself"):
        open_detector(run)


@pytest.mark.parametrize("output", [7.0, -0.5, np.nan, np.inf])
def test_what_is_no_probability_is_no_verdict(output):
    clip = np.zeros((1, FRAMES, 160, 160, 3), np.uint8), np.zeros((1, FRAMES, 4), np.uint8), np.ones((1, FRAMES), bool)
    for network in (lambda _: np.full((1, 1), output), lambda _: np.full((1, 1, 3), 0.5)):
        with pytest.raises(UserError, match="where a clip's probability, 0 to 1, is due"):
            CropScorer(network).score(*clip)
    member = CropScorer(lambda _: np.full((1, 1), 0.5))
    with pytest.raises(UserError, match="where a clip's probability, 0 to 1, is due"):
        EnsembleScorer([member], lambda all: all[0] * output * 4).score(*clip)
    assert CropScorer(lambda _: np.full((1, 1), 1 + 1e-7)).score(*clip).probabilities == [1.0]


PROGRAM = """
import json, os, sys, time
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
from pathlib import Path
import numpy as np
from benchmarks.measure import peak_memory
from base.keras_start import start_keras
start_keras()
from cache.profile import uses_regions
from base.errors import UserError
from detect.detector.load import open_detector
from train.runs.contents import read_contents
from train.runs.replay import crops_clip
from extract.steps import features_of

def judge(folder):
    detector = open_detector(folder)
    clip = crops_clip(regions=True)
    inputs = clip["crops"], clip["regions"], clip["mask"]
    arrays = features_of(*inputs, detector.engine) if detector.engine else clip["crops"]
    return float(detector.probabilities(arrays, *inputs[1:])[0])

folders = sys.stdin.read().split("\\0")
judge(Path(folders[0]))  # what is slow the first time
for folder in map(Path, folders):
    opened.clear()
    start, memory = time.perf_counter(), peak_memory()
    outcome = []
    for look in (judge, read_contents):
        try:
            outcome.append(str(look(folder)) if look is judge else "read")
        except UserError as error:
            outcome.append("error: " + str(error))
    grown = peak_memory() - memory
    print(json.dumps([outcome, time.perf_counter() - start, grown / 2**20, opened]), flush=True)
"""


def judged(folders: list[Path]) -> list[list[Any]]:
    """Opens each folder, in one process; returns outcomes, seconds, MB and the files opened of each."""
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input="\0".join(map(str, folders)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    lines = list(map(json.loads, found.stdout.splitlines()))
    assert found.returncode == 0, (folders[len(lines)], found.stderr[-2000:])
    return lines


WRONG: list[Any] = [None, "x", OUTSIDE, -1, 1e30, 10**400, [], {"x": 1}, [[[]]], True]
FREE = {("config",), ("features",), ("versions",), ("about",), ("baseline",)}
"""What is only shown, or is for the stages that train."""


def spoilt(folder: Path, file: str, into: Path) -> Iterator[Path]:
    """Yields copies of the run or export, in each of which one value of the JSON `file` is a wrong one."""
    values = json.loads((folder / file).read_text())
    places = [keys for keys in leaves(values) if len(keys) == 1 or keys[:1] not in FREE]
    for number, keys in enumerate(places):
        for wrong in (WRONG[number % len(WRONG)], WRONG[(number * 3 + 1) % len(WRONG)], OUTSIDE):
            copy = into / f"{number}-{WRONG.index(wrong)}"
            if copy.exists():
                continue
            copy.mkdir()
            for path in folder.iterdir():  # links would be files outside
                if path.is_file() and path.name != file:
                    os.link(path, copy / path.name)
            shutil.copyfile(folder / file, copy / file)
            edit(copy / file, lambda values, keys=keys, wrong=wrong: put(values, keys, wrong))
            yield copy


def assert_harmless(folder: Path, found: list[Any]) -> None:
    outcomes, seconds, grown, opened = found
    case = (folder.name, outcomes, seconds, grown)
    assert seconds < SOON or not outcomes[0].startswith("error"), case
    assert grown < 500, case
    assert OUTSIDE not in opened, case
    assert all("\n" not in outcome and len(outcome) < 600 for outcome in outcomes), case


@pytest.mark.slow
@pytest.mark.parametrize("file", [CONFIG, DONE, AUDIT])
def test_each_value_of_a_run_in_turn(tmp_path, whole, file):
    folders = [whole, *spoilt(whole, file, tmp_path)]
    found = judged(folders)
    assert found[0][0][1] == "read"
    for folder, one in zip(folders, found, strict=True):
        assert_harmless(folder, one)
        verdict = one[0][0]
        assert verdict.startswith("error") or verdict == found[0][0][0], (folder.name, one)
    assert len(folders) > (60 if file == CONFIG else 8)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = write_source(tmp_path_factory.mktemp("source"))
    return export(ExportConfig(run=folder, format="onnx"))


@pytest.mark.slow
def test_each_value_of_a_contract_in_turn(tmp_path, exported):
    folders = [exported, *spoilt(exported, CONTRACT, tmp_path)]
    found = judged(folders)
    for folder, one in zip(folders, found, strict=True):
        assert_harmless(folder, one)
        verdict = one[0][0]
        assert verdict.startswith("error") or verdict == found[0][0][0], (folder.name, one)
    assert len(folders) > 60


@pytest.mark.slow
def test_an_export_with_another_network_gives_no_verdict(tmp_path, exported):
    """A bit of a file that was turned, and a network of whoever wrote the checksum too."""
    onnx = pytest.importorskip("onnx")
    helper, kinds = onnx.helper, onnx.TensorProto
    inputs = [
        helper.make_tensor_value_info("features", kinds.FLOAT, ["B", FRAMES, 960]),
        helper.make_tensor_value_info("mask", kinds.BOOL, ["B", FRAMES]),
    ]
    seven = helper.make_node("Constant", [], ["y"], value=helper.make_tensor("v", kinds.FLOAT, [1, 1], [7.0]))
    graph = helper.make_graph([seven], "g", inputs, [helper.make_tensor_value_info("y", kinds.FLOAT, [1, 1])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for name, sealed_too, replayed, what in (
        ("bit", False, True, "are not those that were written"),
        ("seven", True, True, "to the clip that had"),
        ("old", True, False, "gave 7 where a clip's probability"),
    ):
        copy = shutil.copytree(exported, tmp_path / name)
        if name == "bit":
            content = bytearray((copy / "head.onnx").read_bytes())
            content[len(content) // 2] ^= 1
            (copy / "head.onnx").write_bytes(content)
        else:
            onnx.save(model, copy / "head.onnx")
        if sealed_too:
            edit(
                copy / CONTRACT, lambda v, copy=copy: v["checksums"].update({"head.onnx": checksum(copy / "head.onnx")})
            )
        if not replayed:
            edit(copy / CONTRACT, lambda values: values.pop("replay"))
        outcome, *_ = judged([exported, copy])[-1]
        assert what in outcome[0]


@pytest.mark.slow
def test_damaged_weights_are_no_verdict_and_have_the_status_of_an_error(tmp_path, whole):
    run = shutil.copytree(whole, tmp_path / "run")
    spoil(run, next(name for name in arrays(run / WEIGHTS) if "lstm" in name), np.zeros_like, known=False)
    (tmp_path / "clip.mp4").write_bytes(b"no clip")
    command = [sys.executable, "-m", "detect", str(tmp_path / "clip.mp4"), "--run", str(run)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (64, "")
    assert found.stderr.startswith("error: ")
    assert found.stderr.count("\n") == 1
