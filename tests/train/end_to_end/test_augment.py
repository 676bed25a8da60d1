"""Augmentation: one change for all frames of a clip, repeatable, and nothing where there is no frame."""

from dataclasses import replace

import numpy as np
import pytest

from cache.schema import FRAMES
from tests.crops import draw_crops, mask_with
from train.end_to_end.augment import Augmentation, augment, clip_random

NOTHING = Augmentation(flip=0, brightness=0, contrast=0, compress=0, blur=0)
ALL = mask_with(FRAMES)
REGIONS = np.tile(np.array([20, 30, 110, 150], np.uint8), (FRAMES, 1))


def augmented(crops: np.ndarray, mask: np.ndarray, how: Augmentation, random: np.random.Generator) -> np.ndarray:
    return augment(crops, REGIONS * mask[:, None], mask, how, random)[0]


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    return draw_crops(np.random.default_rng(0), label=1)


def test_the_same_draw_gives_the_same_crops_and_others_do_not(crops):
    first, again = (augmented(crops, ALL, Augmentation(), clip_random(0, 1, 2)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    for numbers in ((1, 1, 2), (0, 2, 2), (0, 1, 3)):
        assert (augmented(crops, ALL, Augmentation(), clip_random(*numbers)) != first).any()


def test_the_first_clip_is_not_drawn_from_the_numbers_of_the_order():
    assert clip_random(3, 4, 0).random() != np.random.default_rng([3, 4]).random()


@pytest.mark.parametrize("seed", range(8))
def test_all_frames_are_changed_alike(crops, seed):
    same = np.repeat(crops[:1], FRAMES, axis=0)
    changed = augmented(same, ALL, Augmentation(compress=1, blur=1), clip_random(seed, 0, 0))
    np.testing.assert_array_equal(changed, np.repeat(changed[:1], FRAMES, axis=0))


def test_padding_stays_zero(crops):
    bright = Augmentation(brightness=0.9, contrast=0.9, compress=1)
    changed = [augmented(crops, mask_with(5), bright, clip_random(seed, 0, 0)) for seed in range(4)]
    assert not np.stack(changed)[:, 5:].any()
    assert all(clip[:5].any() for clip in changed)


def test_nothing_changes_nothing_and_shares_no_memory(crops):
    out = augmented(crops, ALL, NOTHING, clip_random(0, 0, 0))
    np.testing.assert_array_equal(out, crops)
    assert not np.shares_memory(out, crops)


def test_each_change_is_what_it_is_called(crops):
    def only(**changes: float) -> np.ndarray:
        return augmented(crops, ALL, Augmentation(**{**vars(NOTHING), **changes}), clip_random(0, 0, 0))

    np.testing.assert_array_equal(only(flip=1), crops[:, :, ::-1])
    steps = np.unique(only(brightness=0.2).astype(int) - crops)
    assert len(steps) == 1
    assert 0 < abs(steps[0]) <= 51
    contrast = only(contrast=0.3).astype(float)
    assert contrast.std() != pytest.approx(crops.std(), rel=0.01)
    # Compressed in the right order of channels, each stays near what it was.
    assert np.abs(only(compress=1).astype(float) - crops).mean() < 8
    rough, smooth = (np.abs(np.diff(clip.astype(int), axis=1)).mean() for clip in (crops, only(blur=1)))
    assert smooth < rough


def test_chances_are_kept():
    crops = np.zeros((FRAMES, 160, 160, 3), np.uint8)
    crops[:, :, :80] = 100
    flipped = [augmented(crops, mask_with(1), Augmentation(blur=0, compress=0, brightness=0, contrast=0),
                       clip_random(0, epoch, 0))[0, 0, 0, 0] == 0 for epoch in range(200)]  # fmt: skip
    assert 70 < sum(flipped) < 130


def test_a_flip_takes_the_face_along():
    mask = mask_with(5)
    crops = np.zeros((FRAMES, 160, 160, 3), np.uint8)
    crops[:5, 30:150, 20:110] = 200
    for how in (NOTHING, replace(NOTHING, flip=1)):
        out, regions = augment(crops, REGIONS * mask[:, None], mask, how, clip_random(0, 0, 0))
        assert regions.dtype == np.uint8
        assert not regions[5:].any()
        for picture, (left, top, right, bottom) in zip(out[:5], regions[:5], strict=True):
            assert picture[top:bottom, left:right].min() == 200
            assert picture.sum() == picture[top:bottom, left:right].sum()
