"""Files that anybody may have written: whatever stands in their place, one sentence names it, and nothing hangs.

Each reader is called as its stage calls it. What is not a regular file of a sensible size is not read at all.
"""

import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from base.errors import UserError
from base.files import make_folder
from cache.manifest import read_manifest, write_manifest
from cache.profile import CropProfile, fingerprint
from cache.store import ORIGIN, Origin, create_store, open_store, read_origin
from detect.clips.judged_by import JudgedBy
from detect.clips.results_file import ResultFile
from detect.clips.verdict_lines import header, lines
from detect.detector.contract import CONTRACT, read_contract
from detect.detector.verdict import failed
from evaluate.results.about_run import about_run
from evaluate.runs_index import PAGE, RunsConfig, find_lines, list_runs, refresh
from evaluate.sweep_page import MEASURED, LeaderboardConfig, write_leaderboard_page
from extract.backbones.weights import identify_weights
from extract.clips.face_detectors import face_detector_hash
from extract.readers.layouts import read_dataset
from extract.same_data import COPIES, recognise
from tests.evaluate.report.test_report import write_run
from tests.stores import fake, real
from train.data.split import SplitConfig, split
from train.end_to_end.checkpoint import Checkpoint, TrainingProgress, read_checkpoint, write_checkpoint
from train.runs.contents import read_contents
from train.runs.recipe import read_recipe
from train.sweep import best_runs
from train.sweep.best_runs import Winner, write_winners
from train.sweep.leaderboard import COLUMNS, LEADERBOARD, SUMMARY

pytestmark = pytest.mark.timeout(60)  # what hangs, hangs for ever; a busy machine is slow
RECORDS = [real(1, 0), fake(1, 2, 0), real(3, 0), fake(3, 1, 0)]
BY = JudgedBy(("run",), 0.5)
TRIAL = ("1", "0", "complete", "0.7", "0.1", "0.5", "gru", "8", "False", "0.01", "0.3", "0.001", "9", "5", "0", "")


@dataclass(frozen=True)
class Case:
    """A file that is read: how what it lies in is made, which returns its path, and what reads it."""

    make: Callable[[Path], Path]
    read: Callable[[Path], object]


def in_run(name: str) -> Case:
    return Case(lambda folder: write_run(folder / "run") / name, lambda path: read_contents(path.parent))


