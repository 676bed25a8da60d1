"""Frames that are in memory already: which twelve of them are used, as from a file."""

from collections.abc import Sequence

import numpy as np

from base.errors import UserError
from cache.profile import Sampling
from extract.video.film import Frames, choose
from extract.video.numbered import FPS, require_rate

TICKS = 1_000_000
"""Ticks a second in which times are compared: whole numbers, so that no rounding decides."""


def sample_images(
    images: np.ndarray | Sequence[np.ndarray],
    seconds: Sequence[float] | np.ndarray | None,
    sampling: Sampling,
    fps: float = FPS,
) -> Frames:
    """Returns at most twelve of `images`, uint8 RGB (H, W, 3) each, sampled like the frames of a file.

    `seconds` says when each is shown, ascending; without it, `fps` of them are shown a second. A UserError names what
    is no such thing.
    """
    require_rate(fps)
    times = [k / fps for k in range(len(images))] if seconds is None else [float(second) for second in seconds]
    _check(images, times)
    ticks = list(range(len(images))) if seconds is None else [round(time * TICKS) for time in times]
    # The last frame is shown as long as the others are in the middle.
    end = ticks[-1] + (int(np.median(np.diff(ticks))) if len(ticks) > 1 else 1)
    wanted = choose(ticks, end, sampling)
    return Frames([np.ascontiguousarray(images[i]) for i in wanted], [times[i] - times[0] for i in wanted])


def _check(images: np.ndarray | Sequence[np.ndarray], seconds: Sequence[float]) -> None:
    if not len(images):
        raise UserError("there is no frame to judge; give one or more, uint8 (T, height, width, 3).")
    for image in images:
        if not (isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3):
            shape = f"{getattr(image, 'dtype', type(image).__name__)} {getattr(image, 'shape', '')}".strip()
            raise UserError(f"a frame is {shape}; give frames uint8 (height, width, 3) in RGB.")
        if not image.size:
            raise UserError(f"a frame is {image.shape[1]} x {image.shape[0]} pixels; give frames that show something.")
    if len(seconds) != len(images):
        raise UserError(f"there are {len(images)} frames and {len(seconds)} times; give one time for each frame.")
    if not (np.isfinite(seconds).all() and (np.diff(seconds) >= 1 / TICKS).all()):
        raise UserError("the times of the frames do not ascend; give seconds, each later than the one before.")
