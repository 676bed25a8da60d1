"""A backbone of few layers, for tests of what does not depend on which backbone it is."""

from cache.profile import Tap
from extract.backbones.networks import BACKBONES, Backbone
from extract.backbones.weights import MOBILENETV2

NAME = "short"
TAPS = (
    Tap("block_2_expand_relu", "face", "mean"),
    Tap("block_2_expand_relu", "face", "std"),
    Tap("block_3_expand_relu", "face-surround", "mean"),
)
SHORT = Backbone(MOBILENETV2, TAPS, 3 * 144)


def register() -> None:
    """Adds it in this process, for programs that tests start."""
    BACKBONES[NAME] = SHORT