def plant(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def in_dataset(name: str, text: str, *clips: str, **lists: str) -> Case:
    def make(folder: Path) -> Path:
        for clip in clips:
            plant(folder / clip, "clip")
        for other, content in lists.items():
            plant(folder / f"{other}.json", content)
        return plant(folder / name, text)

    return Case(make, lambda path: read_dataset(path.parent))


def make_contract(folder: Path) -> Path:
    plant(folder / "detector.onnx", "network")
    profile = CropProfile()
    values = {"run": "r", "format": "onnx", "profile": asdict(profile), "fingerprint": fingerprint(profile)}
    values |= {"networks": {"detector": {"file": "detector.onnx"}}, "detector_file": None}
    return plant(folder / CONTRACT, json.dumps(values | {"temperature": {"value": 1.5, "clips": 200}}))


def make_sweep(folder: Path, name: str) -> Path:
    plant(folder / LEADERBOARD, f"{','.join(COLUMNS)}\n{','.join(TRIAL)}\n")
    plant(folder / SUMMARY, '{"importances": {"units": 0.5}}')
    return folder / name


def show_sweep(path: Path) -> Path:
    return write_leaderboard_page(LeaderboardConfig(path.parent))


def make_checkpoint(folder: Path) -> Path:
    numbers = [np.ones(2, np.float32)]
    progress = TrainingProgress([(float("nan"), 0.7), (0.6, 0.5)], 1, numbers, 2.0)
    return write_checkpoint(folder / ".training-x.npz", {"seed": 1}, Checkpoint(progress, numbers, numbers))


def make_verdicts(folder: Path, style: Any) -> Path:
    line = lines([failed("a.mp4", "missing", "it is not there")], style, BY)
    return plant(folder / f"verdicts.{style}", header(style) + line)


def read_verdicts(path: Path) -> None:
    ResultFile(path, BY).close()


def read_split_csv(path: Path) -> object:
    return split(RECORDS, SplitConfig("csv", csv=path))


FF = [f"original_sequences/youtube/c23/videos/{n}.mp4" for n in ("000", "001")]
CASES: dict[str, Case] = {
    **{name: in_run(name) for name in ("config.json", "run.json", "audit.json")},
    **{name: in_run(name) for name in ("split.csv", "predictions.csv", "baseline.csv", "history.csv")},
    "profile.json": Case(
        lambda folder: create_store(folder, CropProfile()).folder / "profile.json", lambda path: open_store(path.parent)
    ),
    "manifest.csv": Case(lambda folder: write_manifest(make_folder(folder) / "manifest.csv", RECORDS), read_manifest),
    "contract.json": Case(make_contract, lambda path: read_contract(path.parent)),
    SUMMARY: Case(lambda folder: make_sweep(folder, SUMMARY), show_sweep),
    LEADERBOARD: Case(lambda folder: make_sweep(folder, LEADERBOARD), show_sweep),
    "verdicts.csv": Case(lambda folder: make_verdicts(folder, "csv"), read_verdicts),
    "verdicts.jsonl": Case(lambda folder: make_verdicts(folder, "jsonl"), read_verdicts),
    "checkpoint": Case(make_checkpoint, lambda path: read_checkpoint(path, {"seed": 1})),
    "split list": Case(
        lambda folder: plant(folder / "parts.csv", "id,part\n" + "".join(f"{one.id},train\n" for one in RECORDS)),
        read_split_csv,
    ),
    "videos.csv": in_dataset("videos.csv", "path,label\na.mp4,0\n", "a.mp4"),
    "Celeb-DF's list": in_dataset(
        "List_of_testing_videos.txt", "1 Celeb-real/id1_0000.mp4\n", "Celeb-real/id1_0000.mp4"
    ),
    "DFDC's list": in_dataset("metadata.json", '{"a.mp4": {"label": "REAL", "split": "test"}}', "a.mp4"),
    "FF++'s parts": in_dataset("train.json", "[]", *FF, val="[]", test="[]"),
    "FF++'s people": in_dataset("conversion_dict.json", '{"000": "a 0"}', *FF),
    "weights": Case(lambda folder: plant(folder / "weights.h5", ""), lambda path: identify_weights(str(path))),
}


def pipe(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10 * 2**30)


def bytes_of(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


NO_FILES = {"pipe": pipe, "endless": endless, "folder": Path.mkdir, "loop": loop, "10 GB": sparse}
NO_TEXTS = {
    "no UTF-8": bytes_of(b"a\xc3(,\n\xff"),
    "NULs": bytes_of(bytes(100)),
    "a NUL in it": bytes_of(b'{"a": "\0"}'),
    "nested": bytes_of(b"[" * 100_000),
    "nested and closed": bytes_of(b"[" * 500 + b"]" * 500),
    "a key twice": bytes_of(b'{"a": 1, "a": 2}'),
    "a number": bytes_of(b"-1"),
    "a switch": bytes_of(b"true"),
    "no number": bytes_of(b"NaN"),
    "no finite number": bytes_of(b'{"a": 1e400}'),
    "digits": bytes_of(b"9" * 10_000),
    "a long cell": bytes_of(b"id,part\n" + b"x" * 200_000 + b",train\n"),
    "quotes": bytes_of(b'"' * 50_001),
}


def assert_one_sentence(error: UserError, path: Path) -> None:
    text = str(error)
    assert str(path) in text or str(path.parent) in text, text
    assert path.name in text or "holds no features" in text, text
    assert "\n" not in text, text
    assert ".tmp-" not in text, text
    assert len(text) < 900, text


@pytest.mark.parametrize("name", CASES)
def test_what_is_whole_is_read(tmp_path, name):
    if name not in ("weights", "FF++'s parts"):
        case = CASES[name]
        case.read(case.make(tmp_path))


@pytest.mark.parametrize("hostile", [*NO_FILES, *NO_TEXTS])
@pytest.mark.parametrize("name", CASES)
def test_what_stands_in_its_place_is_named(tmp_path, name, hostile):
    case = CASES[name]
    path = case.make(tmp_path)
    path.unlink()
    (NO_FILES | NO_TEXTS)[hostile](path)
    before = path.read_bytes() if hostile in NO_TEXTS else b""
    with pytest.raises(UserError) as raised:
        case.read(path)
    assert_one_sentence(raised.value, path)
    assert hostile not in NO_TEXTS or path.read_bytes() == before  # it may be somebody's


# What stands in place of a number or a text.
TOKENS = ("NaN", "-Infinity", "1e400", "9" * 5000, "9" * 400, "-1", "true", "null", '"\\ud800"', "[[[]]]", "{}")


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("name", [name for name in CASES if name.endswith((".json", ".jsonl"))])
def test_a_value_that_is_none_is_named_or_harmless(tmp_path, name, token):
    """In place of each number and text of the file in turn."""
    case = CASES[name]
    text = case.make(tmp_path / "whole").read_text()
    for number, value in enumerate(re.finditer(r'(?<=: )(-?[\d.]+|"[^"]*")', text)):
        path = case.make(tmp_path / str(number))
        path.write_text(text[: value.start()] + token + text[value.end() :])
        try:
            case.read(path)
        except UserError as error:
            assert_one_sentence(error, path)


@pytest.mark.parametrize("token", ["nan", "inf", "1e400", "9" * 4000, "-1", "True", "", "=1", "\ud800", "x" * 4000])
@pytest.mark.parametrize("name", [name for name in CASES if name.endswith(".csv") and name != LEADERBOARD])
def test_a_cell_that_is_none_is_named_or_harmless(tmp_path, name, token):
    """In place of each cell of the first row in turn."""
    case = CASES[name]
    first, row, *rest = case.make(tmp_path / "whole").read_text().splitlines()
    for number in range(len(row.split(","))):
        path = case.make(tmp_path / str(number))
        cells = row.split(",")
        cells[number] = token
        path.write_bytes("\n".join([first, ",".join(cells), *rest, ""]).encode(errors="surrogatepass"))
        try:
            case.read(path)
        except UserError as error:
            assert_one_sentence(error, path.parent)  # another table may be the one that does not fit


@pytest.mark.parametrize(
    ("column", "cell"),
    [("val_auc", "nan"), ("learning_rate", "-1"), ("units", "x"), ("head", "nan"), ("differences", "inf")],
)
def test_a_trial_of_a_stranger_is_drawn_or_named(tmp_path, column, cell):
    path = CASES[LEADERBOARD].make(tmp_path)
    other = dict(zip(COLUMNS, TRIAL, strict=True)) | {column: cell}
    path.write_text(f"{path.read_text()}{','.join(other.values())}\n")
    if column in MEASURED:
        with pytest.raises(UserError, match=rf"leaderboard\.csv, line 3: the {column} '{cell}' is not a valid number"):
            show_sweep(path)
    else:
        show_sweep(path)


@pytest.mark.parametrize("name", [name for name in CASES if name.endswith(".csv")])
def test_a_column_or_a_row_that_is_there_twice_is_named(tmp_path, name):
    case = CASES[name]
    path = case.make(tmp_path)
    first, row, *rest = path.read_text().splitlines()
    column = first.split(",")[0]
    path.write_text("\n".join([f"{first},{column}", f"{row},{row.split(',')[0]}", *(f"{one}," for one in rest), ""]))
    with pytest.raises(UserError) as raised:
        case.read(path)
    assert_one_sentence(raised.value, path)


@pytest.mark.parametrize("hostile", [*NO_FILES, *NO_TEXTS])
def test_what_only_helps_is_passed_over(tmp_path, hostile):
    """A store's origin and copies, a run's report, and an index of runs that is none of ours."""
    make = (NO_FILES | NO_TEXTS)[hostile]
    run = write_run(tmp_path / "runs" / "run")
    (run / "report").mkdir()
    store = tmp_path / "store"
    store.mkdir()
    for path in (store / ORIGIN, store / COPIES, run / "report/metrics.json", run.parent / PAGE):
        make(path)
    assert read_origin(store) == Origin()
    assert recognise(store, tmp_path, RECORDS) == RECORDS
    assert about_run(run, read_recipe(run), None).roc_auc is None
    refresh(run.parent)
    assert find_lines(run.parent)[0].area is None
    with pytest.raises(UserError, match=r"index\.html exists but is not an index of runs"):
        list_runs(RunsConfig(run.parent))


RUN_FILES = ("run.json", "config.json", "audit.json")


@pytest.mark.parametrize("hostile", [*NO_FILES, *NO_TEXTS])
@pytest.mark.parametrize("name", RUN_FILES)
def test_a_hostile_run_among_others_costs_only_itself(tmp_path, name, hostile, monkeypatch, capsys):
    whole, other = (write_run(tmp_path / each, settings={"head": "lstm"}) for each in ("whole", "other"))
    (other / name).unlink()
    (NO_FILES | NO_TEXTS)[hostile](other / name)
    refresh(tmp_path)
    page = (tmp_path / PAGE).read_text()
    assert "whole" in page
    assert "other" in page or not (other / name).exists() or hostile == "folder"
    capsys.readouterr()
    list_runs(RunsConfig(tmp_path))
    assert "whole" in capsys.readouterr().out
    monkeypatch.setattr(best_runs, "_write", lambda *_: whole)
    monkeypatch.setattr(best_runs, "_train", lambda winners, _: {one.number: "trained" for one in winners})
    winner = Winner(0, SimpleNamespace(), {}, None)  # pyright: ignore[reportArgumentType]
    monkeypatch.setattr(best_runs.dataclasses, "asdict", lambda _: {})
    assert write_winners(tmp_path, "sweep", [winner], None) == [whole]  # pyright: ignore[reportArgumentType]
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if "left out" in line and "other" in line] == said


LONG = "x" * 5000


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "ensemble", "features": LONG},
        {"kind": "ensemble", "features": "\0"},
        {"kind": "ensemble", "ensemble": None},
        {"features": ["\ud800", LONG]},
        {"origin": {"data": "\0", "weights": LONG, "detector_file": "\ud800.onnx"}},
        {"config": {"head": [[LONG]], "split": {"x": 1}}},
        {"profile": {"backbone": LONG}},
    ],
)
def test_a_config_of_a_stranger_is_a_line_of_the_index(tmp_path, changes):
    folder = write_run(tmp_path / "run")
    values = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(values))
    (one,) = find_lines(tmp_path)
    assert max(map(len, (one.head, one.backbone, one.data, one.split))) < 100
    refresh(tmp_path)
    assert "run" in (tmp_path / PAGE).read_text()


