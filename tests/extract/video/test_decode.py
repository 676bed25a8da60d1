"""Sampling and decoding: the right frames, exactly, from every kind of clip; a named failure from every broken one."""

from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from cache.profile import CropProfile
from cache.schema import coverage_of
from extract.clips.crops import crop_clip, crop_frames
from extract.clips.face_detectors import NoDetector
from extract.video.containers import ClipError, Limits
from extract.video.decode import play, sample_frames
from extract.video.display import one_size
from extract.video.film import Frames, choose
from tests.clips import HARD_CLIPS, counting_images, read_number, turn_display, write_clip, write_sound

GOPS = {
    "one group": {"g": "250"},
    "short groups with B-frames": {"g": "9", "bf": "3"},
    "open groups": {"g": "10", "bf": "3", "x264-params": "open-gop=1:scenecut=0"},
}


def numbers(frames) -> list[int]:
    return [read_number(image) for image in frames.images]


def test_uniform_takes_the_middles_of_twelve_equal_spans():
    assert choose(range(12), 12, "uniform") == list(range(12))
    assert choose(range(24), 24, "uniform") == list(range(1, 24, 2))
    assert choose(range(5), 5, "uniform") == [0, 1, 2, 3, 4]
    assert choose(range(100), 100, "first") == list(range(12))


def test_uniform_goes_by_time_and_not_by_frame_number():
    slow_then_fast = [0, 600, *range(1200, 1240)]
    chosen = [slow_then_fast[position] for position in choose(slow_then_fast, 1240, "uniform")]
    assert chosen[:6] == [0, 0, 0, 0, 0, 0]
    assert chosen[6:11] == [600] * 5


