"""Blended clips as rows of a features store: made of the crops of real clips on their way through the backbone."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from cache.schema import BLEND, FAKE, REAL, Row, VideoRecord
from extract.clips.blends import VERSION, blend, blend_random

SEED = 0
"""A blend's number is seed enough: the same number of the same clip gives the same blend."""


def blend_records(videos: Sequence[VideoRecord], count: int) -> list[VideoRecord]:
    """Returns the records of `count` blends of each real one of `videos`: a fake of the same person."""
    return [_blend_record(video, number) for video in videos if video.label == REAL for number in range(1, count + 1)]


def _blend_record(video: VideoRecord, number: int) -> VideoRecord:
    return replace(
        video,
        id=f"{video.id}{BLEND}{number}",
        label=FAKE,
        source=video.id,
        part="",
        # Blends that the code would make otherwise today count as changed files do: they are made again.
        mtime_ns=video.mtime_ns + VERSION,
    )


def number_of(record: VideoRecord) -> int:
    """Returns which of its source's blends `record` is, from 1."""
    return int(record.id.rpartition(BLEND)[2])


def rows_with_blends(rows: Iterable[Row], todo: Sequence[VideoRecord]) -> Iterator[Row]:
    """Yields, of rows of crops and of the blends made of them, those that belong to the records `todo`.

    A clip that failed passes its failure on to its blends.
    """
    own = {record.key for record in todo if not record.is_blend}
    blends: dict[str, list[VideoRecord]] = {}
    for record in todo:
        if record.is_blend:
            blends.setdefault(record.source, []).append(record)
    for row in rows:
        if row.key in own:
            yield row
        for record in blends.get(row.id, ()):
            yield _blend_row(row, record)


def _blend_row(row: Row, record: VideoRecord) -> Row:
    name, size, mtime_ns = record.key
    row = replace(row, id=name, size=size, mtime_ns=mtime_ns)
    if row.array is None:
        return row
    random = blend_random(SEED, record.source, number_of(record))
    return replace(row, array=blend(row.array, row.seen.mask, row.seen.regions, random))
