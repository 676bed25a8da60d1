"""Some videos, from their files to finished shards: the work of one process, alone or as one of many.

Workers decode and find faces while this process runs the backbone over full batches and writes. A shard is written
when 64 rows have gathered or some seconds have passed: 1 at first, later up to 20. So a crash loses at most about half
of the work so far, and no more than 20 seconds of it.
"""

import itertools
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from base.keras_start import start_keras
from base.machine.processors import usable_processors
from cache.schema import OK, Row, VideoRecord
from cache.store import StoredRow, Writer, find_rows, read_indexes
from extract.backbones.engines import Engine, make_engine
from extract.blended_rows import rows_with_blends
from extract.config import ExtractConfig
from extract.steps import Clock, rows_from_store, rows_from_videos, rows_with_features
from extract.to_do import left_to_do

SHARD_ROWS = 64
"""Most rows in a shard."""
FIRST_SECONDS, SHARD_SECONDS = 1.0, 20.0
"""Longest time before rows are written: of the first shard, and of the later ones."""


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
    kept = _kept_crops(crops, config.retry_failed)
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
    return rows_from_videos(videos, config.crop_profile, config.limits, workers, clock, config.detector_file)


def start_engine(config: ExtractConfig) -> Engine:
    """Starts Keras and returns the engine that `config` names."""
    start_keras()
    return make_engine(config.backbone, config.weights, config.batch, config.precision, config.engine)


def _kept_crops(crops: Writer | None, retry_failed: bool) -> dict[tuple[str, int, int], StoredRow]:
    if crops is None:
        return {}
    rows = find_rows(read_indexes(crops.store, checked=False))
    return {key: (index, row) for key, (index, row) in rows.items() if not retry_failed or index.outcome[row] == OK}


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
