"""Drawn heads: from a look and an expression to pixels.

A head is painted on a patch of 256 x 320 units, centred on the face, about twice as large as in the clip. Scaling it
down smooths it. Colours are RGB.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from extract.drawn.look import Colour, Look

WIDTH, HEIGHT = 256, 320
CENTRE = (128, 160)
TORSO = (512, 360)
"""Width and height of the torso's patch; the middle of its top edge lies on the face's centre."""
PORE, PORE_DEPTH = 1.4, 0.12
"""Size of the grain of the skin, in units, and its depth, as a share of the skin's brightness."""
FRACTION_BITS = 4
"""OpenCV draws at fractions of a pixel; with four bits, at 1/16."""


@dataclass(frozen=True)
class Expression:
    """A face at one moment: `turn` and `nod` shift its features, in units; `eyes` and `mouth`: 0 shut, 1 open."""

    turn: float = 0.0
    nod: float = 0.0
    eyes: float = 1.0
    mouth: float = 0.0


def _scaled(colour: Colour, factor: float) -> Colour:
    r, g, b = (min(255.0, channel * factor) for channel in colour)
    return r, g, b


class Face:
    """A look's face without its hair: what a fake takes from its donor."""

    def __init__(self, look: Look, light: float = 0.0) -> None:
        """`light` in [-1, 1]: where the light comes from, left to right."""
        self.look = look
        self._skin = _lit_skin(look, light)
        self._relief = _relief(look)

    def paint(self, expression: Expression) -> np.ndarray:
        """Returns uint8 (320, 256, 3): skin and features. The caller masks what lies outside the outline."""
        shift = np.array([[1, 0, expression.turn], [0, 1, expression.nod]], np.float32)
        relief = cv2.warpAffine(self._relief, shift, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
        image = np.clip(self._skin * relief[..., None], 0, 255).astype(np.uint8)
        x, y = CENTRE[0] + expression.turn, CENTRE[1] + expression.nod
        for side in (-1, 1):
            self._paint_eye(image, x + side * self.look.eye_gap, y - 14, expression.eyes)
            self._paint_brow(image, x, y - 35, side)
        self._paint_nose(image, x, y + self.look.nose_length)
        self._paint_mouth(image, x, y + 56, expression.mouth)
        return image

    def _paint_eye(self, image: np.ndarray, x: float, y: float, opened: float) -> None:
        width, height = 14 * self.look.eye_size, 7.5 * self.look.eye_size * opened
        lid = _scaled(self.look.skin, 0.35)
        if opened > 0.2:
            left, top = int(x) - 24, int(y) - 20
            spot = image[top : top + 40, left : left + 48]
            ball = np.full_like(spot, _scaled((226, 222, 218), 0.5 + 0.35 * sum(self.look.skin) / 765))
            at = (x - left, y - top)
            _ellipse(ball, at, (7.5, 7.5), self.look.iris)
            _ellipse(ball, at, (3.6, 3.6), (15, 12, 12))
            _ellipse(ball, (at[0] + 2.4, at[1] - 2.6), (1.6, 1.6), (250, 250, 250))
            opening = np.zeros(spot.shape[:2], np.uint8)
            _ellipse(opening, at, (width, height), (255,))
            spot[:] = blend(spot, ball, _alpha(opening))
            _ellipse(image, (x, y), (width, height), lid, thickness=3, start=180, end=360)
        else:
            _ellipse(image, (x, y), (width, 4), lid, thickness=3, start=0, end=180)

    def _paint_brow(self, image: np.ndarray, x: float, y: float, side: int) -> None:
        gap, tilt = self.look.eye_gap, self.look.brow_tilt
        ends = [(x + side * (gap + d), y - lift) for d, lift in ((-16, -tilt), (0, 5), (19, tilt - 2))]
        colour = _scaled(self.look.hair, 0.75)
        cv2.polylines(image, [_fixed(ends)], False, colour, round(self.look.brow_weight), cv2.LINE_AA, FRACTION_BITS)

    def _paint_nose(self, image: np.ndarray, x: float, y: float) -> None:
        shade = _scaled(self.look.skin, 0.45)
        for side in (-1, 1):
            _ellipse(image, (x + side * self.look.nose_width * 0.55, y), (3.6, 2.2), shade)
            first = -70 if side > 0 else 70
            wing = (x + side * self.look.nose_width, y - 3)
            _ellipse(image, wing, (4, 6), _scaled(self.look.skin, 0.76), thickness=2, start=first, end=first + 180)

    def _paint_mouth(self, image: np.ndarray, x: float, y: float, opened: float) -> None:
        width, weight, gap = self.look.mouth_width, self.look.lip_weight, 11 * opened
        lips = (self.look.skin[0] * 0.78, self.look.skin[1] * 0.5, self.look.skin[2] * 0.5)
        _ellipse(image, (x, y + gap * 0.4), (width, weight + gap), lips)
        _ellipse(image, (x, y + gap * 0.4), (width * 0.84, 1.2 + gap * 0.8), (52, 22, 24))
        if gap > 3:
            _ellipse(image, (x, y - gap * 0.1), (width * 0.55, gap * 0.25), (225, 220, 212))


class Head:
    """A look's whole head with hair; a fake puts another face inside."""

    def __init__(self, look: Look, light: float = 0.0) -> None:
        """`light` as for `Face`."""
        self.face = Face(look, light)
        hair, opaque = _front_hair(look)
        outline = _outline(look)
        self._window = outline * (1 - opaque)
        self._rest = _behind(look)
        _lay_over(self._rest, np.zeros(3, np.float32), outline)
        _lay_over(self._rest, hair, opaque)

    def dress(self, face: np.ndarray) -> np.ndarray:
        """Returns float32 (320, 256, 4), colours premultiplied by alpha: `face` (320, 256, 3) inside this head."""
        head = self._rest.copy()
        head[..., :3] += face * self._window
        return head


def blend(below: np.ndarray, above: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns `above` where float32 `mask` (..., 1) is 1, `below` where it is 0, as float32."""
    return below + (above - below.astype(np.float32)) * mask


def inner_face(look: Look, softness: float) -> np.ndarray:
    """Returns float32 (320, 256, 1): the mask from brows to chin, its edge blurred by `softness` units."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    _ellipse(mask, (CENTRE[0], CENTRE[1] + 14), (look.half_width * 0.82, look.half_height * 0.7), (255,))
    return _alpha(cv2.GaussianBlur(mask, (0, 0), softness))


def _alpha(mask: np.ndarray) -> np.ndarray:
    """Returns the uint8 `mask` (H, W) as float32 (H, W, 1) in [0, 1]."""
    return mask[..., None] / np.float32(255)


def draw_torso(look: Look) -> np.ndarray:
    """Returns float32 (360, 512, 4), colours premultiplied by alpha: shoulders and collar."""
    middle = TORSO[0] / 2
    torso = np.zeros((TORSO[1], TORSO[0], 4), np.float32)
    shirt, collar = np.zeros((2, TORSO[1], TORSO[0]), np.uint8)
    _ellipse(shirt, (middle, 320), (170, 180), (255,))
    weave = np.random.default_rng(int(look.half_width * 1e6)).normal(0, 6, (*shirt.shape, 1))
    _lay_over(torso, np.array(look.shirt) + weave, _alpha(shirt))
    _ellipse(collar, (middle, 136), (50, 36), (255,))
    _lay_over(torso, np.array(look.skin) * _throat(TORSO[1], 0), _alpha(collar))
    return torso


def _throat(height: int, centre: int) -> np.ndarray:
    """Returns (height, 1, 1): brightness of the neck per row, darkest below the chin; `centre` is the face's row."""
    return np.interp(np.arange(height) - centre, [80, 150], [0.55, 0.9])[:, None, None]


def _lay_over(below: np.ndarray, colour: np.ndarray, mask: np.ndarray) -> None:
    """Blends `colour` (H, W, 3) over the premultiplied `below` (H, W, 4) in place, weighted by `mask` (H, W, 1)."""
    below *= 1 - mask
    below[..., :3] += colour * mask
    below[..., 3:] += 255 * mask


def _lit_skin(look: Look, light: float) -> np.ndarray:
    """Returns float32 (320, 256, 3): the skin, darker towards the outline and away from the light, with its beard."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    across, down = (x - CENTRE[0]) / look.half_width, (y - CENTRE[1]) / look.half_height
    shade = 1.04 - 0.26 * np.clip(across**2 + down**2, 0, 1.3) ** 2 + 0.12 * light * across
    skin = np.array(look.skin, np.float32) * shade[..., None]
    cheeks = _bump(-40, 28, 16, 14) + _bump(40, 28, 16, 14)
    skin *= 1 - np.array([0, 0.1, 0.08], np.float32) * cheeks[..., None]
    beard = np.clip((down - 0.25) * 3, 0, 1) * look.beard
    return blend(skin, np.array(look.hair, np.float32) * 0.8, beard[..., None].astype(np.float32))


def _relief(look: Look) -> np.ndarray:
    """Returns float32 (320, 256): shading of the features: dark eye sockets, bright nose and cheeks."""
    relief = np.ones((HEIGHT, WIDTH), np.float32)
    for side in (-1, 1):
        relief -= 0.42 * _bump(side * look.eye_gap, -18, 19, 12)
        relief += 0.10 * _bump(side * (look.eye_gap + 6), 20, 17, 13)
        relief -= 0.12 * _bump(side * (look.nose_width + 4), look.nose_length - 2, 6, 9)
    relief += 0.13 * _bump(0, 2, 7, 26) + 0.10 * _bump(0, -58, 40, 14)
    relief -= 0.26 * _bump(0, look.nose_length + 7, look.nose_width, 4)
    relief -= 0.16 * _bump(0, 56 + look.lip_weight + 8, 17, 5)
    return relief * _pores(look)


def _pores(look: Look) -> np.ndarray:
    """Returns float32 (320, 256): the grain of the skin, which a face that was resampled loses."""
    rng = np.random.default_rng(int(look.half_width * 1e6))
    grain = cv2.GaussianBlur(rng.standard_normal((HEIGHT, WIDTH), np.float32), (0, 0), PORE)
    return 1 + PORE_DEPTH * grain / grain.std()


def _bump(x: float, y: float, wide: float, high: float) -> np.ndarray:
    """Returns float32 (320, 256): a Gaussian of height 1, centred `x`, `y` from the face's centre."""
    across = np.exp(-(((np.arange(WIDTH) - CENTRE[0] - x) / wide) ** 2) / 2)
    down = np.exp(-(((np.arange(HEIGHT) - CENTRE[1] - y) / high) ** 2) / 2)
    return np.outer(down, across).astype(np.float32)


def _outline(look: Look) -> np.ndarray:
    """Returns float32 (320, 256, 1): the mask of the face."""
    angle = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    down = np.sin(angle)
    across = np.cos(angle) * (1 - look.jaw * np.clip(down, 0, 1) ** 2)
    points = np.stack([across * look.half_width, down * look.half_height], 1) + CENTRE
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.fillPoly(mask, [_fixed(points)], (255,), cv2.LINE_AA, FRACTION_BITS)
    return _alpha(mask)


def _behind(look: Look) -> np.ndarray:
    """Returns float32 (320, 256, 4), premultiplied: long hair, neck and ears, from back to front."""
    behind = np.zeros((HEIGHT, WIDTH, 4), np.float32)
    hair, neck, ears = np.zeros((3, HEIGHT, WIDTH), np.uint8)
    if look.style == "long":
        _ellipse(hair, (CENTRE[0], CENTRE[1] + 12), (look.half_width + 20, look.half_height + 22), (255,))
        hair[CENTRE[1] + 116 :] = 0
    cv2.rectangle(neck, (CENTRE[0] - 34, CENTRE[1] + 40), (CENTRE[0] + 34, CENTRE[1] + 128), (255,), -1)
    for side in (-1, 1):
        _ellipse(ears, (CENTRE[0] + side * (look.half_width - 1), CENTRE[1] + 2), (10, 19), (255,))
    skin = np.array(look.skin, np.float32)
    for colour, mask in ((_strands(look) * 0.7, hair), (skin * _throat(HEIGHT, CENTRE[1]), neck), (skin * 0.74, ears)):
        _lay_over(behind, colour, _alpha(mask))
    return behind


def _front_hair(look: Look) -> tuple[np.ndarray, np.ndarray]:
    """Returns the hair's colours (320, 256, 3) and its mask (320, 256, 1): a cap with an opening for the face."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    if look.style != "bald":
        _ellipse(mask, (CENTRE[0], CENTRE[1] - 12), (look.half_width + 8, look.half_height + 8), (255,))
        top = 68 if look.style == "fringe" else 74
        _ellipse(mask, (CENTRE[0], CENTRE[1] + 60), (look.half_width * 0.93, 60 + top), (0,))
        mask[CENTRE[1] + (60 if look.style == "long" else -8) :] = 0
    return _strands(look), _alpha(cv2.GaussianBlur(mask, (0, 0), 2.5))


def _strands(look: Look) -> np.ndarray:
    """Returns float32 (320, 256, 3): the hair's colour in strands from top to bottom, with a sheen."""
    rng = np.random.default_rng(int(look.half_height * 1e6))
    noise = cv2.resize(rng.normal(1, 0.16, (5, 90)).astype(np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    sheen = 0.9 + 0.3 * _bump(-20, -88, 46, 12)
    return np.array(look.hair, np.float32) * (noise * sheen)[..., None]


def _fixed(points: np.ndarray | list[tuple[float, float]]) -> np.ndarray:
    return np.rint(np.asarray(points) * (1 << FRACTION_BITS)).astype(np.int32)


def _ellipse(
    image: np.ndarray,
    centre: tuple[float, float],
    axes: tuple[float, float],
    colour: tuple[float, ...],
    thickness: int = -1,
    start: int = 0,
    end: int = 360,
) -> None:
    """Draws an ellipse, or the arc from `start` to `end` degrees, at a fraction of a pixel."""
    at, size = _fixed([centre, axes]).tolist()
    cv2.ellipse(image, at, size, 0, start, end, colour, thickness, cv2.LINE_AA, FRACTION_BITS)
