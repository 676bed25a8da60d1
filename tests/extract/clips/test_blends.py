"""Blended clips: the face changes and nothing else, softly, alike in all frames, and the same for the same seed."""

import cv2
import numpy as np
import pytest

from cache.schema import CROP_SIZE, FRAMES
from extract.clips.blends import OUTLINE, blend, blend_random

ALL = np.ones(FRAMES, bool)
REGIONS = np.tile(np.array([40, 30, 120, 140], np.uint8), (FRAMES, 1))
SEEDS = range(12)


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    """One still picture, twelve times: smooth, coloured, with some fine texture."""
    random = np.random.default_rng(0)
    image = cv2.resize(random.uniform(60, 190, (9, 9, 3)).astype(np.float32), (CROP_SIZE, CROP_SIZE))
    image += random.normal(0, 4, image.shape)
    return np.repeat(np.clip(image, 0, 255).astype(np.uint8)[None], FRAMES, axis=0)


@pytest.fixture(scope="module")
def blends(crops) -> list[np.ndarray]:
    return [blend(crops, ALL, REGIONS, blend_random(0, "a.mp4", number)) for number in SEEDS]


def change(blended: np.ndarray, crops: np.ndarray) -> np.ndarray:
    """By how many grey levels each pixel changed, float64 (12, 160, 160)."""
    return np.abs(blended.astype(float) - crops).mean(axis=3)


def test_the_same_seed_gives_the_same_blend_and_another_does_not(crops, blends):
    np.testing.assert_array_equal(blend(crops, ALL, REGIONS, blend_random(0, "a.mp4", 0)), blends[0])
    for numbers in ((1, "a.mp4", 0), (0, "b.mp4", 0), (0, "a.mp4", 1)):
        assert (blend(crops, ALL, REGIONS, blend_random(*numbers)) != blends[0]).any()
    assert blends[0].dtype == np.uint8
    assert blends[0].shape == crops.shape


def test_the_face_changes_and_what_is_around_it_stays(crops, blends):
    for blended in blends:
        changes = change(blended, crops)
        assert changes[:, 60:115, 65:95].mean() > 0.7
        assert changes[:, :15].max() == changes[:, :, :15].max() == changes[:, :, -15:].max() == 0
    strong = [change(blended, crops)[:, 60:115, 65:95].mean() for blended in blends]
    assert np.median(strong) > 2
    assert max(strong) < 40


def test_the_face_is_where_its_region_is(crops):
    left = np.tile(np.array([0, 40, 70, 120], np.uint8), (FRAMES, 1))
    changes = [change(blend(crops, ALL, left, blend_random(0, "a", number)), crops).mean(axis=0) for number in SEEDS]
    columns = np.mean(changes, axis=(0, 1))
    assert columns[20:50].min() > 5 * max(columns[90:].max(), 1e-9)


def test_the_edge_is_soft(crops):
    """Nowhere does the change rise from nothing to half of its most from one pixel to the next."""
    flat = np.full_like(crops, 128)
    for number in SEEDS:
        changes = change(blend(flat, ALL, REGIONS, blend_random(0, "a.mp4", number)), flat)[0]
        steps = max(np.abs(np.diff(changes, axis=axis)).max() for axis in (0, 1))
        assert steps <= max(0.5 * changes.max(), 1), number


def test_frames_are_treated_alike_but_for_a_little_jitter(crops, blends):
    apart = np.array([change(blended, crops).mean() for blended in blends])
    within = np.array([np.abs(np.diff(blended.astype(float), axis=0)).mean() for blended in blends])
    assert (within > 0).all()
    assert np.median(within / apart) < 0.5


def test_padding_stays_zero_and_does_not_change_the_other_frames(crops, blends):
    mask = np.arange(FRAMES) < 5
    short = blend(crops * mask[:, None, None, None], mask, REGIONS, blend_random(0, "a.mp4", 0))
    assert not short[5:].any()
    np.testing.assert_array_equal(short[:5], blends[0][:5])


def test_a_region_at_the_edge_and_one_of_no_size_are_no_error(crops):
    for corners in ((0, 0, 160, 160), (150, 0, 160, 9), (80, 80, 80, 80)):
        regions = np.tile(np.array(corners, np.uint8), (FRAMES, 1))
        assert blend(crops, ALL, regions, blend_random(0, "a", 0)).shape == crops.shape


def test_the_mean_outline_is_convex_from_chin_to_forehead():
    assert (np.diff(OUTLINE[:, 1]) < 0).all()
    points = (np.concatenate([OUTLINE, OUTLINE[::-1] * (-1, 1)]) * 100).astype(np.int32)
    assert cv2.isContourConvex(cv2.convexHull(points))
    assert cv2.contourArea(points) > 0.97 * cv2.contourArea(cv2.convexHull(points))
