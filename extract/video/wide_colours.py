"""High dynamic range and wide gamut as a plain screen shows them.

ITU-R BT.2100 has the two transfer functions, BT.2408 the brightness of white, BT.2087 the gamut. FFmpeg has a
conversion of its own, by a table that takes seconds to build and is off by six grey levels in dark blue.
"""

from functools import cache

import av
import cv2
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorTrc

HIGH_RANGE = (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67)
TO_BT709 = {
    ColorPrimaries.BT2020: ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187)),
    ColorPrimaries.SMPTE432: ((1.2249, -0.2247, 0.0), (-0.0420, 1.0419, 0.0), (-0.0197, -0.0786, 1.0979)),
}
"""Linear light in other primaries, as RGB, to that of a plain screen."""
WHITE = 203.0
"""Candela per square metre of white paper in a film of high dynamic range."""
HLG_PEAK, HLG_GAMMA, LUMA = 1000.0, 0.2, np.array([0.2627, 0.6780, 0.0593], np.float32)
KNEE = 0.7
"""Light up to this share of white stays as it is; what is brighter is pressed together if something outshines white."""
GAMMA = 2.4
"""Of a plain screen, BT.1886."""


def on_plain_screen(frame: av.VideoFrame) -> np.ndarray:
    """Returns the frame as uint8 RGB (H, W, 3) in BT.709."""
    light = _light_of_signal(frame.color_trc)[np.asarray(frame.to_ndarray(format="rgb48le"), np.uint16)]
    if frame.color_trc == ColorTrc.ARIB_STD_B67:
        light *= (light @ LUMA)[..., None] ** np.float32(HLG_GAMMA) * np.float32(HLG_PEAK / WHITE)
    primaries = ColorPrimaries.BT2020 if frame.color_trc in HIGH_RANGE else ColorPrimaries(frame.color_primaries)
    light = np.maximum(cv2.transform(light, np.array(TO_BT709[primaries], np.float32)), 0)
    if (peak := float(light.max())) > 1:
        light = _pressed(light, peak) if frame.color_trc in HIGH_RANGE else np.minimum(light, 1)
    return np.rint(255 * light ** np.float32(1 / GAMMA)).astype(np.uint8)


def _pressed(light: np.ndarray, peak: float) -> np.ndarray:
    """Returns light of at most 1: what is above the knee follows Reinhard's curve, under which `peak` becomes 1.

    The brightest channel decides for all three, so hues stay. Reinhard et al., "Photographic Tone Reproduction for
    Digital Images", SIGGRAPH 2002.
    """
    brightest = light.max(axis=2, keepdims=True)
    above = np.maximum(brightest - KNEE, 0) / (1 - KNEE)
    most = (peak - KNEE) / (1 - KNEE)
    shown = np.where(brightest > KNEE, KNEE + (1 - KNEE) * above * (1 + above / most**2) / (1 + above), brightest)
    return np.minimum(light * (shown / np.maximum(brightest, 1e-6)), 1)


@cache
def _light_of_signal(transfer: int) -> np.ndarray:
    """Returns the light of each of 65,536 levels of signal, float32; 1 is white, for HLG the scene's own light."""
    signal = np.linspace(0, 1, 1 << 16)
    if transfer == ColorTrc.SMPTE2084:
        power = signal ** (1 / 78.84375)
        nits = 10_000 * (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
        return (nits / WHITE).astype(np.float32)
    if transfer == ColorTrc.ARIB_STD_B67:
        bright = (np.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12
        return np.where(signal <= 0.5, signal**2 / 3, bright).astype(np.float32)
    return (signal**GAMMA).astype(np.float32)
