"""The steps of stage 1 alone: rows of crops become rows of features, or failures that say why."""

import time

import numpy as np
import pytest

from cache.schema import FRAMES, OK, FrameStatus
from extract.steps import NON_FINITE, Clock, features_of, rows_with_features
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
    found = features_of(row.array[None], row.regions[None], masks, BrokenEngine(65_504.0))  # pyright: ignore
    assert found.max() == 65_504


def test_core_seconds_are_those_of_a_processor():
    clock = Clock()
    with clock.timed("waiting"):
        time.sleep(0.3)
    assert clock.seconds["waiting"] < 0.2
