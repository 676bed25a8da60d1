"""A folder of numbered pictures gives the frames, times and crops that its video gives."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from base.errors import UserError
from cache.profile import CropProfile
from cache.schema import FRAMES
from extract.clips.crops import crop_clip, crop_in_pieces
from extract.file_content import checksum_of
from extract.video.containers import ClipError, Limits
from extract.video.decode import play, sample_frames
from extract.video.numbered import number_of, require_rate
from tests.clips import counting_images, write_clip

BLIND = CropProfile(detector="none", margin=0.0)
COUNT = 61


def write_frames(folder: Path, images, start: int = 0, step: int = 1, name: str = "{:03}.png") -> Path:
    folder.mkdir(parents=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / name.format(start + number * step))
    return folder


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    write_clip(path, counting_images(COUNT))
    return path


@pytest.fixture
def frames(video, tmp_path) -> Path:
    return write_frames(tmp_path / "clip", (image() for _, image in play(video)))


def numbers_of(folder: Path, **settings) -> list[int]:
    """The numbers of the sampled pictures, each of which shows its own number as a shade of grey."""
    return [int(image[0, 0, 0]) for image in sample_frames(folder, **settings).images]


def shades(folder: Path, numbers, name: str = "{:03}.png") -> Path:
    folder.mkdir(parents=True)
    for number in numbers:
        Image.fromarray(np.full((4, 4, 3), number % 256, np.uint8)).save(folder / name.format(number))
    return folder


@pytest.mark.parametrize("sampling", ["uniform", "first"])
def test_frames_and_crops_are_those_of_the_video(video, frames, sampling):
    expected, found = (sample_frames(path, sampling, fps=25) for path in (video, frames))
    assert len(found.images) == FRAMES
    for one, other in zip(expected.images, found.images, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(found.times, expected.times, atol=1e-6)
    profile = replace(BLIND, sampling=sampling)
    one, other = crop_clip(video, profile), crop_clip(frames, profile)
    assert one.crops.tobytes() == other.crops.tobytes()
    np.testing.assert_array_equal(one.seen.boxes, other.seen.boxes)


def test_numbers_are_times_from_the_first_at_the_rate_that_is_told(tmp_path):
    folder = shades(tmp_path / "clip", range(100, 200, 2))
    assert numbers_of(folder) == [104, 112, 120, 128, 136, 144, 154, 162, 170, 178, 186, 194]
    times = sample_frames(folder, fps=50).times
    np.testing.assert_allclose(times[:2], [4 / 50, 12 / 50])
    np.testing.assert_allclose(sample_frames(folder).times, np.array(times) * 2)


def test_the_picture_before_a_gap_is_shown_until_its_end(tmp_path):
    folder = shades(tmp_path / "clip", [*range(10), *range(110, 120)])
    assert numbers_of(folder) == [5, *[9] * 10, 115]


def test_padding_case_and_prefix_of_a_name_make_no_difference(tmp_path):
    for place, name in enumerate(("{}.png", "{:06}.PNG", "frame_{:02}.jpg", "Frames-{}.webp", "frame {}.jpeg")):
        times = sample_frames(shades(tmp_path / str(place), range(24), name)).times
        np.testing.assert_allclose(np.array(times) * 25, range(1, 24, 2))
    assert [number_of(name) for name in ("007.png", "frame7.jpg", "IMG_0007.jpg", "7.txt", "x.png", "7")] == [
        7, 7, None, None, None, None,
    ]  # fmt: skip


def test_a_picture_that_cannot_be_read_is_a_gap(tmp_path):
    folder = shades(tmp_path / "clip", range(24))
    (folder / "001.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (folder / "023.png").unlink()
    (folder / "023.png").symlink_to(folder / "nowhere.png")
    assert numbers_of(folder) == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22]
    assert sample_frames(folder).times[-1] == pytest.approx(22 / 25)


@pytest.mark.parametrize(
    ("names", "outcome", "reason"),
    [
        ([], "missing", "clip is a folder without numbered pictures"),
        (["cover.png"], "missing", "without numbered pictures"),
        (["1.png", "001.jpg"], "ambiguous", "clip has number 1 twice, 001.jpg and 1.png"),
        (["1.png", "2.png"], "no_frames", "none of the 2 pictures in clip can be read: 1.png has no bytes"),
        (["1.png", "2000000.png"], "too_long", "over more than 1000000 frames"),
    ],
)
def test_a_folder_that_is_no_clip_is_named(tmp_path, names, outcome, reason):
    folder = tmp_path / "clip"
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    with pytest.raises(ClipError) as error:
        sample_frames(folder)
    assert error.value.outcome == outcome
    assert reason in error.value.reason


def test_large_pictures_cost_a_clip_its_row(tmp_path):
    folder = shades(tmp_path / "clip", range(3))
    with pytest.raises(ClipError, match="over 10 pixels"):
        sample_frames(folder, limits=Limits(pixels=10))


def test_windows_of_a_folder_are_those_of_its_video(video, frames):
    pieces = [list(crop_in_pieces(path, BLIND, window=1.0, fps=25)) for path in (video, frames)]
    for one, other in zip(*pieces, strict=True):
        assert one.span == (other.span and pytest.approx(other.span))
        np.testing.assert_array_equal(one.crops.crops, other.crops.crops)


def test_a_folders_checksum_changes_with_what_is_seen_of_it(tmp_path):
    folder = shades(tmp_path / "clip", range(60))
    before = checksum_of(folder, 25)
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    assert checksum_of(copy, 25) == before
    assert checksum_of(folder, 30) != before
    content = bytearray((copy / "011.png").read_bytes())  # one of the first twelve
    content[-20] ^= 1
    (copy / "011.png").write_bytes(content)
    assert checksum_of(copy, 25) != before
    (folder / "059.png").rename(folder / "060.png")
    assert checksum_of(folder, 25) != before


@pytest.mark.parametrize("margin", [0.0, 0.3])
def test_faces_that_were_cut_out_keep_their_size(tmp_path, margin):
    faces = np.random.default_rng(0).integers(0, 256, (FRAMES, 160, 160, 3), np.uint8)
    clip = crop_clip(write_frames(tmp_path / "clip", faces), replace(BLIND, margin=margin))
    np.testing.assert_array_equal(clip.crops, faces)
    assert clip.seen.boxes.tolist() == [[0, 0, 160, 160]] * FRAMES


def test_a_rate_that_is_none_is_refused():
    require_rate(23.976)
    for rate in (0, -1, float("nan"), 1e6):
        with pytest.raises(UserError, match="no rate of frames"):
            require_rate(rate)
