"""Batches for Keras from features that stay resident as float16; only the current batch is float32."""

import keras
import numpy as np

from train.data.clips import Clips


class FeatureBatches(keras.utils.PyDataset):
    """The clips `rows` of `clips`, in their order, as batches of a head's inputs."""

    def __init__(self, clips: Clips, rows: np.ndarray, batch: int) -> None:
        super().__init__()
        self._clips = clips
        self._batches = np.array_split(rows, -(-len(rows) // batch))

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray]]:
        rows = self._batches[index]
        return ({"features": self._clips.features[rows].astype(np.float32), "mask": self._clips.mask[rows]},)
