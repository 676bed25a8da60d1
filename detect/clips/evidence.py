"""What a verdict rests on: how the probability changes when a frame, or a part of the face, is covered.

Zeiler & Fergus, "Visualizing and understanding convolutional networks", ECCV 2014: occlusion through the real network,
no gradient and no second model.
"""

from dataclasses import dataclass

import numpy as np

from cache.schema import CROP_SIZE
from detect.detector.verdict import Detector
from extract.steps import features_of

GRID = 4
"""Parts a crop is divided into, down and across."""
CLIPS = 32
"""Covered clips that are judged at once where crops themselves are judged."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """How much each part speaks for fake: the probability less what it is with the part covered.

    `frames` float64 (n,) for n frames; `regions` float64 (n, 4, 4) for the parts of each frame's crop. A network over
    crops sees all frames at once, so there a region is covered in all of them, and `regions` repeats.
    """

    frames: np.ndarray
    regions: np.ndarray


def find_evidence(detector: Detector, crops: np.ndarray, shown: int) -> Evidence:
    """Returns what the probability rests on of crops uint8 (12, 160, 160, 3), of which the first `shown` are frames."""
    mask = np.arange(len(crops)) < shown
    covered = [_covered(crop) for crop in crops[:shown]]
    if detector.engine is None:
        return _of_crops(detector, crops, mask, covered)
    whole = features_of(crops[None], mask[None], detector.engine)[0]
    features = detector.engine.features(np.concatenate(covered)).astype(np.float16)
    arrays = np.repeat(whole[None], len(features), axis=0)
    arrays[np.arange(len(features)), np.repeat(np.arange(shown), 1 + GRID * GRID)] = features
    said = detector.probabilities(arrays, np.repeat(mask[None], len(arrays), axis=0))
    less = (float(detector.probabilities(whole[None], mask[None])[0]) - said).reshape(shown, 1 + GRID * GRID)
    return Evidence(less[:, 0], less[:, 1:].reshape(shown, GRID, GRID))


def _of_crops(detector: Detector, crops: np.ndarray, mask: np.ndarray, covered: list[np.ndarray]) -> Evidence:
    shown = len(covered)
    clips = []
    for number, parts in enumerate(covered):
        clips.append(crops.copy())
        clips[-1][number] = parts[0]
    for region in range(1, 1 + GRID * GRID):
        clips.append(crops.copy())
        clips[-1][:shown] = [parts[region] for parts in covered]
    said = [
        detector.probabilities(np.stack(part), np.repeat(mask[None], len(part), axis=0))
        for part in (clips[start : start + CLIPS] for start in range(0, len(clips), CLIPS))
    ]
    less = float(detector.probabilities(crops[None], mask[None])[0]) - np.concatenate(said)
    regions = np.repeat(less[shown:].reshape(1, GRID, GRID), shown, axis=0)
    return Evidence(less[:shown], regions)


def _covered(crop: np.ndarray) -> np.ndarray:
    """Returns the crop covered as a whole, then part by part, by its mean colour: uint8 (17, 160, 160, 3)."""
    colour, side = np.rint(crop.mean(axis=(0, 1))).astype(np.uint8), CROP_SIZE // GRID
    covered = np.repeat(crop[None], 1 + GRID * GRID, axis=0)
    covered[0] = colour
    for part in range(GRID * GRID):
        top, left = side * (part // GRID), side * (part % GRID)
        covered[1 + part, top : top + side, left : left + side] = colour
    return covered
