"""A clip cut further: several people, and the windows of a long clip, by the one path that crops go through."""

import cv2
import numpy as np
import pytest

from cache.profile import CropProfile
from cache.schema import FRAMES, FrameStatus
from extract.clips import crops as clip_module
from extract.clips.crops import LeftOut, crop_clip, crop_in_pieces
from extract.clips.face_detectors import face_detector_hash
from extract.drawn.clip import FRAME_HEIGHT, FRAME_WIDTH, Capture, Scene, draw_clip, draw_empty_clip, draw_frames
from extract.drawn.look import make_look
from extract.video.containers import ClipError
from extract.video.decode import sample_windows
from tests.clips import HARD_CLIPS, counting_images, read_number, write_clip

PROFILE = CropProfile(detector_file=face_detector_hash("yunet"))
BLIND = CropProfile(detector="none", detector_file=face_detector_hash("none", None))


def numbers(frames) -> list[int]:
    return [read_number(image) for image in frames.images]


def crops_of_people(path, faces: int):
    return [piece.crops for piece in crop_in_pieces(path, PROFILE, faces=faces)]


def test_windows_cover_the_clip_and_each_is_sampled_as_a_clip(tmp_path):
    path = write_clip(tmp_path / "long.mp4", counting_images(240), rate=25)  # 9.6 s
    spans, windows = zip(*sample_windows(path, 4.8), strict=True)
    assert spans == ((0, 4.8), (2.4, pytest.approx(7.2)), (4.8, 9.6))
    assert [numbers(frames)[0] for frames in windows] == [5, 65, 125]
    for start, frames in zip((0, 60, 120), windows, strict=True):
        assert numbers(frames) == [start + 5 + 10 * k for k in range(FRAMES)]
        assert frames.times == pytest.approx([(start + 5 + 10 * k) / 25 for k in range(FRAMES)])


def test_a_clip_no_longer_than_a_window_has_none(tmp_path):
    path = write_clip(tmp_path / "short.mp4", counting_images(50))
    assert list(sample_windows(path, 2.0)) == []
    assert list(sample_windows(path, 100.0)) == []


@pytest.mark.parametrize(("codec", "suffix"), [("mpeg4", ".avi"), ("libx264", ".mkv"), ("mjpeg", ".avi")])
def test_windows_of_other_containers(tmp_path, codec, suffix):
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = write_clip(tmp_path / f"clip{suffix}", counting_images(100), codec, pixels)
    windows = [frames for _, frames in sample_windows(path, 2.0)]
    assert len(windows) == 3
    assert all(len(frames.images) == FRAMES for frames in windows)
    found = [number for frames in windows for number in numbers(frames)]
    assert found[0] == 2
    assert found[-1] == 97


