"""Some videos, from their files to finished shards: the work of one process, alone or as one of many.

Workers decode and find faces while this process runs the backbone over full batches and writes. A shard is written
when 64 rows have gathered or some seconds have passed: 1 at first, later up to 20. So a crash loses at most about half
of the work so far, and no more than 20 seconds of it.
"""

import itertools
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from base.machine.processors import usable_processors
from base.progress import doing
from cache.schema import Row, VideoRecord
from cache.store import Store, Writer, find_rows
from extract.backbones.engines import Engine, make_engine
from extract.blended_rows import blend_records, rows_with_blends
from extract.config import ExtractConfig
from extract.steps import Clock, rows_from_store, rows_from_videos, rows_with_features

SHARD_ROWS = 64
"""Most rows in a shard."""
FIRST_SECONDS, SHARD_SECONDS = 1.0, 20.0
"""Longest time before rows are written: of the first shard, and of the later ones."""


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
    rows = find_rows(store, failed=not retry_failed, checked=False)
    return [record for record in records if record.key not in rows]


def extract_videos(
    videos: Sequence[tuple[VideoRecord, Path]],
    config: ExtractConfig,
    engine: Callable[[], Engine],
    crops: Writer | None,
    features: Writer,
    clock: Clock,
) -> Iterator[Row]:
    """Yields the rows that `features` and `crops` lack of each (record, file), and writes them.

    There is a row of features for each video and each blended clip that `config` asks for, and a row of crops for each
    video of which only these are missing.
    """
    kept = find_rows(crops.store, failed=not config.retry_failed, checked=False) if crops else {}
    left = left_to_do([record for record, _ in videos], config, crops and crops.store, features.store)
    shards = None if crops is None else Shards(crops, clock)
    for_crops = {record.key for record in left.crops}
    if shards is not None:
        files = [(record, path) for record, path in videos if record.key in for_crops]
        with closing(_decoded(files, config, clock)) as decoded:
            yield from shards.keep(decoded)
    if not left.features:
        return
    for_features = [(record, path) for record, path in videos if record.key not in for_crops]
    stored = rows_from_store([kept[record.key] for record, _ in for_features if record.key in kept])
    files = [(record, path) for record, path in for_features if record.key not in kept]
    with closing(_decoded(files, config, clock)) as decoded:
        # Asking for the first clip starts the workers, which then decode while Keras starts.
        with doing("looking for the first face"):
            cropped: Iterable[Row] = itertools.chain(list(itertools.islice(decoded, 1)), decoded)
        cropped = cropped if shards is None else shards.keep(cropped)
        wanted = rows_with_blends(itertools.chain(stored, cropped), left.features)
        rows = rows_with_features(wanted, engine(), clock)
        yield from Shards(features, clock, shards).keep(rows)


def _decoded(
    videos: Sequence[tuple[VideoRecord, Path]], config: ExtractConfig, clock: Clock
) -> Generator[Row, None, None]:
    """Yields the rows of the videos' crops; closing it ends the workers, which else wait for Python to collect it."""
    workers = config.workers or usable_processors()
    return rows_from_videos(videos, config.crop_profile, config.limits, workers, clock, *config.face_files.values())


def start_engine(config: ExtractConfig) -> Engine:
    """Returns the engine that `config` names."""
    return make_engine(config.backbone, config.weights, config.batch, config.precision, config.engine)


class Shards:
    """Writes the rows that pass through as shards of `writer`, after those still held by `earlier`.

    So a video whose features are on the disk has its crops there too, whenever a crash happens.
    """

    def __init__(self, writer: Writer, clock: Clock, earlier: "Shards | None" = None) -> None:
        self._writer, self._clock, self._earlier = writer, clock, earlier
        self._held: list[Row] = []
        self._since, self._longest = time.perf_counter(), FIRST_SECONDS

    def keep(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yields `rows` and writes them as shards."""
        for row in rows:
            self._held.append(row)
            if len(self._held) == SHARD_ROWS or time.perf_counter() - self._since > self._longest:
                self.flush()
                self._longest = min(2 * self._longest, SHARD_SECONDS)
            yield row
        self.flush()

    def flush(self) -> None:
        """Writes the rows held so far."""
        if self._earlier is not None:
            self._earlier.flush()
        if self._held:
            with self._clock.timed("write"):
                self._writer.append(self._held)
        self._held, self._since = [], time.perf_counter()
