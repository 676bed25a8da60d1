"""What a verdict says of what was not judged, in words and for programs."""

import csv
import json

import numpy as np
import pytest

from cache.profile import CropProfile
from detect.clips.judged_by import JudgedBy
from detect.clips.verdict_lines import COLUMNS, lines
from detect.detector.judge import Detector, JudgeOptions
from detect.detector.networks import CropScorer
from detect.detector.verdict import Verdict
from extract.clips.crops import LeftOut
from extract.clips.face_detectors import face_detector_hash
from tests.clips import HARD_CLIPS

DETECTOR = Detector(
    CropProfile(detector_file=face_detector_hash("yunet")),
    CropScorer(lambda inputs: np.full((len(inputs["mask"]), 1), 0.9)),
    None,
    None,
)
NOTES = {
    "1 more face, not judged; --faces 2": LeftOut(faces=1, people=2),
    "2 more faces, not judged; --faces 4": LeftOut(faces=2, people=4),
    "1 more face, seen too briefly to judge": LeftOut(brief=1),
    "8 frames of other scenes not judged": LeftOut(scenes=8),
    "the file breaks off after 0.9 of 1.9 s": LeftOut(seconds=(0.9, 1.933)),
    "": LeftOut(people=1),
}


@pytest.mark.parametrize("note", NOTES)
def test_what_is_left_out_is_in_the_note_of_every_format(note):
    verdict = Verdict("a.mp4", "Undecided", None, None, 0.3, "a reason", (), left_out=NOTES[note])
    table, row, values = (lines([verdict], style, JudgedBy(("run",), 0.5)) for style in ("table", "csv", "jsonl"))
    assert note in table
    assert dict(zip(COLUMNS, next(csv.reader([row])), strict=True))["note"] == note
    assert json.loads(values)["note"] == note
    assert json.loads(values)["left_out"]["people"] == NOTES[note].people


HARD = {
    "cut02.mp4": "4 frames without the face not judged; 1 more face, not judged; --faces 2",
    "cut42f.mp4": "5 frames without the face not judged; 1 more face, not judged; --faces 2",
    "sbs.mp4": "1 more face, not judged; --faces 2",
    "trunc_fast.mp4": "the file breaks off after 0.9 of 1.9 s",
    "idle.mp4": "one still picture stands for 10 of 12 frames",
}


@pytest.mark.skipif(not HARD_CLIPS.is_dir(), reason="the hard clips are not here")
def test_hard_clips_are_judged_with_what_is_right_beside_it():
    paths = [HARD_CLIPS / name for name in HARD]
    judged = [verdict for people in DETECTOR.judge(paths, workers=1) for verdict, _ in people]
    assert {verdict.clip.rpartition("/")[2]: verdict.note for verdict in judged} == HARD
    assert {verdict.verdict for verdict in judged} == {"Fake"}
    (man_and_woman,) = DETECTOR.judge([HARD_CLIPS / "cut42f.mp4"], JudgeOptions(faces=2), workers=1)
    assert [(verdict.verdict, verdict.coverage, verdict.note) for verdict, _ in man_and_woman] == [
        ("Fake", 7 / 12, "5 frames without the face not judged"),
        ("Fake", 1.0, "7 frames of other scenes not judged"),
    ]
