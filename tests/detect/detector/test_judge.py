"""The detector as others call it: on a file and on decoded frames, silent, with the same verdict."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from base.errors import UserError
from cache.profile import CropProfile
from cache.schema import FRAMES
from detect.detector import judge
from detect.detector.judge import Detector, JudgeOptions
from detect.detector.networks import CropScorer, EnsembleScorer, FeatureScorer
from evaluate.results.about_run import AboutRun
from evaluate.stats.band import band_around
from evaluate.stats.calibration import Temperature
from extract.clips.crops import Piece, crop_frames
from extract.clips.face_detectors import make_face_detector
from extract.video.containers import ClipError
from extract.video.decode import play, read_times
from extract.video.decoded import sample_images
from tests.clips import counting_images, read_number, write_clip
from tests.extract.provenance.test_claims import MANIFEST, SAID


def level(inputs) -> np.ndarray:
    return inputs["crops"][:, 0].mean(axis=(1, 2, 3))[:, None] / 255


@pytest.fixture
def detector():
    """Takes clips as face crops, so that every frame is one."""
    return Detector(CropProfile(detector="none", detector_file=""), CropScorer(level), None, None)


@pytest.mark.parametrize("count", [1, 12, 13, 60])
def test_frames_in_memory_get_the_verdict_of_their_file(detector, tmp_path, capsys, count):
    path = write_clip(tmp_path / "clip.mp4", counting_images(count))
    expected = detector.judge_clip(path)
    times, _, scale = read_times(path)
    frames = np.stack([frame() for _, frame in play(path)])
    verdict = detector.judge_frames(frames, [time * scale for time in times], name=str(path))
    assert verdict.as_dict() == expected.as_dict()
    assert len(verdict.frames) == min(count, FRAMES)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("fps", "rate"), [({}, 25), ({"fps": 30}, 30), ({"fps": 0.5}, 0.5)])
def test_frames_without_times_have_those_of_a_folder_of_them(detector, tmp_path, fps, rate):
    folder, frames = tmp_path / "frames", [np.full((20, 30, 3), 200, np.uint8)] * 25
    folder.mkdir()
    for number, image in enumerate(frames):
        Image.fromarray(image).save(folder / f"{number}.png")
    verdict = detector.judge_frames(frames, name=str(folder), **fps)
    assert [frame.seconds for frame in verdict.frames] == [round(number / rate, 3) for number in range(1, 24, 2)]
    assert verdict.verdict == "Fake"
    assert verdict.as_dict() == detector.judge_clip(folder, **fps).as_dict()


@pytest.mark.parametrize("fps", [0, -1, float("nan"), 1001])
def test_a_rate_that_no_clip_has_is_one_sentence(detector, tmp_path, fps):
    for judge_at in (
        lambda: detector.judge_frames(np.zeros((3, 8, 8, 3), np.uint8), fps=fps),
        lambda: detector.judge_clip(tmp_path, fps=fps),
    ):
        with pytest.raises(UserError, match="is no rate of frames; give a number a second"):
            judge_at()


def test_what_the_file_claims_stands_beside_the_verdict_and_changes_no_number(detector, tmp_path):
    path = write_clip(tmp_path / "clip.mp4", counting_images(30))
    before = detector.judge_clip(path)
    path.write_bytes(path.read_bytes() + MANIFEST)
    after = detector.judge_clip(path)
    assert after.claims == (SAID,)
    assert after.note == f"the file claims: {SAID}"
    assert replace(after, claims=()).as_dict() == before.as_dict()
    assert before.claims == ()


def test_the_threshold_is_what_the_caller_says(detector, tmp_path):
    path = write_clip(tmp_path / "clip.mp4", [np.full((64, 64, 3), 100, np.uint8)] * 5)
    assert detector.judge_clip(path).verdict == "Unsure"
    assert detector.judge_clip(path, threshold=0.6).verdict == "Real"
    assert detector.judge_clip(path, threshold=0.2).verdict == "Fake"
    (((verdict, _),),) = detector.judge([path], JudgeOptions(0.2))
    assert verdict.verdict == "Fake"


def test_every_verdict_says_who_judged_also_where_there_is_no_number(detector, tmp_path):
    about = AboutRun(("my-run",), doubts=("it is a test",))
    detector = Detector(detector.profile, CropScorer(level), Temperature(2.0, 100), None, about)
    (tmp_path / "text.mp4").write_text("no video")
    for verdict in (detector.judge_clip(tmp_path / "text.mp4"), detector.judge_frames(np.ones((3, 8, 8, 3), np.uint8))):
        assert (verdict.run, verdict.band) == (about, band_around(0.5, Temperature(2.0, 100)))
    assert detector.with_scorer(lambda scorer: scorer).about == about


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_features_that_are_not_finite_are_no_verdict(broken):
    """An infinite feature may come out of a head as a probability of 1."""

    class Engine:
        batch = FRAMES

        def features(self, crops, regions):
            return np.full((len(crops), 4), broken, np.float32)

    scorer: Any = FeatureScorer(Engine(), lambda inputs: np.ones((1, 1)), "features")  # pyright: ignore
    crops = CropProfile(detector="none", detector_file="")
    frames = np.full((12, 64, 64, 3), 200, np.uint8)
    verdict = Detector(crops, scorer, None, None).judge_frames(frames)
    assert (verdict.verdict, verdict.outcome, verdict.probability) == ("Failed", "non_finite", None)
    joined = EnsembleScorer([scorer, scorer], lambda all: all.mean(axis=0))
    with pytest.raises(UserError, match="backbone gave a clip features that are not finite"):
        Detector(crops, joined, None, None).judge_frames(frames)


def test_a_clip_that_fails_after_its_first_windows_has_no_verdict_of_them(detector, monkeypatch):
    """And it costs the clip between whose parts it fails nothing: each part says which clip it is of."""

    def piece(start: float | None = None, is_last: bool = False) -> Piece:
        images = np.full((12, 64, 64, 3), 200, np.uint8)
        sampled = sample_images(images, None, "uniform")
        crops = crop_frames(sampled, make_face_detector("none", None), 0.3)
        return Piece(crops, None if start is None else (start, start + 6), is_last)

    late = ClipError("truncated", "its end is missing")
    parts = [("0", piece()), ("1", piece()), ("0", piece(0)), ("1", piece(0)), ("0", late), ("1", piece(6, True))]
    monkeypatch.setattr(judge, "map_clips", lambda *_: iter(parts))
    (((broken, crops),), ((whole, _),)) = detector.judge([Path("a.mp4"), Path("b.mp4")], JudgeOptions(window=6.0))
    assert (broken.clip, broken.verdict, broken.outcome, broken.timeline) == ("a.mp4", "Failed", "truncated", ())
    assert crops is None or crops.array is None
    assert (whole.clip, whole.verdict) == ("b.mp4", "Fake")
    assert [(window.start, window.end) for window in whole.timeline] == [(0, 6), (6, 12)]


def test_a_file_that_cannot_be_read_has_its_outcome_apart_from_its_reason(detector, tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    verdict = detector.judge_clip(tmp_path / "text.mp4")
    assert (verdict.verdict, verdict.outcome) == ("Failed", "unreadable")
    assert verdict.reason.startswith("text.mp4 cannot be decoded")
    assert verdict.explanation == f"unreadable: {verdict.reason}"


@pytest.mark.parametrize(
    ("frames", "seconds", "message"),
    [
        (np.zeros((0, 8, 8, 3), np.uint8), None, "there is no frame"),
        (np.zeros((2, 8, 8, 3), np.float32), None, r"a frame is float32 \(8, 8, 3\); give frames uint8"),
        (np.zeros((2, 8, 8), np.uint8), None, r"a frame is uint8 \(8, 8\)"),
        (np.zeros((2, 8, 8, 4), np.uint8), None, r"a frame is uint8 \(8, 8, 4\)"),
        (np.zeros((2, 0, 8, 3), np.uint8), None, "a frame is 8 x 0 pixels"),
        (["frame"], None, "a frame is str"),
        (np.zeros((2, 8, 8, 3), np.uint8), [0.0], "2 frames and 1 times"),
        (np.zeros((2, 8, 8, 3), np.uint8), [1.0, 1.0], "do not ascend"),
        (np.zeros((2, 8, 8, 3), np.uint8), [1.0, float("nan")], "do not ascend"),
    ],
)
def test_what_are_no_frames_is_one_sentence(detector, frames, seconds, message):
    with pytest.raises(UserError, match=message):
        detector.judge_frames(frames, seconds)


def test_frames_are_chosen_by_their_times(detector):
    images = counting_images(40)
    seconds = np.concatenate([np.arange(20) * 0.01, 10 + np.arange(20)])
    from extract.video.decoded import sample_images

    chosen = [read_number(image) for image in sample_images(images, seconds, "uniform").images]
    assert chosen[0] == 19
    assert chosen[-1] == 38


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_a_picture_gets_a_verdict_that_says_it_knows_no_motion(detector, tmp_path, suffix):
    path = tmp_path / f"face.{suffix}"
    Image.fromarray(np.full((64, 64, 3), 200, np.uint8)).save(path)
    verdict = detector.judge_clip(path)
    assert (verdict.verdict, len(verdict.frames), verdict.coverage) == ("Fake", 1, 1.0)
    assert verdict.frames[0].seconds == 0
    assert "nothing is known of its motion" in verdict.note
    assert detector.judge_frames(np.full((1, 64, 64, 3), 200, np.uint8)).note == verdict.note
    assert detector.judge_frames(np.full((2, 64, 64, 3), 200, np.uint8)).note == ""


def test_hostile_pictures_cost_their_own_row(detector, tmp_path):
    face = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    face.save(tmp_path / "good.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "good.png").read_bytes()[:5000])
    (tmp_path / "text.jpg").write_text("text")
    write_clip(tmp_path / "clip.mp4", counting_images(5))
    verdicts = [verdict for ((verdict, _),) in detector.judge(sorted(tmp_path.iterdir()))]
    outcomes = {Path(verdict.clip).name: verdict.outcome for verdict in verdicts}
    assert outcomes == {"good.png": "ok", "broken.png": "truncated", "text.jpg": "not_a_picture", "clip.mp4": "ok"}
