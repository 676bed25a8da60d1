"""Pictures: read as one frame, upright and in 8 bits; what is damaged, too large or none at all is named."""

import struct
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from pillow_heif import register_heif_opener

from cache.profile import CropProfile
from cache.schema import FrameStatus
from extract.clips.crops import crop_frames, crop_in_pieces
from extract.clips.face_detectors import NoDetector
from extract.video import pictures
from extract.video.containers import ClipError
from extract.video.film import Frames
from extract.video.pictures import has_picture_name, is_picture, read_picture
from tests.clips import counting_images, write_clip
from tests.refused import as_somebody_else

SUFFIXES = ("png", "jpg", "webp")
BLIND = CropProfile(detector="none", detector_file="")


def corners() -> np.ndarray:
    """Four corners of four colours, 60 x 40: no way to turn it leaves it as it is."""
    image = np.zeros((40, 60, 3), np.uint8)
    image[:20, :30], image[:20, 30:], image[20:, :30], image[20:, 30:] = (250, 0, 0), (0, 250, 0), (0, 0, 250), 250
    return image


def written(folder: Path, suffix: str, picture: Image.Image | None = None, **options) -> Path:
    path = folder / f"picture.{suffix}"
    (picture or Image.fromarray(corners())).save(path, lossless=True, quality=100, **options)
    return path


def read(path: Path) -> np.ndarray:
    frames = read_picture(path)
    assert frames.times == [0.0]
    (image,) = frames.images
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    return image


def failure(path: Path) -> ClipError:
    with pytest.raises(ClipError) as caught:
        read_picture(path)
    return caught.value


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_picture_is_one_frame(tmp_path, suffix):
    image = read(written(tmp_path, suffix))
    assert (
        np.abs(image[[5, 5, 35, 35], [5, 55, 5, 55]].astype(int) - corners()[[5, 5, 35, 35], [5, 55, 5, 55]]).max() < 9
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("orientation", "turned"), [(6, 3), (3, 2), (8, 1), (2, None)])
def test_a_picture_is_turned_as_its_exif_data_says(tmp_path, suffix, orientation, turned):
    exif = Image.Exif()
    exif[0x112] = orientation
    expected = corners()[:, ::-1] if turned is None else np.rot90(corners(), turned)
    image = read(written(tmp_path, suffix, exif=exif))
    assert image.shape == expected.shape
    assert np.abs(image[5, 5].astype(int) - expected[5, 5]).max() < 9


def test_damaged_exif_data_turns_nothing(tmp_path):
    assert read(written(tmp_path, "jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")).shape == (40, 60, 3)


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGBA", (200, 100, 50, 0), (0, 0, 0)),
        ("RGBA", (200, 100, 50, 255), (200, 100, 50)),
        ("LA", (200, 128), (100, 100, 100)),
        ("L", 77, (77, 77, 77)),
        ("1", 1, (255, 255, 255)),
        ("I;16", 40000, (156, 156, 156)),
    ],
)
def test_transparent_is_black_and_grey_is_grey_in_8_bits(tmp_path, mode, colour, expected):
    assert read(written(tmp_path, "png", Image.new(mode, (8, 8), colour)))[0, 0].tolist() == list(expected)


def test_16_bits_a_channel_become_8(tmp_path):
    path = tmp_path / "deep.png"
    cv2.imwrite(str(path), np.full((8, 8, 3), (50 << 8, 100 << 8, 200 << 8), np.uint16))
    assert read(path)[0, 0].tolist() == [200, 100, 50]


def test_a_print_is_read_in_rgb(tmp_path):
    assert (
        np.abs(read(written(tmp_path, "jpg", Image.new("CMYK", (8, 8), (0, 255, 0, 0))))[0, 0] - (255, 0, 255)).max()
        < 3
    )


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of_size(path: Path, side: int, *more: bytes) -> Path:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes(100)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + body + chunk(b"IEND", b""))
    return path


def test_a_header_of_60000_x_60000_is_refused_before_any_pixel_is_decoded(tmp_path):
    error = failure(png_of_size(tmp_path / "bomb.png", 60_000))
    assert (error.outcome, error.reason) == ("too_large", "bomb.png is 60000x60000, over 64000000 pixels")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.6, 0.99])
