"""Batches of kept crops for Keras, read clip by clip from their store: they never lie in memory all at once."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np

from base.commands import command
from base.errors import UserError
from base.machine.processors import usable_processors
from cache.profile import CropProfile
from cache.schema import CROP_SIZE, FAKE, FRAMES, PARTS, REAL, TRAIN, Seen, VideoRecord
from cache.shard import DamagedShard, read_arrays
from cache.store import StoredRow, damaged, store_folder
from cache.union import stored_clips
from train.data.clips import Clips
from train.data.split import SplitConfig, split
from train.end_to_end.augment import Augmentation, augment, clip_random

SHAPE = (FRAMES, CROP_SIZE, CROP_SIZE, 3)


@dataclass(frozen=True, eq=False)
class CropSet:
    """N clips in manifest order; `stored` says where their crops lie, `parts` (N,) is train, val or test.

    `factors` float64 (N,) say how much each weighs beside others of its class, None where all weigh the same.
    """

    records: list[VideoRecord]
    stored: list[StoredRow]
    parts: np.ndarray
    factors: np.ndarray | None = None

    @property
    def labels(self) -> np.ndarray:
        """int64 (N,): 0 real, 1 fake."""
        return np.array([record.label for record in self.records], np.int64)

    @property
    def seen(self) -> Seen:
        """What is seen in the N clips."""
        return Seen.of([index.seen[row] for index, row in self.stored])

    def rows(self, part: str) -> np.ndarray:
        """Returns the rows of the clips in `part`."""
        return np.flatnonzero(self.parts == part)

    def by_store(self) -> list[dict[str, int]]:
        """Returns for each store the rows of its clips, by the ids that they have in there."""
        stores: dict[Path, dict[str, int]] = {}
        for number, (index, row) in enumerate(self.stored):
            stores.setdefault(index.path.parent, {})[index.keys[row][0]] = number
        return list(stores.values())

    def read(self, row: int) -> np.ndarray:
        """Returns the crops of one clip, uint8 (12, 160, 160, 3) RGB; a UserError if they are damaged."""
        index, stored = self.stored[row]
        try:
            (crops,) = read_arrays(index, [stored], SHAPE, np.dtype(np.uint8))
        except DamagedShard as error:
            raise damaged(index.path, error) from None
        return crops


def find_crops(features: Sequence[Path], profile: CropProfile, split_csv: Path, *, even: bool = False) -> CropSet:
    """Returns the videos in the manifests of the folders `features` to which `split_csv` gives a part, and their crops.

    The crops, made with `profile`, lie beside those folders. If `even`, all data sets weigh the same in train. A
    UserError says how to make crops that are missing.
    """
    clips = stored_clips(features, lambda folder: store_folder(folder.parent, profile))
    records = [record for record, _ in clips]
    parts = split(records, SplitConfig("csv", val=0.0, csv=split_csv)).parts
    parted = zip(clips, parts, strict=True)
    used = [(*clip, part) for clip, part in parted if part in PARTS and not clip[0].is_blend]  # which has no crops
    if missing := [record.id for record, stored, _ in used if stored is None]:
        places = [str(store_folder(folder.parent, profile)) for folder in features]
        lack = "lacks" if len(places) == 1 else "lack"
        raise UserError(
            f"{' and '.join(places)} {lack} the crops of {len(missing)} of {len(used)} clips, {missing[0]!r} first; "
            f"make them with {command('features', data='...')}, keeping the crops."
        )
    found = CropSet(
        [record for record, _, _ in used],
        [stored for _, stored, _ in used if stored is not None],
        np.array([part for _, _, part in used]),
    )
    return replace(found, factors=_even_factors(found)) if even and len(features) > 1 else found


def _even_factors(clips: CropSet) -> np.ndarray:
    """Returns what makes all data sets weigh the same within each class of train, float64 (N,)."""
    labels, train = clips.labels, clips.rows(TRAIN)
    data_sets = np.unique([record.id.partition("/")[0] for record in clips.records], return_inverse=True)[1]
    none = np.zeros(0)
    return Clips(none, none, labels, data_sets).weights(train) / Clips(none, none, labels).weights(train)


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
