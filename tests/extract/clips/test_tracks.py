"""Track and crop: people are followed through pans, past trucks and each other, but not across cuts."""

from functools import cache

import cv2
import numpy as np
import pytest

from cache.schema import CROP_SIZE, FRAMES, FrameStatus, coverage_of, mask_of
from extract.clips.chains import LONGEST_STEP
from extract.clips.crops import crop_frames
from extract.clips.face_detectors import NoDetector
from extract.clips.tracks import crop_along, cut, find_people, region_of, square_around
from extract.clips.yunet import YuNetDetector
from extract.drawn.clip import Actor, Capture, Scene, draw_frames
from extract.drawn.look import make_look
from extract.video.film import Frames

IMAGE = np.zeros((240, 320, 3), np.uint8)


def boxes(*found) -> np.ndarray:
    return np.array(found, np.int32).reshape(-1, 4)


class Script:
    """A detector that finds the boxes it was given: `found` by frame, `harder` in every frame; it keeps count."""

    def __init__(self, found, harder=()):
        self.found, self.harder = found, boxes(*harder)
        self.asked = []

    def find(self, image):
        self.asked.append(("find",))
        return self.found[int(image[0, 0, 0])]

    def find_harder(self, image, box):
        self.asked.append(("harder", *(() if box is None else box.tolist())))
        return self.harder


def numbered(count: int) -> list[np.ndarray]:
    """Images that tell `Script` which frame they are; what is in their boxes changes all the time."""
    images = []
    for number in range(count):
        images.append(np.full_like(IMAGE, 100 + 4 * (number % 3)))
        images[-1][0, 0, 0] = number
    return images


def find_tracks(images, detector, most=1):
    """Returns the tracks of those who are judged."""
    return [person.track for person in find_people(images, detector, most).judged]


def tracked(*found, **options):
    """Returns the track along boxes that are found in each frame."""
    return find_tracks(numbered(len(found)), Script([boxes(*some) for some in found], **options))[0]


def test_the_largest_face_that_stays_wins_over_a_larger_one_seen_once():
    face, other, glitch = [100, 80, 60, 60], [20, 20, 40, 40], [200, 20, 110, 110]
    track = tracked([face, other], [other, face, glitch], [face], [face, other])
    assert np.array(track).tolist() == [face] * 4


def test_a_false_positive_far_from_the_track_is_dropped():
    track = tracked([[60, 80, 30, 30]], [[250, 180, 30, 30]], [[64, 80, 32, 32]])
    assert track[1] is None
    assert np.array(track[2]).tolist() == [64, 80, 32, 32]


def test_a_lost_face_is_searched_harder_near_the_track():
    found = [boxes([100, 80, 60, 60]), boxes(), boxes([110, 80, 60, 60])]
    detector = Script(found, harder=[[105, 80, 60, 60]])
    (track,) = find_tracks(numbered(3), detector)
    assert detector.asked == [("find",)] * 3 + [("harder", 100, 80, 60, 60)]
    assert np.array(track)[:, 0].tolist() == [100, 105, 110]


def test_where_nobody_is_found_everything_is_searched_harder():
    detector = Script([boxes()] * 3, harder=[[105, 80, 60, 60]])
    (track,) = find_tracks(numbered(3), detector)
    assert detector.asked == [("find",)] * 3 + [("harder",)] * 3
    assert np.array(track).tolist() == [[105, 80, 60, 60]] * 3


def test_a_frame_borrows_the_box_of_its_neighbour_and_is_masked_where_that_has_none():
    found = [boxes(), boxes([100, 80, 60, 60]), boxes(), boxes([110, 80, 60, 60]), boxes(), boxes(), boxes()]
    crops, status, used, _ = crop_along(numbered(7), find_tracks(numbered(7), Script(found))[0], 0.3)
    assert [FrameStatus(code).name[0] for code in status] == ["T", "F", "T", "F", "T", "L", "L"]
    assert [int(box[0]) for box in used] == [100, 100, 100, 110, 110, 0, 0]
    assert mask_of(np.array(status)).tolist() == [True] * 5 + [False] * 2
    assert coverage_of(np.array(status)) == pytest.approx(2 / 7)
    assert crops[4].any()
    assert not crops[5].any()


class WithTruck(YuNetDetector):
    """Takes a parked truck for a face, in every frame, at the place that the first pixel counts from `TRUCK`."""

    def find(self, image):
        left, *rest = TRUCK
        return np.concatenate([super().find(image), boxes([left + int(image[0, 0, 0]) - 100, *rest])])


