"""Light augmentation of a clip's crops: what cameras, codecs and uploads do to a face, alike in all frames."""

from dataclasses import dataclass

import numpy as np

from cache.schema import CROP_SIZE, FRAMES


@dataclass(frozen=True)
class Augmentation:
    """How strong it is.

    `flip`, `compress` and `blur` are the shares of the clips that get it. `brightness` is the largest shift, in shares
    of the pixel range; `contrast` the largest change of the factor about mid-grey; both are drawn uniformly. `quality`
    is the range of JPEG qualities, `sigma` the largest Gaussian blur in pixels.
    """

    flip: float = 0.5
    brightness: float = 0.1
    contrast: float = 0.15
    compress: float = 0.3
    quality: tuple[int, int] = (50, 95)
    blur: float = 0.2
    sigma: float = 1.0


@dataclass(frozen=True, eq=False)
class _Change:
    """The change of one clip: `table` uint8 (256,) maps pixels; a `quality` or `sigma` of 0 leaves that step out."""

    flip: bool
    table: np.ndarray
    quality: int
    sigma: float


def augment(
    crops: np.ndarray, regions: np.ndarray, mask: np.ndarray, how: Augmentation, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Returns one clip's `crops`, uint8 (12, 160, 160, 3) RGB, changed at random, alike in all frames, and its regions.

    `regions` uint8 (12, 4) of the faces go along with a flip. Frames outside `mask`, bool (12,), are zero. The same
    state of `random` gives the same result.
    """
    change = _draw(how, random)
    out = np.zeros_like(crops)
    for frame in range(FRAMES):
        if mask[frame]:
            out[frame] = _apply(crops[frame], change)
    return out, _mirrored(regions) * mask[:, None] if change.flip else regions


def _mirrored(regions: np.ndarray) -> np.ndarray:
    left, top, right, bottom = regions.T
    return np.stack([CROP_SIZE - right, top, CROP_SIZE - left, bottom], axis=1)


def clip_random(seed: int, epoch: int, row: int, purpose: int = 1) -> np.random.Generator:
    """Returns the generator for the clip `row` in `epoch`; it depends on the arguments alone.

    Each `purpose`, from 1, has numbers of its own.
    """
    # numpy takes [seed, epoch], which orders the clips, for [seed, epoch, 0, 0]; a purpose of 0 would do the same.
    return np.random.default_rng([seed, epoch, row, purpose])


def _draw(how: Augmentation, random: np.random.Generator) -> _Change:
    """Draws every number, used or not, so that changing one setting leaves the other draws as they were."""
    flip, compress, blur = random.random(3) < (how.flip, how.compress, how.blur)
    brightness, contrast = random.uniform(-1, 1, 2) * (255 * how.brightness, how.contrast)
    quality = int(random.integers(how.quality[0], how.quality[1], endpoint=True))
    # Below a third of a pixel cv2's kernel is the identity.
    sigma = float(random.uniform(how.sigma / 3, how.sigma))
    table = np.clip(np.rint((np.arange(256) - 127.5) * (1 + contrast) + 127.5 + brightness), 0, 255).astype(np.uint8)
    return _Change(bool(flip), table, quality if compress else 0, sigma if blur else 0.0)


def _apply(image: np.ndarray, change: _Change) -> np.ndarray:
    import cv2

    image = change.table[image[:, ::-1] if change.flip else image]
    if change.sigma:
        image = cv2.GaussianBlur(image, (0, 0), change.sigma)
    if change.quality:
        # cv2 takes images as BGR; JPEG treats the three channels differently.
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        _, coded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, change.quality])
        decoded = cv2.imdecode(coded, cv2.IMREAD_COLOR)
        assert decoded is not None
        image = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
    return image
