"""Pictures: a PNG, JPEG, WebP, AVIF or HEIC file is read as a clip of one frame, the last with the extra `heic`."""

import contextlib
import functools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError, features

from base.errors import Unreadable
from base.outside.content import NO_FILE, WrongContent, open_regular
from base.text import printable
from extract.video.containers import ClipError, Limits
from extract.video.film import Frames

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".avif", ".heic", ".heif", ".hif"})
BRANDS = {"AVIF": {b"avif", b"avis"}, "HEIF": {b"heic", b"heix", b"heim", b"heis", b"mif1"}}
"""What the pictures of phones say that they are, after `ftyp`: the format whose brand comes first."""
START = 32
"""Bytes that tell a picture's format."""
_LACKS = "and {} is not installed; pip install {}, or save it as PNG, JPEG or WebP"


def is_picture(path: Path) -> bool:
    """Tells whether the file is to be read as a picture: by its first bytes, else by its name."""
    start = _first_bytes(path)
    return bool(start) and (_format_of(start) != "" or path.suffix.lower() in PICTURE_SUFFIXES)


def has_picture_name(path: Path) -> bool:
    """Tells whether a folder's file is taken for a picture, as `extract.readers.dataset.is_video` does for videos."""
    return path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".") and not path.is_dir()


def _first_bytes(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            return file.read(START)
    except (*NO_FILE, WrongContent, Unreadable):  # the decoder says why
        return b""


def _format_of(start: bytes) -> str:
    """Returns the format of a picture with these first bytes, "" for what is none."""
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if start.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if (start[:4], start[8:12]) == (b"RIFF", b"WEBP"):
        return "WEBP"
    if start[4:8] != b"ftyp" or not any(start[8:12] in brands for brands in BRANDS.values()):
        return ""
    # `mif1` is any picture of this family; the brands behind it say which.
    said = [start[place : place + 4] for place in (8, *range(16, START, 4))]
    return next((name for name, brands in BRANDS.items() if (brands - {b"mif1"}) & {*said}), "HEIF")


def read_picture(path: Path, limits: Limits = Limits()) -> Frames:
    """Returns the picture at `path` as the one frame of a clip, uint8 RGB, upright as its EXIF data says.

    What is transparent becomes black, and 16 bits a channel become 8. Raises ClipError for what cannot be used.
    """
    name = printable(path.name)
    format = _check_start(path, name)
    with _failures_named(name), _open(path, format) as picture:
        width, height = picture.size
        if width * height > limits.pixels:
            raise ClipError("too_large", f"{name} is {width}x{height}, over {limits.pixels} pixels")
        if getattr(picture, "is_animated", False) and picture.format in ("PNG", "WEBP", "AVIF"):
            raise ClipError("animated", f"{name} is an animation; save it as a video to have its motion judged too")
        picture.load()
        _turn_upright(picture)
        return Frames([_as_rgb(picture)], [0.0])


def _check_start(path: Path, name: str) -> str:
    """Returns the picture's format by its first bytes; raises a ClipError for what these and its size exclude."""
    start = _first_bytes(path)
    format = _format_of(start)
    if not start:
        raise ClipError("empty", f"{name} has no bytes to read")
    if not format:
        raise ClipError("not_a_picture", f"{name} is not a picture that is read here; save it as PNG, JPEG or WebP")
    if format == "HEIF" and not _reads_heic():
        raise ClipError("not_a_picture", f"{name} is a HEIC picture, {_LACKS.format('the extra heic', 'pillow-heif')}")
    if format == "AVIF" and not features.check("avif"):
        raise ClipError("not_a_picture", f"{name} is an AVIF picture, {_LACKS.format('libavif', 'pillow')}")
    if format == "WEBP" and path.stat().st_size < int.from_bytes(start[4:8], "little"):
        raise ClipError("truncated", f"{name} breaks off before its end")
    return format


@functools.cache
def _reads_heic() -> bool:
    """Returns whether HEIC is read here; lets Pillow do so."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener(thumbnails=False)
    return True


@contextmanager
def _open(path: Path, format: str) -> Iterator[ImageFile.ImageFile]:
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None  # `limits` decides, before a pixel is decoded
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd EXIF data does no harm
            with Image.open(path, formats=[format]) as picture:
                yield picture
    finally:
        Image.MAX_IMAGE_PIXELS = before


@contextmanager
def _failures_named(name: str) -> Iterator[None]:
    """Turns whatever Pillow raises into a ClipError."""
    try:
        yield
    except ClipError:
        raise
    except UnidentifiedImageError:
        raise ClipError("unreadable", f"{name} cannot be decoded (its header is damaged)") from None
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - damaged data raises SyntaxError, struct.error, IndexError and others
        if "truncated" in str(error).lower():
            raise ClipError("truncated", f"{name} breaks off before its end") from None
        raise ClipError("unreadable", f"{name} cannot be decoded ({error})") from None


def _turn_upright(picture: Image.Image) -> None:
    # In place, as most pictures are upright already and a copy of each would take time for nothing.
    with contextlib.suppress(Exception):  # EXIF data that cannot be read turns nothing
        ImageOps.exif_transpose(picture, in_place=True)


def _as_rgb(picture: Image.Image) -> np.ndarray:
    if picture.mode.startswith("I"):  # grey of 16 bits, which Pillow would cut off at 255
        grey = np.clip(np.asarray(picture, np.int64) >> 8, 0, 255).astype(np.uint8)
        return np.ascontiguousarray(np.repeat(grey[:, :, None], 3, axis=2))
    if picture.has_transparency_data:
        colours = picture.convert("RGBA")
        black = Image.new("RGBA", colours.size, (0, 0, 0, 255))
        picture = Image.alpha_composite(black, colours)
    return np.array(picture if picture.mode == "RGB" else picture.convert("RGB"))
