"""What a verdict rests on: how the probability changes when a frame, or a part of the face, is covered.

This is occlusion (Zeiler & Fergus, "Visualizing and understanding convolutional networks", ECCV 2014): the covered
crops go through the detector's own network. It needs no gradient and no second model.
"""

from dataclasses import dataclass

import numpy as np

from cache.schema import CROP_SIZE, Row, mask_of
from detect.detector.verdict import Detector
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
    """Returns the evidence in the crops of `row`."""
    assert row.array is not None
    crops, mask = row.array, mask_of(row.status)
    frames = int(mask.sum())
    covered = [_covered(crop) for crop in crops[:frames]]
    if detector.engine is None:
        return _of_crops(detector, row, covered)
    whole = features_of(crops[None], row.regions[None], mask[None], detector.engine)[0]
    variants = 1 + GRID * GRID
    regions = np.repeat(row.regions[:frames], variants, axis=0)
    features = detector.engine.features(np.concatenate(covered), regions).astype(np.float16)
    arrays = np.repeat(whole[None], len(features), axis=0)
    arrays[np.arange(len(features)), np.repeat(np.arange(frames), variants)] = features
    drop = (_probabilities(detector, row, whole[None])[0] - _probabilities(detector, row, arrays)).reshape(
        frames, variants
    )
    return Evidence(drop[:, 0], drop[:, 1:].reshape(frames, GRID, GRID))


def _probabilities(detector: Detector, row: Row, arrays: np.ndarray) -> np.ndarray:
    """Returns the probabilities of variants of the clip in `row`, float64 (N,)."""
    regions, masks = (np.repeat(one[None], len(arrays), axis=0) for one in (row.regions, mask_of(row.status)))
    return detector.probabilities(arrays, regions, masks)


def _of_crops(detector: Detector, row: Row, covered: list[np.ndarray]) -> Evidence:
    assert row.array is not None
    crops, frames = row.array, len(covered)
    clips = []
    for number, variants in enumerate(covered):
        clips.append(crops.copy())
        clips[-1][number] = variants[0]
    for region in range(1, 1 + GRID * GRID):
        clips.append(crops.copy())
        clips[-1][:frames] = [variants[region] for variants in covered]
    without = [
        _probabilities(detector, row, np.stack(batch))
        for batch in (clips[start : start + CLIPS] for start in range(0, len(clips), CLIPS))
    ]
    drop = _probabilities(detector, row, crops[None])[0] - np.concatenate(without)
    regions = np.repeat(drop[frames:].reshape(1, GRID, GRID), frames, axis=0)
    return Evidence(drop[:frames], regions)


def _covered(crop: np.ndarray) -> np.ndarray:
    """Returns the crop covered by its mean colour, first as a whole, then region by region: uint8 (17, 160, 160, 3)."""
    colour, side = np.rint(crop.mean(axis=(0, 1))).astype(np.uint8), CROP_SIZE // GRID
    covered = np.repeat(crop[None], 1 + GRID * GRID, axis=0)
    covered[0] = colour
    for region in range(GRID * GRID):
        top, left = side * (region // GRID), side * (region % GRID)
        covered[1 + region, top : top + side, left : left + side] = colour
    return covered
