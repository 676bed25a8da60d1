"""Evidence: what covering a frame takes from the probability, and nothing for frames that are not judged."""

from dataclasses import replace

import numpy as np
import pytest

from cache.profile import CropProfile
from cache.schema import FrameStatus, Seen
from detect.clips.evidence import GRID, find_evidence
from detect.detector.judge import Detector, row_of
from detect.detector.networks import CropScorer, FeatureScorer
from extract.backbones.engines import Engine
from extract.clips.crops import CroppedClip

BLIND = CropProfile(detector="none", detector_file="")
FACE, LOST, PAD = FrameStatus.FACE, FrameStatus.LOST, FrameStatus.PAD


def row(status):
    """Crops that are dark but for their top left corner, which gets brighter from frame to frame."""
    status = np.array([*status, *[PAD] * (12 - len(status))], np.uint8)
    crops = np.zeros((12, 160, 160, 3), np.uint8)
    crops[:, :40, :40] = 20 * np.arange(1, 13)[:, None, None, None]
    crops[(status == LOST) | (status == PAD)] = 0
    clip = CroppedClip(crops, Seen(status, np.arange(12.0), np.ones((12, 4), np.int32), np.ones((12, 4), np.uint8)), {})
    return row_of("clip", clip)


def corner(crops):
    return crops[..., :40, :40, :].mean(axis=(-3, -2, -1)) / 255


def by_features() -> Detector:
    def head(inputs):
        return (inputs["features"][:, :, 0] * inputs["mask"]).mean(axis=1, keepdims=True)

    return Detector(
        BLIND, FeatureScorer(Engine(lambda crops, _: corner(crops)[:, None], 12), head, "corner"), None, None
    )


def by_crops() -> Detector:
    def network(inputs):
        return (corner(inputs["crops"]) * inputs["mask"]).mean(axis=1, keepdims=True)

    return Detector(BLIND, CropScorer(network), None, None)


@pytest.mark.parametrize("detector", [by_features(), by_crops()])
def test_the_frame_and_the_region_that_count_are_found_around_a_lost_frame(detector):
    found = find_evidence(detector, row([FACE, LOST, FACE, FACE]))
    assert found.frames.shape == (4,)
    assert found.regions.shape == (4, GRID, GRID)
    assert found.frames[1] == 0
    assert not found.regions[1].any()
    assert 0 < found.frames[0] < found.frames[2] < found.frames[3]
    for regions in found.regions[[0, 2, 3]]:
        assert np.unravel_index(regions.argmax(), regions.shape) == (0, 0)
        assert np.abs(regions.ravel()[1:]).max() < 1e-3


def test_without_lost_frames_nothing_is_left_out():
    whole, other = (find_evidence(by_features(), row([FACE] * 12)) for _ in range(2))
    assert whole.frames.all()
    np.testing.assert_array_equal(whole.regions, other.regions)


def test_a_clip_of_one_frame_has_evidence():
    single = find_evidence(by_crops(), replace(row([FACE])))
    assert single.frames.shape == (1,)
    assert single.frames[0] > 0