TRUCK = [20, 20, 200, 200]


@cache
def person(number: int) -> list[np.ndarray]:
    """Returns twelve frames of a drawn person, 0.2 s apart; each number stands before another wall."""
    return list(draw_frames(Scene(make_look(0, number), (number,)), Capture(frames=60)))[::5]


def street(width: int) -> np.ndarray:
    """Returns a picture float32 (240, `width`, 3) in which a detector might see anything."""
    rng = np.random.default_rng(3)
    return cv2.resize(rng.uniform(40, 200, (12, width // 20, 3)).astype(np.float32), (width, 240))


@pytest.mark.parametrize("trembles", ["nothing", "camera", "box"])
def test_a_parked_truck_loses_against_a_smaller_person_who_moves(trembles):
    """The truck's box stays the same to the pixel; or it trembles, with the picture or without."""
    rng, images = np.random.default_rng(0), []
    for frame in person(1):
        image = street(640)
        image[:, 320:] = frame
        shift = 0 if trembles == "nothing" else int(rng.integers(-6, 7))
        image = np.roll(image, shift if trembles == "camera" else 0, axis=1)
        images.append(np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8))
        images[-1][0, 0] = 100 + shift
    (track,) = find_tracks(images, WithTruck())
    assert all(box is not None and box[0] > 310 for box in track)
    assert max(box[2] for box in track) < TRUCK[2]  # pyright: ignore[reportOptionalSubscript]


def test_a_truck_is_better_than_nothing():
    image = street(640).astype(np.uint8)
    image[0, 0] = 100
    assert np.array(find_tracks([image] * 12, WithTruck())[0]).tolist() == [TRUCK] * 12


def test_a_pan_is_followed():
    """The camera turns so fast that the face moves by 1.3 of its sides from one sample to the next."""
    wall, images, found = street(4800), [], []
    for number, frame in enumerate(person(2)):
        (box,) = YuNetDetector().find(frame)
        world = wall.copy()
        world[:, 2300:2620] = frame
        left = 250 + round(1.25 * 135 * number)
        images.append(world[:, left : left + 2400].astype(np.uint8))
        images[-1][0, 0] = number
        found.append(box + np.array([2300 - left, 0, 0, 0]))
    (track,) = find_tracks(images, Script([boxes(box) for box in found]))
    assert np.array(track).tolist() == np.array(found).tolist()
    steps = np.abs(np.diff(np.array(found)[:, 0])) / np.array(found)[1:, 2:].max(axis=1)
    assert 1.2 < np.median(steps) < LONGEST_STEP


@pytest.mark.parametrize(("one", "other"), [(1, 2), (0, 5)])
def test_a_cut_to_another_person_is_not_crossed(one, other):
    """The second two look alike."""
    images = person(one)[:5] + person(other)[5:]
    (track,) = find_tracks(images, YuNetDetector())
    _, status, _, _ = crop_along(images, track, 0.3)
    assert status == [FrameStatus.LOST] * 5 + [FrameStatus.FACE] * 7


@cache
def in_one_room(number: int) -> list[np.ndarray]:
    """Returns twelve frames of a drawn person; all numbers stand before the same wall and move alike."""
    return list(draw_frames(Scene(make_look(0, number), (3,)), Capture(frames=24)))[::2]


def statuses(images: list[np.ndarray], most: int = 1) -> list[str]:
    """Returns what the frames show of each person who is judged, a letter for each frame."""
    people = find_people(images, YuNetDetector(), most).judged
    clips = [[[images[i] for i in person.frames], [person.track[i] for i in person.frames], 0.3] for person in people]
    return ["".join(FrameStatus(code).name[0] for code in crop_along(*clip)[1]) for clip in clips]


@pytest.mark.parametrize(("one", "other"), [(0, 1), (3, 1), (4, 3)])
def test_two_people_in_one_room_are_two(one, other):
    images = in_one_room(one)[:5] + in_one_room(other)[5:]
    assert statuses(images) == ["LLLLLFFFFFFF"]
    assert statuses(images, most=2) == ["LLLLLFFFFFFF", "FFFFF"]


@pytest.mark.parametrize("number", [0, 3])
@pytest.mark.parametrize(("gamma", "gains"), [(0.8, (1.1, 1.0, 0.9)), (1.0, (0.8, 0.8, 0.8))])
def test_the_same_person_after_a_jump_cut_is_one(number, gamma, gains):
    """The light changes so much that every colour does."""
    before, after = in_one_room(number)[:5], in_one_room(number)[5:]
    lit = [np.clip(255 * (image / 255) ** gamma * np.array(gains), 0, 255).astype(np.uint8) for image in after]
    assert statuses(before + lit) == ["FFFFFFFFFFFF"]


def test_a_cut_blocks_chains_that_leave_a_frame_out():
    """Between two faces of nearly the same colours, in frames of the same colours, lies one of something else."""
    images, rows = [np.full_like(IMAGE, 60) for _ in range(3)], np.arange(60)
    images[1][:] = 250
    images[0][80:140, 100:160] = np.where(rows % 8 < 4, 100, 180)[:, None, None]
    images[2][80:140, 100:160] = np.where(rows % 12 < 2, 100, 180)[None, :, None]
    for number, image in enumerate(images):
        image[0, 0, 0] = number
    detector = Script([boxes([100, 80, 60, 60]), boxes(), boxes([100, 80, 60, 60])])
    assert sum(box is not None for box in find_tracks(images, detector)[0]) == 1
    images[2][80:140, 100:160] = images[0][80:140, 100:160]
    assert [box is None for box in find_tracks(images, detector)[0]] == [False, True, False]


def test_who_is_not_judged_is_counted():
    """Beside the main face: one in all frames, one in four of twelve, and a hand taken for a face once."""
    images, found = numbered(12), []
    for number in range(12):
        found.append(boxes([100, 80, 90, 90], [20, 20, 40, 40]))
        if number in (3, 4, 5, 6):
            found[-1] = np.concatenate([found[-1], boxes([250, 30, 40, 40])])
        if number == 9:
            found[-1] = np.concatenate([found[-1], boxes([200, 190, 40, 40])])
    people = find_people(images, Script(found))
    assert (len(people.judged), people.more, people.brief) == (1, 1, 1)
    people = find_people(images, Script(found), most=3)
    assert (len(people.judged), people.more, people.brief) == (2, 0, 1)


def test_two_people_who_cross_keep_their_own_tracks():
    time = np.arange(12) / 2.5
    actors = [Actor(make_look(0, k), None, np.random.default_rng(k), time) for k in (0, 4)]
    for actor, path in zip(actors, (np.linspace(60, 580, 12), np.linspace(580, 60, 12)), strict=True):
        actor._sway = np.stack([path / 2, np.full(12, 110.0)], 1)
        actor._size = np.full(12, 0.45)
    images = []
    for number in range(12):
        image = street(320)
        for actor in actors:
            image = actor.enter(image, number)
        images.append(np.clip(image, 0, 255).astype(np.uint8))
    tracks = find_tracks(images, YuNetDetector(), most=2)
    ways = [np.diff([box[0] + box[2] / 2 for box in track if box is not None]) for track in tracks]
    assert len(tracks) == 2
    assert sorted(np.sign(way.sum()) for way in ways) == [-1, 1]
    assert all((np.sign(way) == np.sign(way.sum())).all() for way in ways)
    assert all(len(way) >= 9 for way in ways)


def test_no_face_anywhere_gives_the_whole_frame():
    image = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    image[0, 0, 0] = 0
    crops, status, used, regions = crop_along([image] * 3, [None] * 3, 0.3)
    assert status == [FrameStatus.FULL_FRAME] * 3
    assert np.array(used).tolist() == [[0, 0, 0, 0]] * 3
    assert np.array(regions).tolist() == [[30, 30, 130, 130]] * 3
    np.testing.assert_array_equal(crops[0], cut(image, np.array([0, 0, 320, 240])))


def test_face_crops_are_followed_across_anything():
    """Without a detector every frame is a face, whatever it shows."""
    images = [*np.random.default_rng(0).integers(0, 256, (3, 40, 60, 3), np.uint8), np.zeros((40, 60, 3), np.uint8)]
    assert np.array(find_tracks(images, NoDetector())[0]).tolist() == [[0, 0, 60, 40]] * 4


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
    assert mask_of(found.seen.status).tolist() == [True] * 5 + [False] * 7
    assert (found.crops[:5] == 9).all()
    assert not found.crops[5:].any()
    assert np.isnan(found.seen.times[5:]).all()
    assert coverage_of(found.seen.status) == 1.0


def test_coverage_is_the_share_of_frames_with_a_detected_face():
    status = np.array([[1, 2, 4, 4] + [0] * 8, [3] * 12, [0] * 12], np.uint8)
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
