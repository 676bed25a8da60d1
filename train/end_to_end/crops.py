"""Batches of kept crops for Keras."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import keras
import numpy as np

from base.machine.processors import usable_processors
from cache.schema import FAKE, REAL
from train.end_to_end.augment import Augmentation, augment, clip_random
from train.end_to_end.crop_set import CropSet

BlendFunction = Callable[[np.ndarray, np.ndarray, np.ndarray, np.random.Generator], np.ndarray]
"""Makes a fake of a real clip's crops, mask and regions: see `extract.clips.blends.blend`."""


@dataclass(frozen=True)
class Blending:
    """Blended clips in training: the `share` of the real clips that come with a blend in each epoch."""

    blend: BlendFunction
    share: float

    def count(self, labels: np.ndarray) -> int:
        """Returns the number of blends in an epoch over clips with `labels`."""
        return round(self.share * int((labels == REAL).sum()))


class CropSequence(keras.utils.PyDataset):
    """The clips `rows` of `clips` in batches: a network's inputs, labels float32 (B, 1), weights float32 (B,).

    Inputs are `crops` uint8 (B, 12, 160, 160, 3) and `mask` bool (B, 12), and `regions` uint8 (B, 12, 4) where
    `with_regions` asks for them. `class_weights` float (2,) are the weights of real and fake. With a `seed`, order and
    `augmentation` depend on seed and epoch alone; without one the order is that of `rows` and nothing is augmented.
    With `blending` and a seed, some real clips are followed by their blend: a fake with the same augmentation.

    The clips of a batch are read and augmented by a thread for each processor.

    With a seed all batches have one size, for a GPU compiles anew for each: a batch that would be smaller repeats a
    clip with weight 0, and its other weights make up for it.
    """

    def __init__(
        self,
        clips: CropSet,
        rows: np.ndarray,
        batch: int,
        class_weights: np.ndarray | None = None,
        seed: int | None = None,
        augmentation: Augmentation | None = None,
        blending: Blending | None = None,
        with_regions: bool = False,
    ) -> None:
        super().__init__()
        self._clips, self._rows, self._seed, self._augmentation = clips, rows, seed, augmentation
        self._labels, seen = clips.labels, clips.seen
        self._mask, self._regions = seen.mask, seen.regions
        self._blending, self._with_regions = blending, with_regions
        self._class_weights = np.ones(2) if class_weights is None else class_weights
        # Keras's own workers would begin an epoch before it has said which.
        self._threads = ThreadPoolExecutor(usable_processors())
        # Batches of nearly equal size: batch normalisation cannot learn from a last batch of one clip.
        blends = 0 if blending is None else blending.count(self._labels[rows])
        self._count = -(-(len(rows) + blends) // batch)
        self._size = -(-(len(rows) + blends) // self._count)
        self.start_epoch(0)

    def __len__(self) -> int:
        return self._count

    def start_epoch(self, epoch: int) -> None:
        """Puts the clips into the order of `epoch`; augmentation is that of `epoch` from now on."""
        rows, blended = self._rows, np.zeros(0, np.int64)
        if self._seed is not None:
            random = np.random.default_rng([self._seed, epoch])
            rows = random.permutation(rows)
            if self._blending is not None:
                real = rows[self._labels[rows] == REAL]
                blended = random.permutation(real)[: self._blending.count(self._labels[rows])]
        self._epoch = epoch
        # Each row once or, where its blend follows, twice.
        rows = np.repeat(rows, 1 + np.isin(rows, blended))
        self._is_blend = np.array_split(np.append(False, rows[1:] == rows[:-1]), self._count)
        self._batches = np.array_split(rows, self._count)

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        rows, is_blend = self._batches[index], self._is_blend[index]
        labels = np.where(is_blend, FAKE, self._labels[rows])
        weights = self._class_weights[labels]
        if self._clips.factors is not None:
            weights = weights * self._clips.factors[rows]
        if self._seed is not None and len(rows) < self._size:
            weights = np.append(weights * self._size / len(rows), 0)
            rows, is_blend, labels = (np.append(values, values[0]) for values in (rows, is_blend, labels))
        clips = self._threads.map(self._clip, rows.tolist(), is_blend.tolist())
        crops, regions = (np.stack(arrays) for arrays in zip(*clips, strict=True))
        inputs = {"crops": crops, "mask": self._mask[rows]} | ({"regions": regions} if self._with_regions else {})
        return inputs, labels[:, None].astype(np.float32), weights.astype(np.float32)

    def _clip(self, row: int, blended: bool) -> tuple[np.ndarray, np.ndarray]:
        crops, regions = self._clips.read(row), self._regions[row]
        if blended:
            assert self._blending is not None
            assert self._seed is not None
            random = clip_random(self._seed, self._epoch, row, purpose=2)
            crops = self._blending.blend(crops, self._mask[row], regions, random)
        if self._augmentation is None or self._seed is None:
            return crops, regions
        random = clip_random(self._seed, self._epoch, row)
        return augment(crops, regions, self._mask[row], self._augmentation, random)
