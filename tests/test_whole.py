"""The whole of it on drawn clips: features, a head, a report, and verdicts that agree with what was trained."""

import csv
import itertools
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from base.errors import UserError
from cache.contents import load
from cache.schema import FRAMES, REAL
from cache.store import open_store
from detect.__main__ import main
from detect.clips.inputs import find_clips
from detect.detector.load import open_detector
from evaluate.report.stage import ReportConfig, write_report
from extract.config import ExtractConfig
from extract.drawn.clip import draw_empty_clip
from extract.drawn.dataset import DrawnConfig, draw_dataset
from extract.pipeline import extract
from extract.readers.layouts import read_dataset
from extract.video.decode import read_times
from tests import ROOT
from tests.clips import write_sound
from tests.stores import clip_row
from train.end_to_end.cnn3d import Cnn3dConfig, train_cnn3d
from train.end_to_end.finetune import FinetuneConfig, finetune
from train.fit import FitConfig, fit


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    sizes = DrawnConfig(tmp_path_factory.mktemp("whole") / "drawn", people=4, clips=2, youtube=0, fakes=8, workers=1)
    return draw_dataset(sizes)


@pytest.fixture(scope="module")
def features(data):
    return extract(ExtractConfig(data, data.parent / "data", "mobilenetv2", "random"))


@pytest.fixture(scope="module")
def run_folder(features):
    return fit(FitConfig(features=features, runs=features.parents[2] / "runs", epochs=4))


@pytest.fixture(scope="module")
def tuned_folder(run_folder):
    return finetune(FinetuneConfig(run=run_folder, runs=run_folder.parent, layers=4, warmup_epochs=0, epochs=1))


@pytest.fixture(scope="module")
def cnn3d_folder(run_folder):
    config = Cnn3dConfig(run=run_folder, runs=run_folder.parent, width=4, warmup_epochs=0, epochs=1)
    return train_cnn3d(config)


def predictions(folder: Path) -> dict[str, float]:
    with (folder / "predictions.csv").open(newline="") as file:
        return {row["id"]: float(row["probability"]) for row in csv.DictReader(file)}


def detect(capsys, *words) -> tuple[int, list[str]]:
    status = main([str(word) for word in words])
    return status, capsys.readouterr().out.splitlines()


def test_the_report_of_a_real_run(run_folder):
    page = write_report(ReportConfig(run=run_folder, resamples=50)).read_text()
    assert "random weights" in page
    assert "ROC AUC" in page


SLOW = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("cnn3d_folder", "tuned_folder")]


@pytest.mark.parametrize("kind", ["run_folder", *SLOW])
def test_verdicts_agree_with_the_stored_predictions(kind, request, data):
    run_folder = request.getfixturevalue(kind)
    stored = predictions(run_folder)
    clips = [data / record.path for record in read_dataset(data).records]
    judged = {verdict.clip: verdict for ((verdict, _),) in open_detector(run_folder).judge(clips)}
    assert len(judged) == len(stored) == 16
    for name, probability in stored.items():
        verdict = judged[str(data / name)]
        assert verdict.probability == pytest.approx(probability, abs=1e-3)
        assert verdict.verdict == verdict.band.call(probability)
        assert verdict.coverage >= 0.5
    # So few validation clips calibrate nothing.
    assert {verdict.calibrated for verdict in judged.values()} == {None}


def test_without_validation_there_is_no_calibrated_probability(run_folder, data, tmp_path):
    run = tmp_path / "unvalidated"
    shutil.copytree(run_folder, run)
    lines = (run / "predictions.csv").read_text().splitlines()
    (run / "predictions.csv").write_text("\n".join(line for line in lines if ",val," not in line) + "\n")
    (((verdict, _),),) = open_detector(run).judge([data / "Celeb-real/id0_0000.mp4"])
    assert verdict.probability is not None
    assert verdict.calibrated is None


def test_padding_says_nothing_of_a_short_clip(run_folder, features):
    detector, contents = open_detector(run_folder), load(open_store(features))
    clips = np.repeat(contents.arrays[contents.labels == REAL][:1], 5, axis=0)
    clips[1:, 5:] *= np.array([-2, 0, 3, 6], np.float16)[:, None, None]
    status = np.array([1] * 5 + [0] * 7, np.uint8)
    assert np.ptp([detector.probability(clip_row(clip, status)) for clip in clips]) <= 1e-6
    assert np.ptp([detector.probability(clip_row(clip)) for clip in clips]) > 1e-4