def test_windows_of_what_is_no_clip_fail_like_the_clip(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(ClipError, match=r"text\.mp4"):
        list(sample_windows(tmp_path / "text.mp4", 2.0))
    with pytest.raises(ClipError, match=r"absent\.mp4"):
        list(sample_windows(tmp_path / "absent.mp4", 2.0))


def test_a_clip_torn_off_gives_the_windows_that_are_there(tmp_path):
    path = write_clip(tmp_path / "torn.ts", counting_images(200))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    windows = [frames for _, frames in sample_windows(path, 1.0)]
    assert windows
    assert all(frames.images for frames in windows)


def test_a_long_clip_is_handed_over_window_by_window(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", counting_images(250))
    pieces = crop_in_pieces(path, BLIND, window=0.02)  # every moment of the clip, one by one
    first = next(pieces)
    assert (first.span, first.is_last) == (None, False)
    rest = list(pieces)
    assert len(rest) > 400
    assert [piece.is_last for piece in rest] == [False] * (len(rest) - 1) + [True]


def test_the_first_piece_brings_the_frames_small_enough_to_be_shown(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", counting_images(100, (64, 96)))
    first, *rest = crop_in_pieces(path, BLIND, window=1.0, thumbnails=48)
    assert first.thumbnails is not None
    assert [picture.shape for picture in first.thumbnails.pictures] == [(32, 48, 3)] * 12
    assert first.thumbnails.scale == 0.5
    assert len(rest) > 2
    assert {piece.thumbnails for piece in rest} == {None}
    assert next(crop_in_pieces(path, BLIND)).thumbnails is None


def test_windows_of_which_nothing_can_be_decoded_are_left_out(tmp_path):
    path = write_clip(tmp_path / "hole.mp4", counting_images(200), options={"g": "1"})
    content = bytearray(path.read_bytes())
    start, end = content.index(b"mdat") + 4, content.index(b"moov") - 4
    size = end - start
    content[start + size // 4 : start + 3 * size // 4] = bytes(start + 3 * size // 4 - start - size // 4)
    path.write_bytes(content)
    windows = [frames for _, frames in sample_windows(path, 1.0)]
    assert 4 <= len(windows) < 12
    assert all(frames.images for frames in windows)
    assert any(piece.span for piece in crop_in_pieces(path, BLIND, window=1.0))


def test_windows_hold_no_more_frames_than_one_needs(tmp_path, monkeypatch):
    held, most = set(), 0

    class Counted(np.ndarray):
        def __del__(self):
            held.discard(id(self))

    upright = clip_module.sample_windows.__globals__["upright"]

    def counted(frame, aspect):
        nonlocal most
        image = upright(frame, aspect).view(Counted)
        held.add(id(image))
        most = max(most, len(held))
        return image

    monkeypatch.setattr("extract.video.decode.upright", counted)
    path = write_clip(tmp_path / "long.mp4", counting_images(250))
    for _ in sample_windows(path, 1.0):
        pass
    assert most <= 4 * FRAMES


@pytest.fixture(scope="module")
def two_people(tmp_path_factory):
    """A clip of two drawn people, the smaller one on the left."""
    images = []
    scenes = [draw_frames(Scene(make_look(0, number), (number,)), Capture(frames=40)) for number in (1, 2)]
    for small, large in zip(*scenes, strict=True):
        image = np.zeros((FRAME_HEIGHT, 2 * FRAME_WIDTH, 3), np.uint8)
        image[40:220, 60:300] = cv2.resize(small, (240, 180), interpolation=cv2.INTER_AREA)
        image[:, FRAME_WIDTH:] = large
        images.append(image)
    return write_clip(tmp_path_factory.mktemp("two") / "two.mp4", images)


def test_the_first_of_several_people_is_the_one_of_the_clip(two_people):
    alone, people = crop_clip(two_people, PROFILE), crops_of_people(two_people, faces=3)
    assert len(people) == 2
    large, small = people
    assert (large.crops == alone.crops).all()
    assert (large.seen.boxes == alone.seen.boxes).all()
    assert np.median(large.seen.boxes[:, 2]) > np.median(small.seen.boxes[:, 2])
    assert (large.seen.boxes[:, 0] > FRAME_WIDTH).all()
    assert (small.seen.boxes[:, 0] < FRAME_WIDTH).all()
    assert len(crops_of_people(two_people, faces=1)) == 1


def test_a_clip_of_one_person_has_one_however_many_are_asked_for(tmp_path):
    path = draw_clip(tmp_path / "one.mp4", Scene(make_look(0, 3), (3,)), Capture(frames=30))
    assert len(crops_of_people(path, faces=5)) == 1
    empty = draw_empty_clip(tmp_path / "empty.mp4")
    assert len(crops_of_people(empty, faces=5)) == 1


def test_everything_goes_through_one_function(tmp_path, monkeypatch):
    """Extraction, detection, windows and the stream: without `crop_people` none of them has a crop."""
    from detect.detector.judge import Detector
    from detect.detector.networks import CropScorer
    from detect.stream.recent_frames import RecentFrames

    path = write_clip(tmp_path / "clip.mp4", counting_images(60))
    recent = RecentFrames(
        Detector(BLIND, CropScorer(lambda inputs: np.ones((len(inputs["mask"]), 1))), None, None), "x", 0.5
    )
    routes = {
        "extraction": lambda: crop_clip(path, BLIND),
        "detection": lambda: list(crop_in_pieces(path, BLIND)),
        "windows": lambda: list(crop_in_pieces(path, BLIND, window=1.0)),
        "stream": lambda: recent.add(0.0, counting_images(1)[0]),
    }
    for route in routes.values():
        route()

    class Deleted(Exception):
        pass

    def deleted(*_):
        raise Deleted

    monkeypatch.setattr(clip_module, "crop_people", deleted)
    for name, route in routes.items():
        with pytest.raises(Deleted):
            pytest.fail(f"{name} has a path of its own: {route()}")


HARD = {
    "cut02.mp4": (["LLLLFFFFFFFF", "FFFF"], LeftOut(faces=1, people=2)),
    "cut42f.mp4": (["LLLLLFFFFFFF", "FFFFF"], LeftOut(faces=1, people=2)),
    "E_cat2.ts": (["FFFFFFFLLLLL", "FFFFF"], LeftOut(faces=1, people=2)),
    "L_jump.ts": (["FFFFFFFLLLLL", "FFFFF"], LeftOut(faces=1, people=2)),
    "sbs.mp4": (["F" * 12, "F" * 12], LeftOut(faces=1, people=2)),
    "trunc_fast.mp4": (["F" * 12], LeftOut(people=1, seconds=(0.9, 1.933))),
    "idle.mp4": (["F" * 12], LeftOut(people=1)),
}
"""What is seen of each person who is judged, and what is left out if only one is."""


@pytest.mark.skipif(not HARD_CLIPS.is_dir(), reason="the hard clips are not here")
@pytest.mark.parametrize("name", HARD)
def test_people_of_hard_clips_are_told_apart_and_named(name):
    people = crops_of_people(HARD_CLIPS / name, faces=2)
    shown = [person.seen.status[person.seen.status != FrameStatus.PAD] for person in people]
    assert ["".join(FrameStatus(code).name[0] for code in status) for status in shown] == HARD[name][0]
    assert crop_clip(HARD_CLIPS / name, PROFILE).left_out == HARD[name][1]
