"""Clips known to be real keep false alarms to a rate, and clips unlike the training clips are not called anything."""

import json
from pathlib import Path

import numpy as np
import pytest

from base.command_line.parse import parse_flags
from base.errors import UserError
from cache.profile import CropProfile
from cache.schema import FRAMES
from detect.clips import reference_stage
from detect.clips.judged_by import JudgedBy
from detect.clips.reference_stage import ReferenceConfig, make_reference
from detect.clips.verdict_lines import COLUMNS, lines
from detect.detector import load
from detect.detector.config import DetectorConfig
from detect.detector.judge import Detector
from detect.detector.load import newest_evaluated, open_configured
from detect.detector.networks import EnsembleScorer, Scores
from detect.detector.reference import KnownClip, Reference, read_reference, write_reference
from detect.detector.verdict import Verdict
from extract.backbones.engines import Engine
from tests.clips import write_clip
from tests.strangers import write_head_run
from train.data.neighbours import AXES, BLOCKS, Distances, Neighbours


class Painted:
    """Gives a clip the brightness of its first frame as score, and that of its last as distance from train."""

    input_kind = "crops"
    engine: Engine | None = None
    neighbours: Neighbours | None = None

    def __init__(self, people: int = 4) -> None:
        self.people = people

    def score(self, arrays, regions, masks):
        first, last = (arrays[:, frame].mean(axis=(1, 2, 3)) / 255 for frame in (0, -1))
        near = np.zeros(len(arrays), bool)
        return Scores(first, Distances(2 * last, 2 * last, near, self.people, np.zeros((len(arrays), BLOCKS, AXES))))


@pytest.fixture
def detector():
    return Detector(CropProfile(detector="none", detector_file=""), Painted(), None, None)


def frames(score: float, distance: float = 0.5) -> np.ndarray:
    """A clip that `Painted` gives this score and this distance."""
    images = np.zeros((FRAMES, 40, 40, 3), np.uint8)
    images[0], images[-1] = round(255 * score), round(255 * distance / 2)
    return images


def known(*scores: float, rate: float = 0.25) -> Reference:
    return Reference("studio", "", tuple(KnownClip(f"{i}.mp4", f"{i}.mp4", s) for i, s in enumerate(scores)), rate)


def judged(detector: Detector, score: float, distance: float = 0.5) -> Verdict:
    return detector.judge_frames(frames(score, distance))


def test_a_clip_beyond_the_limit_is_unsure_and_says_how_far_it_is(detector):
    verdict = judged(detector, 0.9, 1.5)
    assert (verdict.verdict, verdict.words) == ("Unsure", "Unsure, unlike the training clips")
    assert verdict.reason.startswith("1.50 times as far from the training clips as any of their 4 people or")
    assert verdict.distance == pytest.approx(1.5, abs=0.01)
    assert judged(detector, 0.9).verdict == "Fake"
    by = JudgedBy(("run",), 0.5)
    (table,) = lines([verdict], "table", by).splitlines()
    assert table.endswith(f"({verdict.reason})")
    assert json.loads(lines([verdict], "jsonl", by))["distance"] == verdict.distance
    assert dict(zip(COLUMNS, lines([verdict], "csv", by).split(","), strict=True))["distance"] == repr(verdict.distance)


def test_a_clip_that_the_run_was_trained_on_is_said_to_be_one(detector):
    assert judged(detector, 0.9, 0.0).note == (
        "the run was trained on this clip, so the verdict says nothing of how good it is"
    )
    assert judged(detector, 0.9, 0.3).note == ""


def test_beside_a_reference_only_a_rare_score_is_called_fake(detector):
    beside = detector.beside(known(0.1, 0.8, 0.2))
    assert [judged(beside, score).verdict for score in (0.9, 0.7, 0.15)] == ["Fake", "Unsure", "Real"]
    assert judged(beside, 0.7).words == "Unsure, not unusual beside the reference"
    assert judged(beside, 0.7).reason == "1 of 3 known real sources of studio score as high"
    verdict = judged(beside, 0.9)
    assert verdict.beside is not None
    assert (verdict.beside.as_high, verdict.beside.p_value) == (0, 0.25)
    assert "0 of 3 known real sources of studio score as high" in verdict.note


def test_a_reference_of_unlike_footage_keeps_its_promise_there(detector):
    low = detector.beside(known(0.01, 0.02, 0.03))
    assert judged(low, 0.3, 1.5).verdict == "Fake"  # the head alone calls all such clips real
    assert judged(low, 0.02, 1.5).verdict == "Unsure"


def test_clips_of_one_source_count_as_one(detector):
    clips = [KnownClip(f"a/{i}.mp4", "a", 0.1 * i) for i in range(5)] + [KnownClip("b.mp4", "b.mp4", 0.2)]
    beside = Reference("studio", "", tuple(clips), 0.5).beside(0.3)
    assert (beside.known, beside.as_high) == (2, 1)


