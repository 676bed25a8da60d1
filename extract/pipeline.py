"""Stage 1 as a whole: videos -> crops -> features -> store, resuming where an earlier run ended.

Workers decode and find faces; this process runs the backbone over whole batches meanwhile and is the only one that
writes. Rows gather into a shard until there are 64 of them or some seconds have passed: 1 at first, later up to 20, so
that a crash costs about half of what a call has done, and no more than 20 seconds.
"""

import itertools
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from cache.command import option, required, start_keras
from cache.files import write_text
from cache.manifest import write_manifest
from cache.profile import CropProfile, FeatureProfile
from cache.schema import CROP_SIZE, FRAMES, OK, Row, UserError, VideoRecord
from cache.store import Place, Store, Writer, create_store, find_rows, open_writer, read_indexes
from extract.backbone import BackboneName, Engine, identify_weights
from extract.dataset import Compression, Layout, read_dataset
from extract.detectors import DetectorName, detector_hash
from extract.rows import Clock, rows_from_store, rows_from_videos, rows_with_features
from extract.video import Limits, Sampling

SHARD_ROWS = 64
FIRST_SECONDS, SHARD_SECONDS = 1.0, 20.0
CROP_BYTES = FRAMES * CROP_SIZE * CROP_SIZE * 3


@dataclass(frozen=True)
class ExtractConfig:
    """What to extract, and how. Fields that change the numbers go into the profile; the others only into the time."""

    data: Path = required("the data set's folder, or a CSV file that lists its videos")
    out: Path = option(Path("data"), "where the store goes: OUT/<name of the data set>/...")
    backbone: BackboneName = option("resnet50", "the frozen network")
    weights: str = option("imagenet", "imagenet (downloaded once), random, or the path of an .h5 file")
    sampling: Sampling = option("uniform", "uniform: twelve frames spread over the clip; first: its first twelve")
    detector: DetectorName = option(
        "haar", "face detector; yunet needs --detector-file; none: the clips are face crops already"
    )
    detector_file: Path | None = option(None, "the ONNX file that the detector yunet reads")
    margin: float = option(0.3, "what is kept around the face on each edge, in sides of its box")
    layout: Layout = option("auto", "how the data set lies on disk; auto: as its folders tell")
    compression: Compression = option("auto", "level of FaceForensics++ to read; auto: the one that is there")
    keep_crops: bool = option(True, "keep the crops (at most 0.92 MB a video), so that videos are decoded once")
    retry_failed: bool = option(False, "try videos again that failed before")
    workers: int = option(2, "processes that decode and find faces")
    batch: int = option(24, "crops a batch of the backbone")
    clip_seconds: float = option(300.0, "time limit for one clip, in seconds")
    clip_pixels: int = option(64_000_000, "size limit for one frame, in pixels")

    @property
    def crop_profile(self) -> CropProfile:
        """The part of the profile that decides the crops."""
        used = detector_hash(self.detector, self.detector_file)
        return CropProfile(self.sampling, self.detector, used, self.margin)

    @property
    def profile(self) -> FeatureProfile:
        """Exactly what changes the features."""
        return FeatureProfile(self.crop_profile, self.backbone, identify_weights(self.weights))

    @property
    def limits(self) -> Limits:
        """What one clip may cost."""
        return Limits(pixels=self.clip_pixels, seconds=self.clip_seconds)


def extract(config: ExtractConfig) -> Path:
    """Extracts every video of the data set that is not in its store yet; returns the store's folder."""
    if not 0 <= config.margin <= 2 or config.workers < 1 or config.batch < 1:
        raise UserError("margin has to lie in 0 to 2, workers and batch at 1 or above; mend the flag.")
    start = time.perf_counter()
    data = read_dataset(config.data, config.layout, config.compression)
    records, root = data.records, config.out / data.name
    for note in data.notes:
        print(note)
    features = create_store(root, config.profile)
    clock = Clock()
    with ExitStack() as stack:
        writer = stack.enter_context(open_writer(features))
        _say_set_aside(writer)
        _describe(features, records, config)
        todo = _not_done(features, records, config.retry_failed)
        if todo:
            print(f"{len(records)} videos in {config.data}, {len(todo)} to extract into {features.folder}")
            _extract_all(todo, data.root, config, _open_crops(stack, root, records, config), writer, clock)
    _summarise(features, records, clock, time.perf_counter() - start)
    return features.folder


def _describe(store: Store, records: Sequence[VideoRecord], config: ExtractConfig) -> None:
    """Writes the manifest, and where videos and weights lay: a hint for detection, no part of the profile."""
    write_manifest(store.manifest, records)
    weights = config.weights if config.weights in ("imagenet", "random") else str(Path(config.weights).resolve())
    origin = {"data": str(config.data.resolve()), "weights": weights}
    if config.detector_file:
        origin["detector_file"] = str(config.detector_file.resolve())
    write_text(store.folder / "origin.json", json.dumps(origin, indent=1) + "\n")


