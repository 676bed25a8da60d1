"""The Python API: the stages by name, silent, typed, and with the flags' defaults."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import reelcheck
from base.progress import progress_bar, say
from extract.video.decode import play
from tests import ROOT
from tests.stores import pairs, write_features
from train.runs.recipe import read_recipe


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return reelcheck.draw(tmp_path_factory.mktemp("api") / "clips", people=4, clips=1, youtube=0, fakes=4, workers=1)


@pytest.fixture(scope="module")
def run(clips: Path) -> Path:
    features = reelcheck.extract(data=clips, out=clips.parent / "data", backbone="mobilenetv2", weights="random")
    return reelcheck.train(features=features, runs=clips.parent / "runs", split="random", epochs=2, fixed_epochs=2)


def test_from_clips_to_a_verdict(clips, run, capfd):
    detector = reelcheck.load_detector(str(run))
    clip = next((clips / "Celeb-real").iterdir())
    verdict = reelcheck.judge(clip, detector)
    assert verdict.verdict in ("Real", "Fake", "Unsure", "Undecided")
    assert verdict.coverage > 0
    # The same frames in memory, at the same times, get the same verdict.
    frames = np.stack([image() for _, image in play(clip)])
    again = reelcheck.judge(frames, detector, seconds=np.arange(len(frames)) / 25)
    assert (again.verdict, again.coverage) == (verdict.verdict, verdict.coverage)
    assert again.probability == pytest.approx(verdict.probability, abs=1e-4)
    assert capfd.readouterr().out == ""


def test_paths_may_be_text(tmp_path):
    with pytest.raises(reelcheck.UserError, match=r"^there is no .*absent; give"):
        reelcheck.extract(data=str(tmp_path / "absent"), weights="random")  # pyright: ignore[reportArgumentType]


def test_frames_may_be_a_list_or_a_folder(clips, run, tmp_path):
    detector = reelcheck.load_detector(run)
    clip = next(clips.rglob("*.mp4"))
    frames = [frame() for _, frame in play(clip)]
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / f"{number:04}.png")
    expected = reelcheck.judge(clip, detector)
    for form in (frames, tmp_path, tmp_path.as_uri()):
        verdict = reelcheck.judge(form, detector, fps=10)
        assert verdict.probability == expected.probability
        assert [frame.seconds for frame in verdict.frames][1] == pytest.approx(
            2.5 * expected.frames[1].seconds, abs=1e-3
        )
    with pytest.raises(reelcheck.UserError, match=r"a frame is str; give frames uint8"):
        reelcheck.judge(["a.png", "b.png"], detector)  # pyright: ignore[reportArgumentType]
    with pytest.raises(reelcheck.UserError, match="int is no clip; give a path, or frames"):
        reelcheck.judge(7, detector)  # pyright: ignore[reportArgumentType]


def test_several_features_folders_may_be_a_list_of_texts(tmp_path):
    folders = [str(write_features(tmp_path, pairs(), name=name).folder) for name in ("one", "two")]
    settings = {"features": folders, "runs": str(tmp_path / "runs"), "head": "mean", "epochs": 2}
    run = reelcheck.train(**settings)
    assert [one.name for one in read_recipe(run).data_sets] == ["one", "two"]


def test_a_missing_clip_has_failed(run):
    verdict = reelcheck.judge("absent.mp4", reelcheck.load_detector(run))
    assert (verdict.verdict, verdict.probability) == ("Failed", None)
    assert verdict.outcome == "missing"


@pytest.mark.slow
def test_training_and_evaluating_print_nothing(tmp_path, capsys, caplog):
    store = write_features(tmp_path, pairs(), strength=2.0)
    reelcheck.show_progress(False)
    try:
        with caplog.at_level(logging.INFO, logger="reelcheck"):
            run = reelcheck.train(features=store.folder, runs=tmp_path / "runs", split="identity", epochs=2)
            report = reelcheck.evaluate(run=run, resamples=50)
    finally:
        reelcheck.show_progress(True)
    assert (capsys.readouterr().out, capsys.readouterr().err) == ("", "")
    assert any("videos" in message for message in caplog.messages)
    assert report.page.is_file()
    assert report.roc_auc.value is not None
    assert report.roc_auc.low is not None
    assert 0 <= report.roc_auc.low <= report.roc_auc.value <= 1


def test_settings_that_are_no_flags_are_refused(tmp_path):
    with pytest.raises(TypeError, match="haed"):
        reelcheck.train(features=tmp_path, haed="gru")  # pyright: ignore[reportCallIssue]


def test_what_the_user_can_mend_is_a_user_error(tmp_path):
    with pytest.raises(reelcheck.UserError, match="holds no features"):
        reelcheck.train(features=tmp_path)


def test_commands_still_print(capsys):
    say("a sentence")
    with progress_bar(total=1) as bar:
        bar.update()
    shown = capsys.readouterr()
    assert shown.out == "a sentence\n"
    assert "1/1" in shown.err


def test_every_name_of_the_api_is_there():
    assert all(getattr(reelcheck, name) for name in reelcheck.__all__)
    with pytest.raises(AttributeError, match="no attribute 'exrtact'"):
        reelcheck.exrtact  # noqa: B018 # pyright: ignore[reportAttributeAccessIssue]


SCRIPT = """
import reelcheck
reelcheck.show_progress(False)
clips = reelcheck.draw("clips", people=4, clips=1, youtube=0, fakes=4, workers=2)
features = reelcheck.extract(data=clips, backbone="mobilenetv2", weights="random", workers=2)
run = reelcheck.train(features=features, split="random", epochs=2)
print(reelcheck.judge(next(clips.glob("*/*.mp4")), reelcheck.load_detector(run)).outcome)
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["a file", "standard input", "-c"])
def test_a_script_without_a_guard_prints_what_it_prints(tmp_path, how):
    (path := tmp_path / "script.py").write_text(SCRIPT)
    words = {"a file": [str(path)], "standard input": ["-"], "-c": ["-c", SCRIPT]}[how]
    found = subprocess.run(
        [sys.executable, *words],
        input=SCRIPT,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stdout, found.stderr) == (0, "ok\n", "")