@pytest.mark.parametrize("hostile", NO_FILES)
def test_a_face_detector_that_is_no_file_is_named(tmp_path, hostile):
    path = tmp_path / "face.onnx"
    NO_FILES[hostile](path)
    with pytest.raises(UserError) as raised:
        face_detector_hash("yunet", path)
    assert_one_sentence(raised.value, path)


class Runs:
    """What unpickling would run."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("unpickled",)


def claims(shape: str, descr: str = "'<f4'") -> bytes:
    """An array's file with a header that is not true."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


ARRAYS: dict[str, Any] = {
    "best too high": {"best": np.array(99)},
    "best below 0": {"best": np.array(-1)},
    "best of another kind": {"best": np.array("x")},
    "best is many": {"best": np.arange(3)},
    "losses of another shape": {"losses": np.zeros(4)},
    "no losses": {"losses": np.zeros((0, 2))},
    "losses without end": {"losses": np.full((2, 2), np.inf)},
    "time runs back": {"seconds": np.array(-1.0)},
    "no time": {"seconds": np.array(np.nan)},
    "settings of another kind": {"settings": np.array(3)},
    "settings in settings": {"settings": np.array("[" * 100_000)},
    "a list of settings": {"settings": np.array("[]")},
    "a weight that is no number": {"kept00000": np.full(2, np.nan, np.float32)},
    "a weight without end": {"network00000": np.full(2, np.inf, np.float32)},
    "a moment that is no number": {"optimizer00000": np.full(2, np.nan, np.float32)},
    "a weight that is a text": {"network00000": np.array(["a", "b"])},
    "Python's objects": {"kept00000": np.array([Runs()], object)},
    "numbers without end": claims("(10000000000000,)"),
    "a shape below 0": claims("(-5,)"),
    "a shape that is none": claims("'x'"),
    "a header in a header": claims("(" * 40 + ")" * 40),
    "objects that are claimed": claims("(1,)", "'|O'"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_that_is_none_is_named(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    path, change = make_checkpoint(tmp_path), ARRAYS[name]
    if isinstance(change, bytes):
        with zipfile.ZipFile(path) as archive:
            members = {one: archive.read(one) for one in archive.namelist()} | {"kept00000.npy": change}
        with zipfile.ZipFile(path, "w") as archive:
            for member, content in members.items():
                archive.writestr(member, content)
    else:
        np.savez(path, **dict(np.load(path)) | change)
    with pytest.raises(UserError) as raised:
        read_checkpoint(path, {"seed": 1})
    assert_one_sentence(raised.value, path)
    assert "remove it to start again" in str(raised.value)
    assert not Path("unpickled").exists()


def test_packed_arrays_are_not_unpacked(tmp_path):
    """A gigabyte of zeros packs into a megabyte; ten bytes claim what they like."""
    path = make_checkpoint(tmp_path)
    np.savez_compressed(path, **dict(np.load(path)), more=np.zeros(10**7))
    assert path.stat().st_size < 10**6
    with pytest.raises(UserError, match="its arrays are packed"):
        read_checkpoint(path, {"seed": 1})


def test_arrays_on_top_of_each_other_are_refused(tmp_path):
    path = make_checkpoint(tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(200):
            info = archive.getinfo("settings.npy")
            again = zipfile.ZipInfo(f"more{number}.npy")
            for field in ("CRC", "compress_size", "file_size", "header_offset"):
                setattr(again, field, getattr(info, field))
            archive.filelist.append(again)
        archive._didModify = True  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(UserError) as raised:
        read_checkpoint(path, {"seed": 1})
    assert_one_sentence(raised.value, path)
    shutil.rmtree(tmp_path)
