"""A sheet of blended clips beside the real ones they are made of, to look at before training on them."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from base.commands import flag
from base.errors import UserError
from base.files import write_bytes, writing
from base.progress import say
from cache.schema import CROP_SIZE, REAL, VideoRecord
from cache.store import PROFILE, StoredRow, find_rows, open_store
from extract.blended_rows import blend_records, rows_with_blends
from extract.steps import rows_from_store

CLIPS, BLENDS = 8, 5
"""Real clips on the sheet, spread over the data set, and blends of each."""
HEADER = 24
"""Height of the line of titles, in pixels."""


def write_blend_sheet(path: Path, crops: Path, videos: Sequence[VideoRecord]) -> Path:
    """Writes the PNG `path`: a line for each of some real ones of `videos`, its crop and then those of its blends.

    The clips come from the store `crops`. Blends have the numbers, and are the ones, that a features store gets.
    """
    stored = _kept(crops, videos)
    if not stored:
        raise UserError(f"there are no kept crops of real clips in {crops} to show; leave out {flag('show')}.")
    chosen = [list(stored)[i] for i in np.linspace(0, len(stored) - 1, min(CLIPS, len(stored))).round().astype(int)]
    todo = [row for video in chosen for row in (video, *blend_records([video], BLENDS))]
    pictures: dict[str, np.ndarray] = {}
    for row in rows_with_blends(rows_from_store([stored[video] for video in chosen]), todo):
        frames = np.flatnonzero(row.seen.mask)
        assert row.array is not None
        pictures[row.id] = row.array[frames[len(frames) // 2]]
    lines = [
        np.concatenate([pictures[row.id] for row in todo if video.id in (row.id, row.source)], axis=1)
        for video in chosen
    ]
    sheet = np.concatenate([_titles(), *lines])
    _, content = cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    with writing(path.parent):
        write_bytes(path, content.tobytes())
    say(f"blended clips beside their sources: {path}")
    return path


def _kept(crops: Path, videos: Sequence[VideoRecord]) -> dict[VideoRecord, StoredRow]:
    """Returns where the crops of the real ones of `videos` lie in the store `crops`."""
    if not (crops / PROFILE).is_file():
        return {}
    rows = find_rows(open_store(crops), failed=False)
    return {video: rows[video.key] for video in videos if video.label == REAL and video.key in rows}


def _titles() -> np.ndarray:
    line = np.full((HEADER, CROP_SIZE * (1 + BLENDS), 3), 255, np.uint8)
    for column, title in enumerate(["real", *(f"blend {number}" for number in range(1, BLENDS + 1))]):
        cv2.putText(line, title, (column * CROP_SIZE + 8, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return line
