"""What a verdict rests on: how the probability changes when a frame, or a part of the face, is covered.

This is occlusion (Zeiler & Fergus, "Visualizing and understanding convolutional networks", ECCV 2014): the covered
crops go through the detector's own network. It needs no gradient and no second model.
"""

from dataclasses import dataclass

import numpy as np

from cache.schema import CROP_SIZE, FrameStatus, Row
from detect.detector.judge import Detector
from extract.steps import features_of

GRID = 4
"""A crop is divided into this many regions down, and as many across."""
CLIPS = 32
"""Covered clips that are scored in one batch where the network takes crops."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """How much each part counts for fake: the probability minus the probability with that part covered.

    `frames` float64 (n,) for n frames; `regions` float64 (n, 4, 4) for the regions of each frame's crop. A network over
    crops sees all frames at once. There a region is covered in all frames together, and `regions` repeats.
    """

    frames: np.ndarray
    regions: np.ndarray


def find_evidence(detector: Detector, row: Row) -> Evidence:
    """Returns the evidence in the crops of `row`. Frames that are masked have none."""
    assert row.array is not None
    judged = np.flatnonzero(row.seen.mask)
    covered = np.array([_covered(crop) for crop in row.array[judged]])
    find = _in_crops if detector.engine is None else _in_features
    frames, regions = find(detector, row, judged, covered)
    shown = int((row.seen.status != FrameStatus.PAD).sum())
    evidence = Evidence(np.zeros(shown), np.zeros((shown, GRID, GRID)))
    evidence.frames[judged], evidence.regions[judged] = frames, regions
    return evidence


def _in_features(
    detector: Detector, row: Row, judged: np.ndarray, covered: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the evidence in the frames `judged`, each `covered` in (n, 17) ways; other frames stay as they are."""
    assert detector.engine is not None
    assert row.array is not None
    ways = covered.shape[1]
    whole = features_of(row.array[None], row.seen.regions[None], row.seen.mask[None], detector.engine)[0]
    regions = np.repeat(row.seen.regions[judged], ways, axis=0)
    features = detector.engine.features(np.concatenate(covered), regions).astype(np.float16)
    arrays = np.repeat(whole[None], len(features), axis=0)
    arrays[np.arange(len(features)), np.repeat(judged, ways)] = features
    drop = _probabilities(detector, row, whole[None])[0] - _probabilities(detector, row, arrays)
    drop = drop.reshape(len(judged), ways)
    return drop[:, 0], drop[:, 1:].reshape(-1, GRID, GRID)


def _in_crops(detector: Detector, row: Row, judged: np.ndarray, covered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the evidence in the frames `judged`; a region is covered in all of them at once."""
    assert row.array is not None
    clips = np.repeat(row.array[None], len(judged) + GRID * GRID, axis=0)
    clips[np.arange(len(judged)), judged] = covered[:, 0]
    clips[len(judged) :, judged] = covered[:, 1:].swapaxes(0, 1)
    batches = (clips[start : start + CLIPS] for start in range(0, len(clips), CLIPS))
    without = np.concatenate([_probabilities(detector, row, batch) for batch in batches])
    drop = _probabilities(detector, row, row.array[None])[0] - without
    return drop[: len(judged)], drop[len(judged) :].reshape(1, GRID, GRID)


def _probabilities(detector: Detector, row: Row, arrays: np.ndarray) -> np.ndarray:
    """Returns the probabilities of variants of the clip in `row`, float64 (N,)."""
    regions, masks = (np.repeat(one[None], len(arrays), axis=0) for one in (row.seen.regions, row.seen.mask))
    return detector.probabilities(arrays, regions, masks)


def _covered(crop: np.ndarray) -> np.ndarray:
    """Returns the crop covered by its mean colour, first as a whole, then region by region: uint8 (17, 160, 160, 3)."""
    colour, side = np.rint(crop.mean(axis=(0, 1))).astype(np.uint8), CROP_SIZE // GRID
    covered = np.repeat(crop[None], 1 + GRID * GRID, axis=0)
    covered[0] = colour
    for region in range(GRID * GRID):
        top, left = side * (region // GRID), side * (region % GRID)
        covered[1 + region, top : top + side, left : left + side] = colour
    return covered
