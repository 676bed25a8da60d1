"""The kept crops of a run's clips, read clip by clip from their store: they never lie in memory all at once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from base.commands import command
from base.errors import UserError
from cache.profile import CropProfile
from cache.schema import CROP_SIZE, FRAMES, PARTS, TRAIN, Seen, VideoRecord
from cache.shard import DamagedShard, read_arrays
from cache.store import StoredRow, damaged, store_folder
from cache.union import stored_clips
from train.data.clips import Clips
from train.data.split import SplitConfig, split

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
    used = [(*clip, part) for clip, part in zip(clips, parts, strict=True) if _usable(clip[0], part)]
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


def _usable(record: VideoRecord, part: str) -> bool:
    """Returns whether a clip has crops to train or test on; blended clips have none."""
    return part in PARTS and not record.is_blend