@pytest.mark.parametrize("options", GOPS.values(), ids=GOPS)
@pytest.mark.parametrize("sampling", ["uniform", "first"])
def test_the_frames_are_those_of_decoding_everything(tmp_path, options, sampling):
    noise = np.random.default_rng(0).integers(0, 60, (100, 64, 96, 3), np.uint8)
    images = [image // 2 + add for image, add in zip(counting_images(100), noise, strict=True)]
    path = write_clip(tmp_path / "clip.mp4", images, options=options)
    frames = sample_frames(path, sampling)
    with av.open(str(path)) as container:
        every = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    expected = choose(range(100), 100, sampling)
    assert len(every) == 100
    assert frames.times == pytest.approx([number / 25 for number in expected])
    for image, number in zip(frames.images, expected, strict=True):
        np.testing.assert_array_equal(image, every[number])


def test_a_variable_rate_is_sampled_by_its_timestamps(tmp_path):
    times = [*range(20), *range(20, 220, 10)]
    path = write_clip(tmp_path / "clip.mkv", counting_images(40), times=times)
    frames = sample_frames(path)
    for number, seconds in zip(numbers(frames), frames.times, strict=True):
        assert seconds == pytest.approx(times[number] / 25, abs=2e-3)
    # Ten of the twelve spans of 220 ticks lie in the slow part, frames 20 to 39.
    assert sum(number >= 19 for number in numbers(frames)) >= 10


@pytest.mark.parametrize("codec", ["mpeg4", "mjpeg", "libvpx-vp9", "libx265"])
def test_other_codecs_give_the_same_frames(tmp_path, codec):
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    path = write_clip(tmp_path / "clip.mkv", counting_images(36), codec, pixels, options=options)
    assert numbers(sample_frames(path)) == choose(range(36), 36, "uniform")


def test_ten_bits_and_grey_become_plain_rgb(tmp_path):
    for pixels, codec in (("yuv420p10le", "libx264"), ("gray", "libx264")):
        path = write_clip(tmp_path / f"{pixels}.mp4", counting_images(15), codec, pixels)
        frames = sample_frames(path)
        assert frames.images[0].dtype == np.uint8
        assert frames.images[0].shape == (64, 96, 3)
        assert numbers(frames)[-1] >= 13


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_display_rotation_is_honoured(tmp_path, turns):
    image = np.zeros((64, 96, 3), np.uint8)
    image[:20, :30] = 255  # a bright corner, top left
    path = turn_display(write_clip(tmp_path / "clip.mp4", [image] * 3), turns)
    shown = sample_frames(path).images[0]
    expected = np.rot90(image, -turns)
    assert shown.shape == expected.shape
    assert np.abs(shown.astype(int) - expected).mean() < 10


@pytest.mark.parametrize("count", [1, 2, 5, 11, 12, 13])
def test_short_clips_give_what_they_have(tmp_path, count):
    frames = sample_frames(write_clip(tmp_path / "clip.mp4", counting_images(count)))
    assert numbers(frames) == list(range(count))[:12] or count == 13
    assert len(frames.images) == len(frames.times) == min(count, 12)


def test_a_truncated_clip_gives_the_frames_that_are_left(tmp_path):
    path = write_clip(tmp_path / "clip.ts", counting_images(100), "mpeg4", options={"g": "10"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames = sample_frames(path)
    assert len(frames.images) == 12
    assert 30 < numbers(frames)[-1] < 60


def _text(path):
    path.write_text("this is no video\n" * 100)


def _empty(path):
    path.touch()


def _half(path):
    write_clip(path, counting_images(30))
    path.write_bytes(path.read_bytes()[:200])


BROKEN = {
    "text": (_text, "unreadable"),
    "zero bytes": (_empty, "empty"),
    "absent": (lambda path: None, "missing"),
    "sound only": (write_sound, "no_video"),
    "no index": (_half, "unreadable"),
}


@pytest.mark.parametrize(("make", "outcome"), BROKEN.values(), ids=BROKEN)
def test_what_is_no_clip_fails_by_name(tmp_path, make, outcome):
    path = tmp_path / "clip.mp4"
    make(path)
    with pytest.raises(ClipError) as caught:
        sample_frames(path)
    assert caught.value.outcome == outcome
    assert "clip.mp4" in caught.value.reason


def test_limits_on_pixels_and_frames_are_named(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", counting_images(30))
    with pytest.raises(ClipError, match="too_large"):
        sample_frames(path, limits=Limits(pixels=1000))
    with pytest.raises(ClipError, match="too_long"):
        sample_frames(path, limits=Limits(frames=20))


@pytest.mark.parametrize(
    ("matrix", "flip"), [((-1, 0, 0, 1), np.fliplr), ((1, 0, 0, -1), np.flipud), ((0, 1, 1, 0), None)]
)
def test_a_mirrored_display_is_honoured(tmp_path, matrix, flip):
    image = np.zeros((64, 96, 3), np.uint8)
    image[:20, :30] = 255
    path = turn_display(write_clip(tmp_path / "clip.mp4", [image] * 3), matrix=matrix)
    shown = sample_frames(path).images[0]
    expected = image.transpose(1, 0, 2) if flip is None else flip(image)
    assert shown.shape == expected.shape
    assert np.abs(shown.astype(int) - expected).mean() < 10


@pytest.mark.parametrize(("aspect", "shape"), [("2", (64, 192)), ("1/2", (128, 96)), ("100", (64, 96))])
def test_pixels_become_square_unless_their_shape_makes_no_sense(tmp_path, aspect, shape):
    path = write_clip(tmp_path / "clip.mkv", counting_images(5), aspect=Fraction(aspect))
    assert sample_frames(path).images[0].shape[:2] == shape
    assert next(play(path))[1]().shape[:2] == shape


def test_the_default_stream_is_shown_rather_than_a_preview(tmp_path):
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        streams: list[Any] = [container.add_stream("mjpeg", rate=25) for _ in range(2)]
        streams[0].disposition, streams[1].disposition = 0, av.stream.Disposition.default
        for stream, size in zip(streams, ((16, 16), (96, 64)), strict=True):
            stream.width, stream.height, stream.pix_fmt = *size, "yuvj420p"
        for stream in streams:
            image = np.zeros((stream.height, stream.width, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
    assert sample_frames(path).images[0].shape == (64, 96, 3)


def test_frames_of_several_sizes_are_shown_in_one():
    images = [np.full((60, 80, 3), 9, np.uint8), np.full((120, 160, 3), 9, np.uint8)]
    assert [image.shape for image in one_size(images)] == [(120, 160, 3)] * 2
    clip = crop_frames(Frames(images, [0.0, 1.0]), NoDetector(), 0.0)
    assert clip.seen.boxes[:2].tolist() == [[0, 0, 160, 120]] * 2


@pytest.mark.skipif(not HARD_CLIPS.is_dir(), reason="the hard clips are not here")
@pytest.mark.parametrize("name", ["D_hflip.mp4", "f_rot90.mp4", "J_sar.mp4", "F_webrtc_up.webm", "G_preview_first.mp4"])
def test_faces_are_found_in_clips_that_a_player_has_to_put_right(name):
    assert coverage_of(crop_clip(HARD_CLIPS / name, CropProfile()).seen.status) == 1.0