def test_a_reference_is_read_as_it_was_written_and_refused_where_it_does_not_fit(tmp_path):
    run = write_head_run(tmp_path / "run")
    reference = Reference("studio", load_digest(run), known(*np.linspace(0, 0.5, 19)).clips)
    path = write_reference(run, reference)
    assert read_reference(run, "studio", 0.05, strict=False).clips == reference.clips
    with pytest.raises(UserError, match=r"clips of 19 sources, and --false-alarms 0\.01 needs 99; add some"):
        read_reference(run, "studio", 0.01, strict=False)
    with pytest.raises(UserError, match=r"--false-alarms 0\.05 with --strict needs 59"):
        read_reference(run, "studio", 0.05, strict=True)
    with pytest.raises(UserError, match=r"has no reference 'other' \(there: studio\)"):
        read_reference(run, "other", 0.05, strict=False)
    with pytest.raises(UserError, match="is not a name"):
        read_reference(run, "../studio", 0.05, strict=False)
    path.write_text(path.read_text().replace('"score": 0.5', '"score": 7'))
    with pytest.raises(UserError, match="is no reference"):
        read_reference(run, "studio", 0.05, strict=False)
    write_reference(run, Reference("studio", "another", reference.clips))
    with pytest.raises(UserError, match="scores of another run"):
        read_reference(run, "studio", 0.05, strict=False)


def load_digest(run: Path) -> str:
    from detect.detector.reference import judge_digest

    return judge_digest(run)


def test_real_clips_are_judged_and_kept_by_source(tmp_path, monkeypatch, detector, capsys):
    run, real = write_head_run(tmp_path / "run"), tmp_path / "real"
    for name in ("anna/1.mp4", "anna/2.mp4", "alone.mp4"):
        (real / name).parent.mkdir(parents=True, exist_ok=True)
        write_clip(real / name, list(frames(0.4)))
    write_clip(real / "learned.mp4", list(frames(0.4, 0.0)))
    (real / "broken.mp4").write_bytes(b"no clip")
    monkeypatch.setattr(reference_stage, "open_configured", lambda config: detector)
    path = make_reference(ReferenceConfig(run=run, real=real, name="studio", workers=1))
    assert path == run / "references" / "studio.json"
    kept = json.loads(path.read_text())["clips"]
    assert [(one["clip"], one["source"]) for one in kept] == [
        ("alone.mp4", "alone.mp4"),
        ("anna/1.mp4", "anna"),
        ("anna/2.mp4", "anna"),
    ]
    said = capsys.readouterr()
    assert "3 clips of 2 sources" in said.out
    assert "which needs 19" in said.out
    assert "broken.mp4 is left out" in said.err
    assert "learned.mp4 is left out: the run was trained on it." in said.err
    monkeypatch.setattr(load, "open_detector", lambda *_: detector)
    assert open_configured(DetectorConfig(run, reference="studio", false_alarms=0.4)).reference is not None
    with pytest.raises(UserError, match="2 sources"):
        open_configured(DetectorConfig(run, reference="studio"))
    with pytest.raises(UserError, match=r"is not 0\.0001 to 0\.5"):
        open_configured(DetectorConfig(run, false_alarms=0.9))


def test_an_ensemble_is_as_far_as_its_farthest_member_and_knows_nothing_where_one_does_not():
    clip = (
        np.full((1, FRAMES, 160, 160, 3), 200, np.uint8),
        np.zeros((1, FRAMES, 4), np.uint8),
        np.ones((1, FRAMES), bool),
    )

    def distances(*members):
        return EnsembleScorer(members, lambda all: all.mean(axis=0)).score(*clip).distances

    class Unknowing(Painted):
        def score(self, arrays, regions, masks):
            return Scores(super().score(arrays, regions, masks).probabilities)

    joined = distances(Painted(5), Painted(3))
    assert joined is not None
    assert joined.people == 3
    assert distances(Painted(), Unknowing()) is None


def test_many_clips_that_differ_as_a_whole_are_said_to(detector):
    random = np.random.default_rng(0)
    points = random.normal(0, 1, (60, BLOCKS, AXES)).astype(np.float32)
    owners = np.arange(60, dtype=np.int32)
    neighbours = Neighbours(np.zeros(1), np.zeros((1, AXES)), points, np.ones(BLOCKS), owners, 0.3, 0.6, 60)
    detector.with_scorer(lambda scorer: scorer)._scorer.neighbours = neighbours
    others = list(random.normal(0.7, 1, (30, BLOCKS, AXES)))
    assert "These 30 clips differ as a whole from the training clips" in detector.unlike_as_a_whole(others)
    assert detector.unlike_as_a_whole(list(random.normal(0, 1, (30, BLOCKS, AXES)))) == ""
    assert detector.unlike_as_a_whole(others[:5]) == ""


def test_the_newest_run_with_a_report_judges(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = (write_head_run(Path("runs") / name) for name in ("first", "second"))
    assert newest_evaluated() == second
    (first / "report").mkdir()
    (first / "report" / "metrics.json").write_text("{}")
    assert newest_evaluated() == first


def test_a_window_has_its_row(detector):
    from detect.detector.verdict import WindowScore

    verdict = Verdict("a.mp4", "Fake", 0.9, None, 1.0, "", (), timeline=(
        WindowScore(0, 6, 0.8, 1.0), WindowScore(3, 9, None, 0.25),
    ))  # fmt: skip
    _, one, other = lines([verdict], "table", JudgedBy(("run",), 0.5)).splitlines()
    assert one.split() == ["Fake", "0.800", "1.00", "0.0", "to", "6.0", "s"]
    assert other.split() == ["-", "-", "0.25", "3.0", "to", "9.0", "s"]


def test_the_folder_is_read_from_the_command_line():
    config = parse_flags("reelcheck reference", "", ReferenceConfig, ["clips", "--name", "studio"])
    assert (config.real, config.name) == (Path("clips"), "studio")