def test_json_tells_times_boxes_and_what_each_frame_shows(capsys, run_folder, data):
    clip = data / "Celeb-real/id0_0000.mp4"
    status, lines = detect(capsys, clip, "--run", run_folder, "--json", "--threshold", "1")
    (found,) = map(json.loads, lines)
    assert (status, found["verdict"]) == (0, "Real")
    assert found["clip"] == str(clip)
    assert len(found["frames"]) == FRAMES
    times = [frame["seconds"] for frame in found["frames"]]
    assert times == sorted(times)
    for frame in found["frames"]:
        x, y, width, height = frame["box"]
        assert 0 <= x < x + width <= 320
        assert 0 <= y < y + height <= 240
        assert frame["status"] in ("face", "tracked")


def test_status_one_says_that_something_is_fake(capsys, run_folder, data):
    status, lines = detect(capsys, data / "Celeb-real", "--run", run_folder, "--threshold", "0")
    assert status == 1
    assert lines[0].startswith(f"Judged by {run_folder.name}: ")
    assert lines[1].startswith("The scores are raw, not calibrated: there are ")
    assert lines[2] == "No score is too close to call."
    assert [line.split()[0] for line in lines[3:]] == ["verdict"] + ["Fake"] * 8


def test_a_clip_that_is_too_close_to_call_is_unsure_and_no_fake(capsys, run_folder, data):
    clip = data / "Celeb-real/id0_0000.mp4"
    score = predictions(run_folder)["Celeb-real/id0_0000.mp4"]
    status, lines = detect(capsys, clip, "--run", run_folder, "--threshold", str(score - 1e-4))
    assert (status, lines[4].split()[0]) == (0, "Unsure")
    assert "(too close to call)" in lines[4]
    assert "the default width" in lines[2]


@pytest.mark.slow
def test_a_run_not_to_believe_says_so_before_its_verdict(run_folder, data):
    command = [sys.executable, "-u", "-m", "detect", str(data / "Celeb-real/id0_0000.mp4"), "--run", str(run_folder)]
    found = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    warnings = [line for line in found.stdout.splitlines() if line.startswith("Do not rely on")]
    assert len(warnings) == 1
    assert "random weights" in warnings[0]
    assert "drawn faces" in warnings[0]
    assert found.stdout.index(warnings[0]) < found.stdout.index("Judged by")


def test_what_cannot_be_judged_is_said_and_costs_nothing_else(capsys, run_folder, data, tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "nothing.mp4").touch()
    write_sound(tmp_path / "sound.mp4")
    draw_empty_clip(tmp_path / "empty.mp4")
    good = data / "Celeb-real/id0_0000.mp4"
    sheet = tmp_path / "sheets" / "sheet.png"
    sheet.parent.mkdir()
    status, lines = detect(capsys, tmp_path, tmp_path / "absent.mp4", good, "--run", run_folder, "--show", sheet)
    found = {Path(line.split()[4]).name: line for line in lines[4:]}
    assert status == 2
    assert found["empty.mp4"].startswith("Undecided ")
    assert "a face was found in 0 of 12 frames" in found["empty.mp4"]
    for name, outcome in (("text", "unreadable"), ("nothing", "empty"), ("sound", "no_video"), ("absent", "missing")):
        assert found[f"{name}.mp4"].startswith("Failed ")
        assert f"({outcome}: " in found[f"{name}.mp4"]
    assert found[good.name].split()[0] in ("Real", "Fake", "Unsure")
    assert imread(sheet).shape[0] > imread(sheet).shape[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--threshold", "2"], "is not a probability"),
        (["--run", "absent"], "no finished run"),
        (["--show", "sheet.jpg"], "give a name that ends in .png"),
        (["--weights", "absent.h5"], "is not a weights file"),
        (["--weights", "imagenet"], "is not the weights file that"),
    ],
)
def test_a_wrong_command_is_one_sentence(run_folder, data, words, message):
    run = [] if "--run" in words else ["--run", str(run_folder)]
    with pytest.raises(UserError, match=message):
        main([str(data / "Celeb-real/id0_0000.mp4"), *run, *words])