def test_a_picture_that_breaks_off_is_named(tmp_path, suffix, share):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8))
    path = written(tmp_path, suffix, noise)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert failure(path).outcome == "truncated"


@pytest.mark.parametrize(
    ("name", "content", "outcome"),
    [
        ("text.jpg", b"nothing of the kind", "not_a_picture"),
        ("phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "unreadable"),
        ("phone.avif", b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "unreadable"),
        ("empty.png", b"", "empty"),
        ("start.png", b"\x89PNG\r\n\x1a\n" + bytes(40), "unreadable"),
        ("start.jpg", b"\xff\xd8\xff" + bytes(40), "unreadable"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path, name, content, outcome):
    (tmp_path / name).write_bytes(content)
    error = failure(tmp_path / name)
    assert error.outcome == outcome
    assert error.reason.startswith(name)


def test_a_text_that_unpacks_to_200_mb_is_not_unpacked(tmp_path):
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(200_000_000)))
    assert failure(png_of_size(tmp_path / "bomb.png", 1, text)).outcome == "unreadable"


@pytest.mark.parametrize(("suffix", "shape"), [("avif", (64, 32, 3)), ("heic", (32, 64, 3))])
def test_pictures_of_phones_are_read(tmp_path, suffix, shape):
    """A HEIC file is turned by its container, and not, as the standard says, by what EXIF repeats of that."""
    register_heif_opener()
    image = Image.new("RGB", (64, 32), "blue")
    image.paste("red", (0, 0, 32, 32))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn by 90 degrees
    path = tmp_path / f"IMG_0001.{suffix}"
    image.save(path, exif=exif, quality=95)
    found = read_picture(path).images[0]
    assert found.shape == shape
    np.testing.assert_allclose(found[5, 16], [254, 0, 0], atol=12)
    np.testing.assert_allclose(found[-5, -5], [0, 0, 254], atol=12)
    assert is_picture(path)
    assert has_picture_name(path)


def test_without_the_extra_a_heic_picture_names_it(tmp_path, monkeypatch):
    register_heif_opener()
    Image.new("RGB", (64, 32)).save(tmp_path / "a.heic")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    pictures._reads_heic.cache_clear()
    error = failure(tmp_path / "a.heic")
    assert error.reason == (
        "a.heic is a HEIC picture, and the extra heic is not installed; pip install pillow-heif, or save it as PNG, "
        "JPEG or WebP"
    )
    monkeypatch.undo()
    pictures._reads_heic.cache_clear()
    assert read_picture(tmp_path / "a.heic").images[0].shape == (32, 64, 3)


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_an_animation_is_no_still(tmp_path, suffix):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    path = tmp_path / f"moving.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
    assert failure(path).outcome == "animated"


def test_what_is_a_picture_is_told_by_its_content_then_by_its_name(tmp_path):
    other = tmp_path / "picture"
    written(tmp_path, "png").rename(other)
    assert is_picture(other)
    (tmp_path / "text.JPG").write_text("text")
    (tmp_path / "clip.mp4").write_bytes(b"\0\0\0\x18ftypisom")
    assert is_picture(tmp_path / "text.JPG")
    assert not is_picture(tmp_path / "clip.mp4")
    assert not is_picture(tmp_path / "absent.jpg")
    assert [has_picture_name(tmp_path / name) for name in ("a.JPEG", ".a.jpg", "a.mp4")] == [True, False, False]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_its_crops_are_those_of_a_clip_of_one_such_frame(tmp_path, suffix):
    path = written(tmp_path, suffix)
    (found,) = crop_in_pieces(path, BLIND, faces=2, window=1.0)
    assert (found.span, found.is_last) == (None, True)
    person = found.crops
    expected = crop_frames(Frames([read(path)], [0.0]), NoDetector(), BLIND.margin)
    assert (person.crops == expected.crops).all()
    assert person.seen.status.tolist() == [FrameStatus.FACE] + [FrameStatus.PAD] * 11


def test_a_clip_that_may_not_be_read_is_named_by_the_decoder(tmp_path):
    """Asking first whether it is a picture ends nothing."""
    clip = write_clip(tmp_path / "clip.mp4", counting_images(3))
    clip.chmod(0)
    with as_somebody_else():
        assert not is_picture(clip)
        with pytest.raises(ClipError, match="Permission denied"):
            list(crop_in_pieces(clip, BLIND))
