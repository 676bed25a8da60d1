"""What is left to do: features that a store lacks, and crops that are to be kept and are not there."""

from collections.abc import Sequence
from dataclasses import dataclass

from cache.schema import OK, VideoRecord
from cache.store import Store, find_rows, read_indexes
from extract.blended_rows import blend_records
from extract.config import ExtractConfig


@dataclass(frozen=True)
class ToDo:
    """`features` are the videos and blended clips whose features are missing.

    `crops` are the videos that have features but no crops. `videos` are those whose frames
    or kept crops are needed for all that.
    """

    features: list[VideoRecord]
    crops: list[VideoRecord]
    videos: list[VideoRecord]

    def __len__(self) -> int:
        return len(self.features) + len(self.crops)


def left_to_do(videos: Sequence[VideoRecord], config: ExtractConfig, crops: Store | None, features: Store) -> ToDo:
    """Returns what `features`, and `crops` if there are any, lack of `videos` and of the blends asked for."""
    rows = [*videos, *blend_records(videos, config.blends)]
    missing = not_done(features, rows, config.retry_failed)
    needed = {record.source if record.is_blend else record.id for record in missing}
    uncropped = [] if crops is None else not_done(crops, videos, config.retry_failed)
    alone = [record for record in uncropped if record.id not in needed]
    needed |= {record.id for record in alone}
    return ToDo(missing, alone, [video for video in videos if video.id in needed])


def not_done(store: Store, records: Sequence[VideoRecord], retry_failed: bool) -> list[VideoRecord]:
    """Returns the `records` without a row in `store`; with `retry_failed`, also those that failed."""
    rows = find_rows(read_indexes(store, checked=False))
    return [
        record
        for record in records
        if record.key not in rows or (retry_failed and rows[record.key][0].outcome[rows[record.key][1]] != OK)
    ]