@pytest.mark.slow
def test_a_sheet_holds_twenty_clips_and_the_next_goes_on(run_folder, data, tmp_path, monkeypatch):
    monkeypatch.setattr("detect.clips.sheet.CLIPS", 3)
    main([str(data / "Celeb-real"), "--run", str(run_folder), "--show", str(tmp_path / "out.png")])
    shapes = {path.name: imread(path).shape[0] for path in tmp_path.iterdir()}
    assert set(shapes) == {"out.png", "out-2.png", "out-3.png"}
    assert shapes["out.png"] == shapes["out-2.png"] > shapes["out-3.png"]


def test_a_folder_without_videos_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no video and no picture"):
        find_clips(tmp_path)


def test_a_cascade_that_is_not_the_one_of_training_is_refused(run_folder, monkeypatch):
    monkeypatch.setattr("detect.detector.face_files.face_detector_hash", lambda name, file: "0" * 16)
    with pytest.raises(UserError, match="is the file 0000000000000000, the run was trained with"):
        open_detector(run_folder)


def test_the_command_exits_with_its_status_and_no_traceback(run_folder, tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    for words, status in (([str(tmp_path / "text.mp4"), "--run", str(run_folder)], 2), (["--bogus"], 64)):
        command = [sys.executable, "-m", "detect", *words]
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert found.returncode == status
        assert "Traceback" not in found.stdout + found.stderr


def test_a_changed_clip_is_extracted_alone(data, features, capsys):
    capsys.readouterr()
    config = ExtractConfig(data, data.parent / "data", "mobilenetv2", "random")
    with (data / "Celeb-real/id0_0000.mp4").open("ab") as file:
        file.write(b"\0\0\0\x08free")  # an empty box: the same pictures in another file
    assert extract(config) == features
    assert "16 videos in" in (said := capsys.readouterr().out)
    assert ", 1 to extract" in said
    extract(config)
    assert "to extract" not in capsys.readouterr().out


def test_an_ensemble_of_runs_judges_by_their_mean(run_folder, features, data, capsys, tmp_path):
    other = fit(FitConfig(features=features, runs=tmp_path, name="other", head="mean", epochs=2, units=8, dense=8))
    capsys.readouterr()
    clip = str(data / next(name for name in predictions(run_folder)))
    main([clip, "--ensemble", str(run_folder), str(other), "--json"])
    said = json.loads(capsys.readouterr().out)
    expected = np.mean([predictions(folder)[Path(clip).relative_to(data).as_posix()] for folder in (run_folder, other)])
    assert said["probability"] == pytest.approx(expected, abs=1e-3)
    assert (said["runs"], said["threshold"]) == ([run_folder.name, "other"], 0.5)
    with pytest.raises(UserError, match="two runs or more"):
        main([clip, "--ensemble", str(run_folder)])
    with pytest.raises(UserError, match="names its runs itself; leave out --run and --reference"):
        main([clip, "--ensemble", str(run_folder), str(other), "--run", str(run_folder)])


def test_results_are_gone_on_with_and_count_for_the_status(run_folder, data, capsys, tmp_path):
    out = tmp_path / "out.csv"
    clips = sorted(map(str, data.rglob("*.mp4")))[::3]
    words = ["--run", str(run_folder), "--out", str(out), "--format", "csv"]
    assert main([*clips[:2], *words, "--threshold", "0"]) == 1
    capsys.readouterr()
    assert main([*clips, *words, "--threshold", "0"]) == 1
    printed = capsys.readouterr()
    assert f"2 of {len(clips)} clips are in" in printed.err
    assert len(list(csv.DictReader(printed.out.splitlines()))) == len(clips) - 2
    assert main([*clips, *words, "--threshold", "0"]) == 1
    with pytest.raises(UserError, match=r"holds verdicts made otherwise \(--threshold 0, not 1\)"):
        main([*clips, *words, "--threshold", "1"])


def test_long_clips_have_a_timeline_and_evidence_is_drawn(run_folder, data, capsys, tmp_path):
    clip, sheet = next(data.rglob("*.mp4")), tmp_path / "sheet.png"
    main([str(clip), "--run", str(run_folder), "--timeline", "0.8", "--explain", str(sheet), "--json", "--faces", "2"])
    said = json.loads(capsys.readouterr().out)
    moments = said["timeline"]
    assert len(moments) >= 3
    assert moments[0]["start"] == 0
    times, end, scale = read_times(clip)
    assert moments[-1]["end"] == pytest.approx((end - times[0]) * scale, abs=0.001)
    assert all(one["start"] < two["start"] < one["end"] for one, two in itertools.pairwise(moments))
    assert sheet.stat().st_size > 50_000
