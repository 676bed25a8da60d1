"""What the cache still knows of a run's clips: how large their faces are, how long they last, and their crops."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cache.manifest import read_manifest
from cache.profile import crops_of
from cache.schema import CROP_SIZE, FRAMES, OK, FrameStatus, UserError
from cache.shard import DamagedShard, read_arrays
from cache.store import MANIFEST, Place, find_rows, open_store, read_indexes, store_folder
from evaluate.results.read import Results
from train.runs.load import features_folders, read_config


@dataclass(frozen=True, eq=False)
class Footage:
    """Clips by id. `places` says where their rows are; `crops` whether these hold crops (or features)."""

    places: dict[str, Place]
    crops: bool

    def face(self, name: str) -> float:
        """Returns the median side of the detected faces' boxes in pixels of the video, NaN without one."""
        index, row = self.places[name]
        boxes = index.boxes[row][index.status[row] == FrameStatus.FACE]
        return float(np.median(boxes[:, 2:].max(axis=1))) if len(boxes) else float("nan")

    def seconds(self, name: str) -> float:
        """Returns the time from the clip's first frame to the last one sampled."""
        index, row = self.places[name]
        return float(np.nanmax(index.times[row]))

    def pictures(self, name: str) -> np.ndarray | None:
        """Returns the clip's crops, uint8 (12, 160, 160, 3) RGB; None where none were kept, or they are damaged."""
        if not self.crops or name not in self.places:
            return None
        index, row = self.places[name]
        try:
            (crops,) = read_arrays(index, [row], (FRAMES, CROP_SIZE, CROP_SIZE, 3), np.dtype(np.uint8))
        except DamagedShard:
            return None
        return crops


def find_footage(results: Results) -> Footage:
    """Returns what the stores that the run was made from know; nothing where they are gone or were made otherwise."""
    try:
        _, profile = read_config(results.folder)
        # An ensemble names the features of all its members, whose crops are the same.
        features = next(iter(features_folders(results.config)), Path())
        records = read_manifest(features / MANIFEST)
        crops = store_folder(features.parent, crops_of(profile))
        folder = crops if crops.is_dir() else features
        rows = find_rows(read_indexes(open_store(folder)))
    except UserError:
        return Footage({}, crops=False)
    places = {record.id: rows[record.key] for record in records if record.key in rows}
    found = {name: (index, row) for name, (index, row) in places.items() if index.outcome[row] == OK}
    return Footage(found, folder == crops)
