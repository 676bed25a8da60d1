"""Fakes with the interface of what they stand for."""

import numpy as np

from extract.backbones.networks import BACKBONES


class FakeEngine:
    """Averages of a crop's rows instead of a network; counts the crops it sees."""

    crops = 0

    def __init__(self, name: str, weights: str, batch: int, precision: str, kind: str) -> None:
        self.batch = batch or 24
        self.size = BACKBONES[name].features

    def features(self, crops: np.ndarray, regions: np.ndarray) -> np.ndarray:
        assert regions.shape == (len(crops), 4)
        assert regions.dtype == np.uint8
        FakeEngine.crops += len(crops)
        # Black gives 1, as a network gives something for anything.
        rows = crops.reshape(len(crops), crops.shape[1], -1).mean(axis=2, dtype=np.float32) + 1
        return np.tile(rows, -(-self.size // rows.shape[1]))[:, : self.size]
