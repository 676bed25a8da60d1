"""Blended clips: fakes made from real clips alone, for training.

Self-blended images (Shiohara & Yamasaki, "Detecting Deepfakes with Self-Blended Images", CVPR 2022): two copies of one
crop, treated differently, are joined by a soft mask of the face. What gives a face swap away is there, a face whose
colour, sharpness and geometry do not quite belong to what is around it, but nobody looks like anybody else. Here one
copy stays as it is, so that a blend differs from its source in the face alone. The mask is a mean face outline in the
face's box, deformed at random: no landmarks are needed.
"""

import zlib
from dataclasses import dataclass

import cv2
import numpy as np

from cache.schema import CROP_SIZE, FRAMES

VERSION = 1
"""Raised whenever the code makes other blends from the same seed."""

OUTLINE = np.array([
    (0.00, 1.00), (0.30, 0.95), (0.56, 0.77), (0.73, 0.48), (0.81, 0.12), (0.82, -0.25), (0.74, -0.55),
    (0.52, -0.74), (0.26, -0.83), (0.00, -0.86),
])  # fmt: skip
"""The right half of a mean face from chin to forehead, in half sides of the face's box from its middle."""
BROWS = -0.45
"""Height of the eyebrows in `OUTLINE`; swaps that keep the forehead end there."""
_GRID = np.stack(np.meshgrid(np.arange(CROP_SIZE), np.arange(CROP_SIZE)), axis=2).astype(np.float32)
"""x and y of each pixel."""
RATIOS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)
"""How much of the treated face is blended in, drawn evenly, as in the paper."""


@dataclass(frozen=True, eq=False)
class _Recipe:
    """What one clip's blend is made with, alike in all its frames. A 0 leaves a step of the sharpness out.

    Colour: `gain` and `offset` float32 (3,), and the factor `saturation`. Sharpness: `soften` is the sigma of a blur in
    pixels, `shrink` the factor of a resampling, `sharpen` the weight of an unsharp mask, `quality` that of JPEG.
    Geometry: `shape` float32 (5,) holds an angle in degrees, two factors, and two shifts in sides of the region; `warp`
    and `deform` float32 (160, 160, 2) bend the face and the mask, in pixels. Mask: `outline` float32 (P, 2) in half
    sides of the region, `edge`, the sigma of its softness in sides of the region, and `ratio`, its height.
    """

    gain: np.ndarray
    offset: np.ndarray
    saturation: float
    soften: float
    shrink: float
    sharpen: float
    quality: int
    shape: np.ndarray
    warp: np.ndarray
    deform: np.ndarray
    outline: np.ndarray
    edge: float
    ratio: float


def blend_random(seed: int, name: str, number: int) -> np.random.Generator:
    """Returns the generator for the blend `number` of the clip `name`; it depends on nothing but the three."""
    return np.random.default_rng([seed, zlib.crc32(name.encode()), number])


