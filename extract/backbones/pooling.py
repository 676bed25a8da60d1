"""From maps of a network to features: means and standard deviations over the face's region, by plain Keras layers.

A cell of a map counts by the share of it that lies in the region, so that a region may end inside a cell. Only layers
that every export format knows are used, which is why square roots are looked up or come from normalising a vector.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cache.profile import Tap
from cache.schema import CROP_SIZE

LEAST_SHARE = 1e-9
"""What a cell outside the region counts instead of nothing: an empty region is then the whole map, never 0 / 0."""
OFFSET = 1e-7
"""Added to deviations, because a square root has no slope at 0, where a channel is constant in the region."""


def pool(maps: Mapping[str, Any], regions: Any, taps: Sequence[Tap]) -> Any:
    """Returns the features (B, D) that `taps` take, one after another, of `maps` (B, side, side, channels) by layer.

    `regions` uint8 (B, 4) are left, top, right and bottom of the face in pixels of the crop; None if no tap needs it.
    """
    import keras

    shares: dict[int, _Shares] = {}
    parts = []
    for tap in taps:
        layer_map, name = maps[tap.layer], f"{tap.layer}_{tap.region}_{tap.statistic}"
        if tap.region == "crop":
            parts.append(keras.layers.GlobalAveragePooling2D(name=name, dtype="float32")(layer_map))
            continue
        side, channels = layer_map.shape[1], layer_map.shape[3]
        if side not in shares:
            shares[side] = _Shares(regions, side)
        cells = keras.layers.Reshape((side * side, channels), name=f"{name}_cells", dtype="float32")(layer_map)
        pooled = _POOLS[tap.region, tap.statistic](cells, shares[side], name)
        parts.append(keras.layers.Reshape((channels,), name=name, dtype="float32")(pooled))
    return parts[0] if len(parts) == 1 else keras.layers.Concatenate(name="features", dtype="float32")(parts)


class _Shares:
    """How much each cell of a map counts: (B, side * side, 1), the square root of its share of the region.

    The squares sum to 1 over the cells. `face` is the region, `surround` all but the region.
    """

    def __init__(self, regions: Any, side: int) -> None:
        pixels = _pixels_inside(regions, side)
        inside = np.linspace(0, 1, (CROP_SIZE // side) ** 2 + 1)
        self.face = _rooted(pixels, inside, f"face_{side}")
        self.surround = _rooted(pixels, 1 - inside, f"surround_{side}")


def _pixels_inside(regions: Any, side: int) -> Any:
    """Returns how many pixels of the crop each cell of a map shares with its region: float32 (B, side * side)."""
    import keras

    width = CROP_SIZE // side
    # How many of a cell's columns (or rows) lie before an edge at each of the crop's 160 + 1 pixel borders.
    before = np.clip(np.arange(CROP_SIZE + 1)[:, None] - width * np.arange(side), 0, width)
    edges = _table(before, f"before_edges_{side}")(regions)
    edges = keras.layers.Permute((2, 1), name=f"edges_{side}", dtype="float32")(edges)
    columns = _weighted_sum(edges, (-1, 0, 1, 0), f"columns_{side}")
    rows = _weighted_sum(edges, (0, -1, 0, 1), f"rows_{side}")
    columns = keras.layers.Reshape((1, side), name=f"columns_across_{side}", dtype="float32")(columns)
    pixels = keras.layers.Multiply(name=f"pixels_{side}", dtype="float32")([rows, columns])
    pixels = keras.layers.Reshape((side * side,), name=f"pixels_flat_{side}", dtype="float32")(pixels)
    # They are looked up in a table, for which they are cut down to whole numbers.
    return keras.layers.Rescaling(1.0, 0.5, name=f"pixels_whole_{side}", dtype="float32")(pixels)


def _rooted(pixels: Any, share: np.ndarray, name: str) -> Any:
    """Returns the square roots of cells' shares, normalised, where a cell with p pixels inside counts `share[p]`."""
    import keras

    roots = _table(np.sqrt(np.maximum(share, LEAST_SHARE))[:, None], f"{name}_roots")(pixels)
    return keras.layers.UnitNormalization(1, name=f"{name}_shares", dtype="float32")(roots)


def _face_mean(cells: Any, shares: _Shares, name: str) -> Any:
    import keras

    weights = keras.layers.Multiply(name=f"{name}_weights", dtype="float32")([shares.face, shares.face])
    return keras.layers.Dot(1, name=f"{name}_mean", dtype="float32")([weights, cells])


def _face_std(cells: Any, shares: _Shares, name: str) -> Any:
    """The length of the vector of weighted deviations, which is its product with itself brought to length 1."""
    import keras

    layers, roots = keras.layers, shares.face
    cells = layers.Multiply(name=f"{name}_weighted", dtype="float32")([roots, cells])
    mean = layers.Dot(1, name=f"{name}_mean", dtype="float32")([roots, cells])
    mean = layers.Multiply(name=f"{name}_weighted_mean", dtype="float32")([roots, mean])
    deviations = layers.Subtract(name=f"{name}_difference", dtype="float32")([cells, mean])
    deviations = layers.Rescaling(1.0, OFFSET, name=f"{name}_deviations", dtype="float32")(deviations)
    direction = layers.UnitNormalization(1, name=f"{name}_direction", dtype="float32")(deviations)
    lengths = layers.Multiply(name=f"{name}_products", dtype="float32")([deviations, direction])
    lengths = layers.GlobalAveragePooling1D(name=f"{name}_average", dtype="float32")(lengths)
    return layers.Rescaling(float(cells.shape[1]), name=f"{name}_length", dtype="float32")(lengths)


def _face_minus_surround(cells: Any, shares: _Shares, name: str) -> Any:
    import keras

    layers = keras.layers
    face, surround = (
        layers.Multiply(name=f"{name}_{which}", dtype="float32")([roots, roots])
        for which, roots in (("face", shares.face), ("surround", shares.surround))
    )
    weights = layers.Subtract(name=f"{name}_weights", dtype="float32")([face, surround])
    return layers.Dot(1, name=f"{name}_difference", dtype="float32")([weights, cells])


_POOLS = {
    ("face", "mean"): _face_mean,
    ("face", "std"): _face_std,
    ("face-surround", "mean"): _face_minus_surround,
}


def _table(rows: np.ndarray, name: str) -> Any:
    """Returns a layer that replaces each whole number by the row of `rows` (n, k) with that number."""
    import keras

    layer = keras.layers.Embedding(*rows.shape, trainable=False, name=name, dtype="float32")
    layer.build()
    layer.set_weights([rows.astype(np.float32)])
    return layer


def _weighted_sum(vectors: Any, weights: Sequence[float], name: str) -> Any:
    """Returns (B, n, 1): the sum over the last axis of `vectors` (B, n, k), weighted by `weights` (k,)."""
    import keras

    layer = keras.layers.Dense(1, use_bias=False, trainable=False, name=name, dtype="float32")
    layer.build(vectors.shape)
    layer.set_weights([np.array(weights, np.float32)[:, None]])
    return layer(vectors)
