"""Track and crop: one face followed through the clip, a square around it, and nothing lost when there is none."""

import numpy as np
import pytest

from cache.schema import CROP_SIZE, FRAMES, FrameStatus, coverage_of, mask_of
from extract.clips.crops import crop_frames
from extract.clips.decode import Frames
from extract.clips.face_detectors import NoDetector
from extract.clips.tracks import best_chain, crop_along, cut, find_track, region_of, square_around

IMAGE = np.zeros((240, 320, 3), np.uint8)


def boxes(*found) -> np.ndarray:
    return np.array(found, np.int32).reshape(-1, 4)


class Script:
    """A detector that finds what it is told to: `anywhere` by frame, the others whatever the frame; it keeps count."""

    def __init__(self, anywhere, near=(), harder=()):
        self.anywhere, self.near, self.harder = anywhere, boxes(*near), boxes(*harder)
        self.asked = []

    def find(self, image):
        self.asked.append(("anywhere",))
        return self.anywhere[int(image[0, 0, 0])]

    def find_near(self, image, box):
        self.asked.append(("near", *box.tolist()))
        return self.near

    def find_harder(self, image, box):
        self.asked.append(("harder", *box.tolist()))
        return self.harder


def numbered(count: int) -> list[np.ndarray]:
    """Images that tell `Script` which frame they are."""
    return [np.full_like(IMAGE, number) for number in range(count)]


def test_the_largest_face_that_stays_wins_over_a_larger_one_seen_once():
    face, other, glitch = [100, 80, 60, 60], [20, 20, 40, 40], [200, 20, 110, 110]
    chain = best_chain([boxes(face, other), boxes(other, face, glitch), boxes(face), boxes(face, other)])
    assert np.array(chain).tolist() == [face] * 4


def test_a_false_positive_far_from_the_track_is_dropped():
    chain = best_chain([boxes([100, 80, 60, 60]), boxes([250, 180, 60, 60]), boxes([104, 80, 62, 62])])
    assert chain[1] is None
    assert np.array(chain[2]).tolist() == [104, 80, 62, 62]


def test_a_moving_face_is_followed():
    path = [boxes([20 + 40 * i, 80, 60, 60]) for i in range(5)]
    assert all(box is not None for box in best_chain(path))


def test_a_face_that_is_followed_is_not_searched_everywhere_again():
    detector = Script([boxes([100, 80, 60, 60])], near=[[104, 80, 60, 60]])
    track = find_track(numbered(4), detector)
    assert np.array(track)[:, 0].tolist() == [100, 104, 104, 104]
    assert [kind for kind, *_ in detector.asked] == ["anywhere", "near", "near", "near"]
    assert detector.asked[1] == ("near", 100, 80, 60, 60)


def test_a_lost_face_is_searched_everywhere_and_at_last_harder_near_the_track():
    found = [boxes([100, 80, 60, 60]), boxes(), boxes([110, 80, 60, 60])]
    detector = Script(found, harder=[[105, 80, 60, 60]])
    track = find_track(numbered(3), detector)
    assert [kind for kind, *_ in detector.asked] == ["anywhere", "near", "anywhere", "near", "anywhere", "harder"]
    assert detector.asked[-1] == ("harder", 100, 80, 60, 60)
    assert np.array(track)[:, 0].tolist() == [100, 105, 110]


def test_frames_without_a_detection_borrow_the_nearest_box():
    found = [boxes(), boxes([100, 80, 60, 60]), boxes(), boxes([110, 80, 60, 60]), boxes()]
    _, status, used, _ = crop_along(numbered(5), find_track(numbered(5), Script(found)), 0.3)
    assert status == [FrameStatus(code) for code in (2, 1, 2, 1, 2)]
    assert [int(box[0]) for box in used] == [100, 100, 100, 110, 110]


def test_no_face_anywhere_gives_the_whole_frame():
    image = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    image[0, 0, 0] = 0
    crops, status, used, regions = crop_along([image] * 3, [None] * 3, 0.3)
    assert status == [FrameStatus.FULL_FRAME] * 3
    assert np.array(used).tolist() == [[0, 0, 0, 0]] * 3
    assert np.array(regions).tolist() == [[30, 30, 130, 130]] * 3
    np.testing.assert_array_equal(crops[0], cut(image, np.array([0, 0, 320, 240])))


@pytest.mark.parametrize(
    ("box", "margin", "expected"),
    [
        ([100, 80, 50, 50], 0.3, [85, 65, 80, 80]),
        ([100, 80, 50, 50], 0.0, [100, 80, 50, 50]),
        ([0, 0, 50, 50], 0.3, [0, 0, 80, 80]),
        ([280, 200, 50, 50], 0.3, [240, 160, 80, 80]),
        ([60, 10, 200, 220], 0.3, [40, 0, 240, 240]),
    ],
)
def test_the_crop_is_a_square_inside_the_frame(box, margin, expected):
    assert square_around(np.array(box), margin, 320, 240).tolist() == expected


def test_shrinking_averages_over_area():
    stripes = np.zeros((320, 320, 3), np.uint8)
    stripes[:, ::2] = 255
    crop = cut(stripes, np.array([0, 0, 320, 320]))
    assert crop.shape == (CROP_SIZE, CROP_SIZE, 3)
    assert set(np.unique(crop)) <= {127, 128}


def test_short_clips_are_padded_at_the_end_and_masked():
    found = crop_frames(Frames([IMAGE + 9] * 5, [0.0, 0.1, 0.2, 0.3, 0.4]), NoDetector(), 0.0)
    assert found.crops.shape == (FRAMES, CROP_SIZE, CROP_SIZE, 3)
    assert mask_of(found.status).tolist() == [True] * 5 + [False] * 7
    assert (found.crops[:5] == 9).all()
    assert not found.crops[5:].any()
    assert np.isnan(found.times[5:]).all()
    assert coverage_of(found.status) == 1.0


def test_coverage_is_the_share_of_frames_with_a_detected_face():
    status = np.array([[1, 2, 3, 3] + [0] * 8, [3] * 12, [0] * 12], np.uint8)
    assert coverage_of(status).tolist() == [0.25, 0.0, 0.0]


@pytest.mark.parametrize(
    ("box", "region"),
    [
        # In the middle of the frame: the box's longer side is 100 of 160.
        ([200, 200, 100, 100], [30, 30, 130, 130]),
        ([200, 200, 50, 100], [55, 30, 105, 130]),
        # At a corner the square was moved back inside, and the face lies at its edge.
        ([0, 400, 80, 80], [0, 60, 100, 160]),
        # The square shrank to the frame: more of it is face.
        ([100, 40, 400, 400], [13, 13, 147, 147]),
        # A face crop already: nobody knows where the face ends.
        ([0, 0, 480, 480], [30, 30, 130, 130]),
    ],
)
def test_a_region_is_the_box_in_pixels_of_its_crop(box, region):
    square = square_around(np.array(box), 0.3, 640, 480)
    found = region_of(np.array(box), square, 0.3)
    assert found.dtype == np.uint8
    assert found.tolist() == region


def test_a_region_marks_the_same_pixels_as_the_box():
    image = np.zeros((480, 640, 3), np.uint8)
    image[60:140, 500:590] = 255
    (crop,), _, _, (region,) = crop_along([image], [np.array([500, 60, 90, 80])], 0.3)
    bright = np.argwhere(crop[..., 0] > 127)
    left, top, right, bottom = region
    assert [left, top, right, bottom] == [*bright.min(axis=0)[::-1], *(bright.max(axis=0)[::-1] + 1)]
