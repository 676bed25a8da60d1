"""Stage 1 as a whole: a data set's videos -> crops -> features -> store, resuming where an earlier run ended."""

import json
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from tqdm import tqdm

from cache.files import write_text, writing
from cache.manifest import write_manifest
from cache.schema import CROP_SIZE, FRAMES, OK, UserError, VideoRecord
from cache.store import ORIGIN, Store, Writer, create_store, find_rows, open_writer, read_indexes
from extract.config import ExtractConfig
from extract.many_processes import extract_units
from extract.one_process import extract_videos, not_done, start_engine
from extract.readers.layouts import read_dataset
from extract.steps import Clock

CROP_BYTES = FRAMES * CROP_SIZE * CROP_SIZE * 3


def extract(config: ExtractConfig) -> Path:
    """Extracts every video of the data set that is not in its store yet; returns the store's folder."""
    if not 0 <= config.margin <= 2 or config.workers < 0 or config.batch < 0:
        raise UserError("margin has to lie in 0 to 2, workers and batch at 0 or above; mend the flag.")
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
        todo = not_done(features, records, config.retry_failed)
        if todo:
            print(f"{len(records)} videos in {config.data}, {len(todo)} to extract into {features.folder}")
            _extract_all(todo, data.root, config, _open_crops(stack, root, records, config), writer, clock)
    _summarise(features, records, clock, time.perf_counter() - start)
    return features.folder


def _describe(store: Store, records: Sequence[VideoRecord], config: ExtractConfig) -> None:
    """Writes the manifest, and where videos and weights lay: a hint for detection, no part of the profile."""
    weights = config.weights if config.weights in ("imagenet", "random") else str(Path(config.weights).resolve())
    origin = {"data": str(config.data.resolve()), "weights": weights}
    if config.detector_file:
        origin["detector_file"] = str(config.detector_file.resolve())
    with writing(store.folder):
        write_manifest(store.manifest, records)
        write_text(store.folder / ORIGIN, json.dumps(origin, indent=1) + "\n")


def _say_set_aside(writer: Writer) -> None:
    for path in writer.set_aside:
        print(f"{path.name} was a damaged shard; it is set aside and its videos are extracted again.")


def _open_crops(stack: ExitStack, root: Path, records: Sequence[VideoRecord], config: ExtractConfig) -> Writer | None:
    """Returns the writer of the crops' store, None when crops are not kept."""
    if not config.keep_crops:
        return None
    writer = stack.enter_context(open_writer(create_store(root, config.crop_profile)))
    _say_set_aside(writer)
    _describe(writer.store, records, config)
    videos = not_done(writer.store, records, config.retry_failed)
    if videos:
        size = f"{len(videos) * CROP_BYTES / 1e6:.0f} MB more, by experience 0.4 of that"
        print(f"crops are kept in {writer.store.folder}: at most {size}")
    return writer


def _extract_all(
    todo: Sequence[VideoRecord],
    root: Path,
    config: ExtractConfig,
    crops: Writer | None,
    features: Writer,
    clock: Clock,
) -> None:
    videos = [(record, root / record.path) for record in todo]
    if config.backend == "local":
        rows = extract_videos(videos, config, lambda: start_engine(config), crops, features, clock)
        outcomes = (row.outcome for row in rows)
    else:
        outcomes = extract_units(videos, config, crops and crops.store, features.store, clock)
    _show_progress(outcomes, len(todo))


def _show_progress(outcomes: Iterable[str], total: int) -> None:
    failed = 0
    with tqdm(total=total, unit="video", desc="extract", mininterval=0.5) as bar:
        for outcome in outcomes:
            failed += outcome != OK
            bar.set_postfix(failed=failed, refresh=False)
            bar.update()


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
