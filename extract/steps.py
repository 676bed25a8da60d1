"""The steps of stage 1 as generators of rows: from videos or stored crops, through the backbone.

Extraction and detection are both composed of these, so that both treat a clip alike.
"""

import itertools
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from base.machine.processors import usable_processors
from cache.profile import CropProfile
from cache.schema import CROP_SIZE, FRAMES, OK, Row, Seen, VideoRecord, failed_row
from cache.shard import ShardIndex, read_arrays
from cache.store import StoredRow
from extract.backbones.engines import Engine
from extract.clips.crops import CroppedClip
from extract.file_content import crop_and_checksum
from extract.video.containers import ClipError, Limits
from extract.worker_pool import map_clips

PART = 8
"""Clips that a thread reads from stored crops at a time."""
Video = tuple[VideoRecord, Path]
Cropped = tuple[CroppedClip, str] | ClipError
"""A clip's crops with its file's checksum, or why there are none."""
NON_FINITE = "non_finite"
"""The outcome of a clip whose features would be infinite or no numbers in float16, which ends at 65,504."""


@dataclass
class Clock:
    """Seconds of a core's work by kind; decode and faces are sums over the workers."""

    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, kind: str, seconds: float) -> None:
        """Adds `seconds` to `kind`."""
        self.seconds[kind] = self.seconds.get(kind, 0.0) + seconds

    @contextmanager
    def timed(self, kind: str) -> Iterator[None]:
        """Adds what this process computes during the block to `kind`, on whichever cores."""
        start = time.process_time()
        yield
        self.add(kind, time.process_time() - start)


def rows_from_videos(
    videos: Sequence[Video],
    profile: CropProfile,
    limits: Limits,
    workers: int,
    clock: Clock,
    detector_file: Path | None = None,
    recogniser_file: Path | None = None,
) -> Generator[Row, None, None]:
    """Yields the row of crops, or of the failure, of each (record, file), in the order of completion.

    A clip that may have failed for what the machine lacked is tried once more, after all others and alone.
    """

    files = (detector_file, recogniser_file)

    def crop(some: Sequence[Video], workers: int) -> Iterator[tuple[Video, Cropped]]:
        tasks = ((video, (video[1], profile, limits, *files, video[0].fps)) for video in some)
        return map_clips(crop_and_checksum, tasks, workers, limits.seconds, tries=1) if some else iter(())

    again: list[Video] = []
    for video, result in crop(videos, min(workers, len(videos))):
        if isinstance(result, ClipError) and result.passing:
            again.append(video)
        else:
            yield _row(video[0], result, clock)
    for video, result in crop(again, 1):
        if isinstance(result, ClipError):
            result = ClipError(result.outcome, f"{result.reason}; it was tried twice")
        yield _row(video[0], result, clock)


def _row(record: VideoRecord, result: Cropped, clock: Clock) -> Row:
    if isinstance(result, ClipError):
        return crop_row(record, result)
    clip, checksum = result
    for kind, seconds in clip.seconds.items():
        clock.add(kind, seconds)
    return replace(crop_row(record, clip), file_checksum=checksum)


def crop_row(record: VideoRecord, result: CroppedClip | ClipError) -> Row:
    """Returns the row of `record` with its crops, or with its failure."""
    if isinstance(result, ClipError):
        return failed_row(record, result.outcome, result.reason)
    return Row(*record.key, OK, "", result.seen, result.crops)


def rows_from_store(stored: Sequence[StoredRow]) -> Iterator[Row]:
    """Yields the `stored` rows of crops, shard by shard; a thread for each processor reads some of them in advance."""
    by_shard: dict[Path, tuple[ShardIndex, list[int]]] = {}
    for index, row in stored:
        by_shard.setdefault(index.path, (index, []))[1].append(row)
    parts = (
        (by_shard[path][0], sorted(by_shard[path][1])[start : start + PART])
        for path in sorted(by_shard)
        for start in range(0, len(by_shard[path][1]), PART)
    )
    with ThreadPoolExecutor(usable_processors()) as threads:
        read = (threads.submit(_stored_rows, *part) for part in parts)
        waiting = deque(itertools.islice(read, usable_processors() + 1))
        while waiting:
            rows = waiting.popleft().result()
            waiting.extend(itertools.islice(read, 1))
            yield from rows


def _stored_rows(index: ShardIndex, rows: Sequence[int]) -> list[Row]:
    done = [row for row in rows if index.outcome[row] == OK]
    arrays = read_arrays(index, done, (FRAMES, CROP_SIZE, CROP_SIZE, 3), np.dtype(np.uint8))
    found = []
    for row in rows:
        array = next(arrays) if index.outcome[row] == OK else None
        facts = (*index.keys[row], index.outcome[row], index.reason[row])
        found.append(Row(*facts, index.seen[row], array, index.file_checksum[row]))
    return found


def rows_with_features(rows: Iterable[Row], engine: Engine, clock: Clock) -> Iterator[Row]:
    """Turns rows of crops into rows of features, float16 (12, D); batches are filled across videos.

    A clip with features that are not finite becomes a failure: one such number would spoil every training on the set.
    """
    held: list[Row] = []
    for row in rows:
        held.append(row)
        if sum(row.array is not None for row in held) * FRAMES >= engine.batch:
            yield from _features_of(held, engine, clock)
            held = []
    yield from _features_of(held, engine, clock)


def _features_of(rows: Sequence[Row], engine: Engine, clock: Clock) -> Iterator[Row]:
    read = [row for row in rows if row.array is not None]
    features = iter(())
    if read:
        with clock.timed("backbone"):
            crops = np.stack([row.array for row in read])  # pyright: ignore[reportCallIssue, reportArgumentType]
            seen = Seen.of([row.seen for row in read])
            features = iter(features_of(crops, seen.regions, seen.mask, engine))
    for row in rows:
        array = None if row.array is None else next(features)
        if array is None or np.isfinite(array).all():
            yield replace(row, array=array)
        else:
            reason = "the backbone's features of it are not finite, or above 65,504; take other weights"
            yield failed_row(row, NON_FINITE, reason)


def features_of(crops: np.ndarray, regions: np.ndarray, masks: np.ndarray, engine: Engine) -> np.ndarray:
    """Returns the features float16 (N, 12, D) of N clips; numbers that float16 cannot hold are infinite.

    Takes crops uint8 (N, 12, 160, 160, 3), regions of the faces in them uint8 (N, 12, 4) and masks bool (N, 12).
    """
    flat = engine.features(crops.reshape(-1, *crops.shape[2:]), regions.reshape(-1, 4))
    with np.errstate(over="ignore"):
        features = flat.astype(np.float16).reshape(*crops.shape[:2], -1)
    # A padded frame has no features, although the network gives some for black.
    return np.where(masks[:, :, None], features, np.float16(0))
