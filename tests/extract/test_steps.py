"""The steps of stage 1 alone: rows of crops become rows of features, or failures that say why."""

import time
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from cache.profile import CropProfile
from cache.schema import FRAMES, OK, FrameStatus, Seen, VideoRecord
from extract.clips.crops import CroppedClip
from extract.steps import NON_FINITE, Clock, features_of, rows_from_videos, rows_with_features
from extract.video.containers import ClipError, Limits
from tests.extract.tasks import fail_once
from tests.stores import clip_row

SHORT = np.array([FrameStatus.FACE] * 5 + [FrameStatus.PAD] * 7, np.uint8)
BLACK, GREY, WHITE = 0, 100, 255


class BrokenEngine:
    """Gives the features 1 and `broken` for white crops and for black ones, 1 and 2 for others."""

    batch = 2 * FRAMES

    def __init__(self, broken: float) -> None:
        self._broken = broken

    def features(self, crops: np.ndarray, regions: np.ndarray) -> np.ndarray:
        fill = crops[:, 0, 0, 0]
        second = np.where((fill == WHITE) | (fill == BLACK), self._broken, 2)
        return np.stack([np.ones(len(crops)), second], axis=1).astype(np.float32)


def clip(level: int, status: np.ndarray | None = None):
    crops = np.full((FRAMES, 160, 160, 3), level, np.uint8)
    if status is not None:
        crops[status == FrameStatus.PAD] = BLACK
    return clip_row(crops, status)


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf, 65_520.0, -1e9])
def test_a_clip_whose_features_are_not_finite_is_a_failure_and_the_others_are_not(broken):
    rows = [clip(GREY), clip(WHITE), clip(GREY, SHORT)]
    good, bad, short = rows_with_features(rows, BrokenEngine(broken), Clock())  # pyright: ignore[reportArgumentType]
    assert (bad.outcome, bad.array, bad.key) == (NON_FINITE, None, rows[1].key)
    assert "not finite, or above 65,504" in bad.reason
    for row, frames in ((good, 12), (short, 5)):
        assert row.outcome == OK
        assert row.array is not None
        # Black crops that fill a clip count as nothing, whatever the network gives for them.
        np.testing.assert_array_equal(row.array, [[1, 2]] * frames + [[0, 0]] * (12 - frames))


def test_the_largest_number_of_float16_is_none_too_large():
    row = clip(WHITE)
    masks = np.ones((1, FRAMES), bool)
    found = features_of(row.array[None], row.seen.regions[None], masks, BrokenEngine(65_504.0))  # pyright: ignore
    assert found.max() == 65_504


CLIP = CroppedClip(
    np.zeros((FRAMES, 160, 160, 3), np.uint8),
    Seen(SHORT, np.arange(12.0), np.zeros((FRAMES, 4)), np.zeros((FRAMES, 4))),
    {},
)


class Workers:
    """Stands in for `map_clips`: each clip has the results of its name's `tries`, one after another."""

    def __init__(self, tries: dict[str, list[ClipError | None]]) -> None:
        self.tries, self.workers = tries, []

    def __call__(self, function, tasks, workers, seconds, tries):
        self.workers.append(workers)
        for video, (path, *_) in tasks:
            yield video, self.tries[path.name].pop(0) or (CLIP, "0" * 32)


TIMEOUT = ClipError("timeout", "was not finished after 300 s", passing=True)
CRASH = ClipError("crashed", "ended the process that decoded it (exit code -9)", passing=True)
NO_VIDEO = ClipError("no_video", "x has no video stream")


@pytest.mark.parametrize(
    ("tries", "outcome", "reason"),
    [
        ([TIMEOUT, None], OK, ""),
        ([CRASH, None], OK, ""),
        ([TIMEOUT, TIMEOUT], "timeout", "was not finished after 300 s; it was tried twice"),
        ([TIMEOUT, CRASH], "crashed", "ended the process that decoded it (exit code -9); it was tried twice"),
        ([CRASH, NO_VIDEO], "no_video", "x has no video stream; it was tried twice"),
        ([NO_VIDEO], "no_video", "x has no video stream"),
        ([None], OK, ""),
    ],
)
def test_what_may_be_the_machines_fault_gets_one_more_try_at_the_end_and_alone(monkeypatch, tries, outcome, reason):
    workers = Workers({"a": [None], "b": list(tries), "c": [None]})
    monkeypatch.setattr("extract.steps.map_clips", workers)
    videos = [(VideoRecord(name, name, 0, "", "", "", "", 1, 1), Path(name)) for name in "abc"]
    rows = list(rows_from_videos(videos, CropProfile(), Limits(), 2, Clock()))
    assert [row.id for row in rows] == (["a", "c", "b"] if len(tries) > 1 else ["a", "b", "c"])
    (row,) = [row for row in rows if row.id == "b"]
    assert (row.outcome, row.reason) == (outcome, reason)
    assert workers.workers == ([2, 1] if len(tries) > 1 else [2])
    assert not any(workers.tries.values())


def test_each_fault_of_the_machine_that_passes_costs_no_clip(tmp_path, monkeypatch):
    """In real processes: killed, hanging, without memory, without a thread, and without an open file left."""
    names = ["killed", "hang", "memory", "opencv", "threads", "files", "broken", "good"]
    monkeypatch.setattr("extract.steps.crop_and_checksum", fail_once)
    monkeypatch.setattr("extract.steps._row", lambda record, result, _: (record.id, result))
    videos = [(VideoRecord(name, name, 0, "", "", "", "", 1, 1), tmp_path / f"{name}.mp4") for name in names]
    found: dict[str, Any] = dict(cast(Any, rows_from_videos(videos, CropProfile(), Limits(seconds=4.0), 2, Clock())))
    assert found.pop("broken").outcome == "unreadable"
    assert found == {name: (name, "checksum") for name in names if name != "broken"}


def test_core_seconds_are_those_of_a_processor():
    seconds = []
    for _ in range(5):  # another thread of this process may be at work now and then
        clock = Clock()
        with clock.timed("waiting"):
            time.sleep(0.3)
        seconds.append(clock.seconds["waiting"])
    assert min(seconds) < 0.2