def _say_set_aside(writer: Writer) -> None:
    for path in writer.set_aside:
        print(f"{path.name} was a damaged shard; it is set aside and its videos are extracted again.")


def _not_done(store: Store, records: Sequence[VideoRecord], retry_failed: bool) -> list[VideoRecord]:
    rows = find_rows(read_indexes(store, checked=False))
    return [
        record
        for record in records
        if record.key not in rows or (retry_failed and rows[record.key][0].outcome[rows[record.key][1]] != OK)
    ]


def _open_crops(stack: ExitStack, root: Path, records: Sequence[VideoRecord], config: ExtractConfig) -> Writer | None:
    """Returns the writer of the crops' store, None when crops are not kept."""
    if not config.keep_crops:
        return None
    writer = stack.enter_context(open_writer(create_store(root, config.crop_profile)))
    _say_set_aside(writer)
    _describe(writer.store, records, config)
    return writer


def _extract_all(
    todo: Sequence[VideoRecord],
    root: Path,
    config: ExtractConfig,
    crops: Writer | None,
    features: Writer,
    clock: Clock,
) -> None:
    kept = _kept_crops(crops, config.retry_failed)
    videos = [record for record in todo if record.key not in kept]
    if crops is not None and videos:
        print(f"crops are kept in {crops.store.folder}: at most {len(videos) * CROP_BYTES / 1e6:.0f} MB more")
    start_keras()
    engine = Engine(config.backbone, config.weights, config.batch)
    stored = rows_from_store([kept[record.key] for record in todo if record.key in kept])
    files = [(record, root / record.path) for record in videos]
    decoded = rows_from_videos(files, config.crop_profile, config.limits, config.workers, clock, config.detector_file)
    shards = None if crops is None else _Shards(crops, clock)
    cropped = decoded if shards is None else shards.keep(decoded)
    rows = rows_with_features(itertools.chain(stored, cropped), engine, clock)
    for _ in _Shards(features, clock, shards).keep(_with_bar(rows, len(todo))):
        pass


def _kept_crops(crops: Writer | None, retry_failed: bool) -> dict[tuple[str, int, int], Place]:
    if crops is None:
        return {}
    rows = find_rows(read_indexes(crops.store, checked=False))
    return {key: place for key, place in rows.items() if not retry_failed or place[0].outcome[place[1]] == OK}


class _Shards:
    """Writes the rows that pass through as shards of `writer`; what `earlier` holds goes to disk before them.

    So a video whose features are on disk has its crops there too, wherever a crash falls.
    """

    def __init__(self, writer: Writer, clock: Clock, earlier: "_Shards | None" = None) -> None:
        self._writer, self._clock, self._earlier = writer, clock, earlier
        self._held: list[Row] = []
        self._since, self._longest = time.perf_counter(), FIRST_SECONDS

    def keep(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Passes `rows` on and writes them on the way."""
        for row in rows:
            self._held.append(row)
            if len(self._held) == SHARD_ROWS or time.perf_counter() - self._since > self._longest:
                self.flush()
                self._longest = min(2 * self._longest, SHARD_SECONDS)
            yield row
        self.flush()

    def flush(self) -> None:
        """Writes what is held."""
        if self._earlier is not None:
            self._earlier.flush()
        if self._held:
            with self._clock.timed("write"):
                self._writer.append(self._held)
        self._held, self._since = [], time.perf_counter()


def _with_bar(rows: Iterable[Row], total: int) -> Iterator[Row]:
    failed = 0
    with tqdm(total=total, unit="video", desc="extract", mininterval=0.5) as bar:
        for row in rows:
            failed += row.outcome != OK
            bar.set_postfix(failed=failed, refresh=False)
            bar.update()
            yield row


def _summarise(store: Store, records: Sequence[VideoRecord], clock: Clock, seconds: float) -> None:
    rows = find_rows(read_indexes(store, checked=False))
    places = [(record, *rows[record.key]) for record in records if record.key in rows]
    failed = [(record.id, index.outcome[row], index.reason[row]) for record, index, row in places
              if index.outcome[row] != OK]  # fmt: skip
    for name, outcome, reason in failed:
        print(f"  {name}: {outcome}: {reason}")
    if clock.seconds:
        spent = ", ".join(f"{kind} {seconds:.1f}" for kind, seconds in clock.seconds.items())
        print(f"{seconds:.1f} s in all; core-seconds: {spent}")
    print(f"{len(places) - len(failed)} ok, {len(failed)} failed of {len(records)} videos")
    if len(failed) == len(records):
        raise UserError(f"none of the {len(records)} videos could be used; the reasons stand above.")
