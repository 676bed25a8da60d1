"""What the cache still knows of a run's clips: how large their faces are, how long they last, and their crops."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from base.errors import passing_over_damage
from cache.manifest import read_manifest
from cache.profile import crops_of
from cache.schema import CROP_SIZE, FRAMES, FrameStatus, Seen
from cache.shard import DamagedShard, read_arrays
from cache.store import MANIFEST, StoredRow, find_rows, open_store, store_folder
from evaluate.results.read import Results


@dataclass(frozen=True, eq=False)
class Footage:
    """Clips in the cache. `rows` has each clip's row by id; `crops` is true if the rows hold crops, not features."""

    rows: dict[str, StoredRow]
    crops: bool

    def face(self, name: str) -> float:
        """Returns the median side of the detected faces' boxes in pixels of the video; NaN if there is no face."""
        seen = self.seen(name)
        boxes = seen.boxes[seen.status == FrameStatus.FACE]
        return float(np.median(boxes[:, 2:].max(axis=1))) if len(boxes) else float("nan")

    def seconds(self, name: str) -> float:
        """Returns the time from the clip's first frame to its last sampled frame."""
        return float(np.nanmax(self.seen(name).times))

    def pictures(self, name: str) -> np.ndarray | None:
        """Returns the clip's crops, uint8 (12, 160, 160, 3) RGB; None if they were not kept or are damaged."""
        if not self.crops or name not in self.rows:
            return None
        index, row = self.rows[name]
        try:
            (crops,) = read_arrays(index, [row], (FRAMES, CROP_SIZE, CROP_SIZE, 3), np.dtype(np.uint8))
        except DamagedShard:
            return None
        return crops

    def seen(self, name: str) -> Seen:
        """Returns what is seen in the clip's frames."""
        index, row = self.rows[name]
        return index.seen[row]


def find_footage(results: Results) -> Footage:
    """Returns the run's clips in the cache; no clips if the stores are gone or were made with another profile."""
    with passing_over_damage():
        # An ensemble names the features of all its members, whose crops are the same.
        features = next(iter(results.config.features_folders), Path())
        records = read_manifest(features / MANIFEST)
        crops = store_folder(features.parent, crops_of(results.config.profile))
        folder = crops if crops.is_dir() else features
        stored = find_rows(open_store(folder), failed=False)
        rows = {record.id: stored[record.key] for record in records if record.key in stored}
        return Footage(rows, folder == crops)
    return Footage({}, crops=False)
