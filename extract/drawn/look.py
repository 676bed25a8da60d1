"""Looks: what distinguishes one drawn person from another."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Colour = tuple[float, float, float]
SKINS = ((247, 214, 190), (232, 190, 158), (205, 155, 118), (165, 114, 80), (122, 80, 56))
HAIRS = ((38, 28, 24), (86, 56, 36), (150, 106, 60), (214, 178, 112), (150, 70, 40), (128, 126, 124))
SHIRTS = ((60, 80, 120), (130, 50, 55), (70, 105, 80), (190, 185, 175), (60, 60, 66), (150, 120, 70))
IRISES = ((70, 45, 30), (60, 90, 120), (75, 105, 70), (95, 70, 40))
HairStyle = Literal["short", "long", "fringe", "bald"]
STYLES: tuple[HairStyle, ...] = ("short", "long", "fringe", "short", "long", "bald")


@dataclass(frozen=True)
class Look:
    """The look of one person.

    Colours are RGB, 0 to 255. Lengths are in units of the patch a head is painted on, which is 256 wide. `jaw` (how
    much the face narrows towards the chin) and `beard` are in [0, 1].
    """

    skin: Colour
    hair: Colour
    shirt: Colour
    iris: Colour
    style: HairStyle
    half_width: float
    half_height: float
    jaw: float
    eye_gap: float
    eye_size: float
    brow_weight: float
    brow_tilt: float
    nose_length: float
    nose_width: float
    mouth_width: float
    lip_weight: float
    beard: float


def make_look(seed: int, number: int) -> Look:
    """Returns the look of person `number`. Skin and hair style change with the number, so neighbours differ."""
    rng = np.random.default_rng([seed, number])
    style = STYLES[number % len(STYLES)]
    skin = _between(SKINS, number * 0.618 % 1)
    hairs = [hair for hair in HAIRS if sum(hair) < 0.8 * sum(skin)]
    return Look(
        skin=skin,
        hair=_near(rng, hairs[rng.integers(len(hairs))], 10),
        shirt=_near(rng, SHIRTS[rng.integers(len(SHIRTS))], 15),
        iris=_near(rng, IRISES[rng.integers(len(IRISES))], 8),
        style=style,
        half_width=rng.uniform(68, 78),
        half_height=rng.uniform(90, 102),
        jaw=rng.uniform(0.14, 0.34),
        eye_gap=rng.uniform(29, 36),
        eye_size=rng.uniform(0.9, 1.2),
        brow_weight=rng.uniform(4, 8),
        brow_tilt=rng.uniform(-4, 4),
        nose_length=rng.uniform(22, 32),
        nose_width=rng.uniform(9, 14),
        mouth_width=rng.uniform(21, 30),
        lip_weight=rng.uniform(4, 7),
        beard=rng.uniform(0.25, 0.5) if style in ("short", "bald") and rng.random() < 0.4 else 0.0,
    )


def _between(colours: tuple[Colour, ...], position: float) -> Colour:
    """Returns the colour at `position` in [0, 1] along `colours`, interpolated."""
    steps = np.arange(len(colours)) / (len(colours) - 1)
    r, g, b = (float(np.interp(position, steps, channel)) for channel in zip(*colours, strict=True))
    return r, g, b


def _near(rng: np.random.Generator, colour: Colour, spread: float) -> Colour:
    r, g, b = np.clip(np.array(colour) + rng.uniform(-spread, spread, 3), 0, 255).tolist()
    return r, g, b
