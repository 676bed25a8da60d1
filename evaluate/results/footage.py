"""What the cache still knows of a run's clips: how large their faces are, how long they last, and their crops."""

from dataclasses import dataclass

import numpy as np

from base.errors import passing_over_damage
from cache.profile import ForeignProfile, crops_of
from cache.schema import CROP_SIZE, FRAMES, FrameStatus, Seen
from cache.shard import DamagedShard, read_arrays
from cache.store import StoredRow, store_folder
from cache.union import stored_clips
from evaluate.results.read import Results


@dataclass(frozen=True, eq=False)
class Footage:
    """Clips in the cache. `rows` has each clip's row by id; `crops` is true if the rows hold crops, not features.

    `why` says why there are none, where there are none.
    """

    rows: dict[str, StoredRow]
    crops: bool
    why: str = "The features are no longer where they were"

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
    if isinstance(results.config.profile, ForeignProfile):
        return Footage({}, crops=False, why="Another program made what was judged")
    with passing_over_damage():
        folders, profile = results.config.folders_of_clips, crops_of(results.config.profile)
        crops = {folder: store_folder(folder.parent, profile) for folder in folders}
        kept = all(folder.is_dir() for folder in crops.values())
        stored = stored_clips(folders, lambda folder: crops[folder] if kept else folder)
        return Footage({record.id: row for record, row in stored if row is not None}, kept)
    return Footage({}, crops=False)
