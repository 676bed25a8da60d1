"""One clip that a network judged when it was saved, and has to judge alike when it is loaded.

A network with damaged weights gives probabilities that look like any others; this one shows it. Nothing here knows what
runs the network.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from msgspec import Meta

from cache.schema import CROP_SIZE, FRAMES

if TYPE_CHECKING:
    import keras

Network = Callable[[Mapping[str, np.ndarray]], np.ndarray]
"""Takes its inputs by name, for N clips, and returns the probability of fake, float (N, 1)."""

TOLERANCE = 2e-3
"""How far the probability may be off: other machines round otherwise, most of all a GPU that rounds to TF32."""
DRIFT = np.linspace(0.98, 1.02, FRAMES, dtype=np.float32)
"""Factors of the clip's frames, so that a head that looks at changes has some to look at."""


@dataclass(frozen=True)
class Replay:
    """The clip and the `probability` that the network gave it.

    A head's clip is `frame`, the features of one frame as float16 in base64, which drifts a little over the twelve; the
    clip of a network over crops is a pattern that needs no storing, and has the frame "".
    """

    probability: Annotated[float, Meta(ge=0, le=1)]
    frame: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9+/=]*\Z")] = ""

    def clip(self, *, regions: bool) -> dict[str, np.ndarray]:
        """Returns the clip as the network's inputs; raises ValueError if it is none."""
        return head_clip(self.frame) if self.frame else crops_clip(regions=regions)

    def damage(self, network: Network, clip: Mapping[str, np.ndarray]) -> str:
        """Returns how far `network` is from the probability of `clip`, "" where that comes out again."""
        found = np.ravel(network(clip))
        if found.size == 1 and abs(found[0] - self.probability) <= TOLERANCE:  # which NaN is not
            return ""
        return f"it gives {found[0] if found.size else 'nothing'} to the clip that had {self.probability:.4f}"


def once(network: "keras.Model") -> Network:
    """Returns `network` for a single call: it is not compiled, which takes longer than it saves."""
    return lambda inputs: np.asarray(network(dict(inputs), training=False))


def head_replay(network: Network, frame: np.ndarray) -> Replay:
    """Returns what the head `network` makes of `frame`, the features (D,) of one frame."""
    text = base64.b64encode(np.asarray(frame, "<f2").tobytes()).decode()
    return Replay(float(network(head_clip(text))[0, 0]), text)


def crops_replay(network: Network, *, regions: bool) -> Replay:
    """Returns what `network`, which takes crops and mask, and maybe the faces' `regions`, makes of the pattern."""
    return Replay(float(network(crops_clip(regions=regions))[0, 0]))


def head_clip(frame: str) -> dict[str, np.ndarray]:
    """Returns the clip of a head's replay as its inputs; raises ValueError if `frame` is none."""
    try:
        values = np.frombuffer(base64.b64decode(frame, validate=True), "<f2").astype(np.float32)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    return {"features": (DRIFT[:, None] * values)[None], "mask": np.ones((1, FRAMES), bool)}


def crops_clip(*, regions: bool) -> dict[str, np.ndarray]:
    """Returns the pattern that a network over crops is replayed on, as its inputs."""
    shape = (1, FRAMES, CROP_SIZE, CROP_SIZE, 3)
    pattern = (np.arange(np.prod(shape)) * 7919 % 251).astype(np.uint8).reshape(shape)
    middle = np.full((1, FRAMES, 4), [CROP_SIZE // 4] * 2 + [CROP_SIZE * 3 // 4] * 2, np.uint8)
    return {"crops": pattern, "mask": np.ones((1, FRAMES), bool)} | ({"regions": middle} if regions else {})