def blend(crops: np.ndarray, mask: np.ndarray, regions: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Returns a blend of one clip: its `crops`, uint8 (12, 160, 160, 3) RGB, with the face replaced by a treated copy.

    `regions` uint8 (12, 4) hold the face's box inside each crop as left, top, right, bottom. Frames outside `mask`,
    bool (12,), are zero. All frames are treated alike but for a little jitter. The same state of `random` gives the
    same blend.
    """
    recipe = _draw(random)
    out = np.zeros_like(crops)
    for frame in range(FRAMES):
        jitter = random.normal(0, 1, 8).astype(np.float32)
        if mask[frame]:
            left, top, right, bottom = regions[frame].astype(np.float32)
            box = np.array([left, top, max(right - left, 1), max(bottom - top, 1)])
            out[frame] = _blend_frame(crops[frame], box, recipe, jitter)
    return out


def _draw(random: np.random.Generator) -> _Recipe:
    """Draws every number, used or not, so that the draws that follow do not depend on choices."""
    soften, shrink, sharpen = random.uniform((0.5, 0.4, 0.3), (1.4, 0.75, 0.9))
    quality = int(random.integers(45, 85))
    # At least one of the four, more rarely two.
    chosen = random.permutation(4)[: 1 + int(random.random() < 0.3)]
    angle, stretch, shift = random.uniform(-3, 3), random.uniform(0.95, 1.05, 2), random.uniform(-0.03, 0.03, 2)
    return _Recipe(
        gain=(random.uniform(0.95, 1.05, 3) * random.uniform(0.92, 1.08)).astype(np.float32),
        offset=(random.uniform(-4, 4, 3) + random.uniform(-8, 8)).astype(np.float32),
        saturation=float(random.uniform(0.8, 1.2)),
        soften=float(soften) if 0 in chosen else 0.0,
        shrink=float(shrink) if 1 in chosen else 0.0,
        sharpen=float(sharpen) if 2 in chosen else 0.0,
        quality=quality if 3 in chosen else 0,
        shape=np.array([angle, *stretch, *shift], np.float32),
        warp=_smooth_field(random, spread=14, size=random.uniform(0.5, 2.0)),
        deform=_smooth_field(random, spread=12, size=random.uniform(1.5, 5.0)),
        outline=_outline(random),
        edge=float(random.uniform(0.035, 0.11)),
        ratio=float(random.choice(RATIOS)),
    )


def _outline(random: np.random.Generator) -> np.ndarray:
    """Returns a face outline, float32 (P, 2): the mean one, stretched, turned, and with or without its forehead."""
    half = OUTLINE.copy()
    top = float(random.uniform(half[:, 1].min(), BROWS))
    half[:, 1] = np.maximum(half[:, 1], top)
    whole = np.concatenate([half, half[::-1] * (-1, 1)])
    whole += random.normal(0, 0.025, whole.shape)
    stretch, shift, angle = random.uniform(0.84, 1.06, 2), random.uniform(-0.06, 0.06, 2), random.uniform(-0.14, 0.14)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return ((whole * stretch) @ turn.T + shift).astype(np.float32)


def _smooth_field(random: np.random.Generator, spread: float, size: float) -> np.ndarray:
    """Returns displacements float32 (160, 160, 2), smooth over `spread` pixels, with a standard deviation of `size`.

    The elastic deformation of Simard et al., ICDAR 2003.
    """
    # Drawn at an eighth of the resolution: it is smooth anyway.
    small = random.normal(0, 1, (CROP_SIZE // 8, CROP_SIZE // 8, 2)).astype(np.float32)
    field = cv2.resize(cv2.GaussianBlur(small, (0, 0), spread / 8), (CROP_SIZE, CROP_SIZE))
    return field * np.float32(size / max(float(field.std()), 1e-6))


def _blend_frame(image: np.ndarray, box: np.ndarray, recipe: _Recipe, jitter: np.ndarray) -> np.ndarray:
    face = _moved(_treated(image, box, recipe, jitter[:3]), box, recipe, jitter[3:6])
    alpha = _face_mask(box, recipe, jitter[6:]) * recipe.ratio
    return np.clip(np.rint(image + alpha[..., None] * (face - image)), 0, 255).astype(np.uint8)


def _treated(image: np.ndarray, box: np.ndarray, recipe: _Recipe, jitter: np.ndarray) -> np.ndarray:
    """Returns the copy whose face is blended in, float32, with other colours and another sharpness."""
    face = image.astype(np.float32)
    x, y, width, height = box.astype(int)
    mean = np.array(cv2.mean(face[y : y + height, x : x + width])[:3])
    saturate = recipe.saturation * np.eye(3) + (1 - recipe.saturation) / 3
    # gain * (saturated - mean) + mean: contrast about the face's mean leaves its brightness alone.
    matrix, bias = recipe.gain[:, None] * saturate, (1 - recipe.gain) * mean + recipe.offset + 0.4 * jitter
    face = cv2.transform(face, np.column_stack([matrix, bias]).astype(np.float32))
    return _resampled(face, recipe)


def _resampled(face: np.ndarray, recipe: _Recipe) -> np.ndarray:
    if recipe.shrink:
        small = cv2.resize(face, None, fx=recipe.shrink, fy=recipe.shrink, interpolation=cv2.INTER_AREA)
        face = cv2.resize(small, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_CUBIC)
    if recipe.soften:
        face = cv2.GaussianBlur(face, (0, 0), recipe.soften)
    if recipe.sharpen:
        face += recipe.sharpen * (face - cv2.GaussianBlur(face, (0, 0), 1.5))
    if recipe.quality:
        coded = cv2.cvtColor(np.clip(np.rint(face), 0, 255).astype(np.uint8), cv2.COLOR_RGB2BGR)
        _, content = cv2.imencode(".jpg", coded, [cv2.IMWRITE_JPEG_QUALITY, recipe.quality])
        decoded = cv2.imdecode(content, cv2.IMREAD_COLOR)
        assert decoded is not None
        face = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB).astype(np.float32)
    return face


def _moved(face: np.ndarray, box: np.ndarray, recipe: _Recipe, jitter: np.ndarray) -> np.ndarray:
    """Returns `face` turned, stretched and shifted a little about the middle of its region, and bent."""
    angle, stretch_x, stretch_y, shift_x, shift_y = recipe.shape
    middle = box[:2] + box[2:] / 2
    turn = np.deg2rad(angle + 0.2 * jitter[2])
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) * (1 / stretch_x, 1 / stretch_y)
    shift = np.array([shift_x, shift_y]) * box[2:] + 0.25 * jitter[:2]
    # x' = M (x - middle - shift) + middle, and the bend.
    bias = (middle - matrix @ (middle + shift)).astype(np.float32)
    sources = cv2.transform(_GRID, np.column_stack([matrix, bias]).astype(np.float32)) + recipe.warp
    return cv2.remap(face, sources, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)  # pyright: ignore[reportCallIssue, reportArgumentType]


def _face_mask(box: np.ndarray, recipe: _Recipe, jitter: np.ndarray) -> np.ndarray:
    """Returns the soft mask of the face, float32 (160, 160) in [0, 1]."""
    middle, half = box[:2] + box[2:] / 2, box[2:] / 2
    points = np.rint(middle + half * recipe.outline + 0.25 * jitter).astype(np.int32)
    mask = np.zeros((CROP_SIZE, CROP_SIZE), np.float32)
    cv2.fillPoly(mask, [cv2.convexHull(points)], 1.0)
    mask = cv2.remap(mask, _GRID + recipe.deform, None, cv2.INTER_LINEAR)  # pyright: ignore[reportCallIssue, reportArgumentType]
    return cv2.GaussianBlur(mask, (0, 0), max(recipe.edge * float(box[2:].mean()), 0.5))
