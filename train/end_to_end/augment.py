"""Light augmentation of a clip's crops: what cameras, codecs and uploads do to a face, the same in all its frames."""

from dataclasses import dataclass

import numpy as np

from cache.schema import FRAMES


@dataclass(frozen=True)
class Augmentation:
    """How much is done. Chances are shares of the clips; brightness and contrast are drawn evenly up to their most.

    `brightness` is added, in shares of the range of pixels; `contrast` is the change of a factor about mid-grey;
    `quality` (least, most) is that of JPEG; `sigma` the most of a Gaussian blur, in pixels.
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
    """What was drawn for one clip: `table` uint8 (256,) of pixels, `quality` and `sigma` 0 where they are left out."""

    flip: bool
    table: np.ndarray
    quality: int
    sigma: float


def augment(crops: np.ndarray, mask: np.ndarray, how: Augmentation, random: np.random.Generator) -> np.ndarray:
    """Returns one clip's `crops`, uint8 (12, 160, 160, 3) RGB, changed as `random` draws it, alike in all frames.

    Frames that are not in `mask`, bool (12,), are zero. The same state of `random` gives the same crops.
    """
    change = _draw(how, random)
    out = np.zeros_like(crops)
    for frame in range(FRAMES):
        if mask[frame]:
            out[frame] = _apply(crops[frame], change)
    return out


def clip_random(seed: int, epoch: int, row: int) -> np.random.Generator:
    """Returns the numbers for the clip `row` in `epoch`, which follow from the three alone."""
    # The last 1 keeps them apart from those of [seed, epoch], which numpy takes for [seed, epoch, 0, 0].
    return np.random.default_rng([seed, epoch, row, 1])


def _draw(how: Augmentation, random: np.random.Generator) -> _Change:
    """Draws every number whether it is used or not, so that one setting does not shift the others."""
    flip, compress, blur = random.random(3) < (how.flip, how.compress, how.blur)
    brightness, contrast = random.uniform(-1, 1, 2) * (255 * how.brightness, how.contrast)
    quality = int(random.integers(how.quality[0], how.quality[1], endpoint=True))
    # From a sigma of a third of a pixel: below, cv2's kernel is the identity.
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
