"""Stage 1 as a whole: a data set's videos -> crops -> features -> store; resumes where an earlier run ended."""

import contextlib
import shutil
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from base.commands import flag
from base.errors import UserError
from base.files import require_place, require_writable, write_json, writing
from base.keras_start import BACKENDS, choose_backend
from base.outside.values import now
from base.progress import progress_bar, say
from cache.manifest import write_manifest
from cache.schema import CROP_SIZE, FRAMES, OK, VideoRecord
from cache.store import (
    EXTRACTED,
    MANIFEST,
    ORIGIN,
    PROFILE,
    Origin,
    Store,
    Writer,
    create_store,
    find_rows,
    open_store,
    open_writer,
    store_folder,
)
from extract.backbones.engines import OPENVINO_BACKENDS, require_engine
from extract.backbones.networks import obtain_weights
from extract.blend_sheet import write_blend_sheet
from extract.blended_rows import blend_records
from extract.cluster import extract_units, require_cluster
from extract.config import ExtractConfig
from extract.drawn import MARK
from extract.readers.dataset import shown_at
from extract.readers.layouts import read_dataset
from extract.same_data import recognise, require_same_data
from extract.steps import Clock
from extract.unit import extract_videos, left_to_do, not_done, start_engine
from extract.video.numbered import sentence_on_frames

CROP_BYTES = FRAMES * CROP_SIZE * CROP_SIZE * 3
"""Size of one clip's crops, uncompressed."""


def extract(config: ExtractConfig) -> Path:
    """Extracts every video of the data set that is not in its store yet; returns the store's folder."""
    config.check()
    choose_backend(OPENVINO_BACKENDS if config.engine == "openvino" else BACKENDS)
    require_engine(config.engine)
    if config.show:
        require_place(config.show, f"choose another {flag('show')}")
    require_writable(config.out, f"choose another folder with {flag('out')}")
    profile = config.profile
    start = time.perf_counter()
    data = read_dataset(config.data, config.layout, config.compression)
    root = config.out / data.name
    for note in data.notes:
        say(note)
    videos = shown_at(data.records, config.fps)
    if frames := sum(video.fps > 0 for video in videos):
        say(sentence_on_frames(frames, config.fps))
    require_same_data(root, config.data, videos)
    records = recognise(root, data.root, videos)
    features = create_store(root, profile)
    clock = Clock()
    with ExitStack() as stack:
        writer = stack.enter_context(open_writer(features))
        stack.callback(_remove_if_empty, features)
        _say_set_aside(writer)
        _describe(features, [*records, *blend_records(records, config.blends)], config)
        crops = None
        if left_to_do(records, config, None, features) or _lacks_crops(root, records, config):
            crops = _open_crops(stack, root, records, config)
        left = left_to_do(records, config, crops and crops.store, features)
        if left.features:
            say(f"{len(records)} videos in {config.data}, {_count(left.features)} to extract into {features.folder}")
        if left.crops:
            say(f"{len(left.crops)} videos have features, but no crops were kept of them: these are made now.")
        if left.features:
            obtain_weights(config.backbone, config.weights)
        if left:
            require_cluster(config)
            videos = [(record, data.root / record.path) for record in left.videos]
            _extract_all(videos, len(left), config, crops, writer, clock)
    if config.show:
        write_blend_sheet(config.show, store_folder(root, config.crop_profile), records)
    _summarise(features, records, clock, time.perf_counter() - start)
    return features.folder


def _count(todo: Sequence[VideoRecord]) -> str:
    blends = sum(record.is_blend for record in todo)
    return f"{len(todo) - blends} and {blends} blended clips" if blends else str(len(todo))


def _describe(store: Store, records: Sequence[VideoRecord], config: ExtractConfig) -> None:
    """Writes the manifest and the file that says where videos and weights lie, and when they were gone through."""
    weights = config.weights if config.weights in ("imagenet", "random") else str(Path(config.weights).resolve())
    files = {name: str(file.resolve()) for name, file in config.face_files.items() if file}
    origin = Origin(str(config.data.resolve()), weights, drawn=(config.data / MARK).is_file(), **files)
    with writing(store.folder):
        write_manifest(store.manifest, records)
        write_json(store.folder / ORIGIN, origin.entries() | {EXTRACTED: now()})


def _remove_if_empty(store: Store) -> None:
    """Removes `store` if work ended before its first row, as with weights of another network: nothing is lost."""
    if {path.name for path in store.folder.iterdir()} <= {PROFILE, MANIFEST, ORIGIN}:
        shutil.rmtree(store.folder)
        with contextlib.suppress(OSError):  # it holds other stores
            store.folder.parent.rmdir()


def _say_set_aside(writer: Writer) -> None:
    for path in writer.set_aside:
        say(f"{path.name} was a damaged shard; it is set aside and its videos are extracted again.")


def _lacks_crops(root: Path, records: Sequence[VideoRecord], config: ExtractConfig) -> bool:
    """Returns whether crops are to be kept and are not all there, without the time that opening their store takes."""
    try:
        store = open_store(store_folder(root, config.crop_profile))
        return config.keep_crops and bool(not_done(store, records, config.retry_failed))
    except UserError:  # there is none, or it is damaged, which opening it mends
        return config.keep_crops


def _open_crops(stack: ExitStack, root: Path, records: Sequence[VideoRecord], config: ExtractConfig) -> Writer | None:
    """Returns the writer of the crops' store, or None if crops are not kept."""
    if not config.keep_crops:
        return None
    writer = stack.enter_context(open_writer(create_store(root, config.crop_profile)))
    stack.callback(_remove_if_empty, writer.store)
    _say_set_aside(writer)
    _describe(writer.store, records, config)
    videos = not_done(writer.store, records, config.retry_failed)
    if videos:
        size = f"{len(videos) * CROP_BYTES / 1e6:.0f} MB more, usually 0.4 of that"
        say(f"crops are kept in {writer.store.folder}: at most {size}")
    return writer


def _extract_all(
    videos: Sequence[tuple[VideoRecord, Path]],
    count: int,
    config: ExtractConfig,
    crops: Writer | None,
    features: Writer,
    clock: Clock,
) -> None:
    if config.backend == "local":
        rows = extract_videos(videos, config, lambda: start_engine(config), crops, features, clock)
        outcomes = (row.outcome for row in rows)
    else:
        outcomes = extract_units(videos, config, crops and crops.store, features.store, clock)
    _show_progress(outcomes, count)


def _show_progress(outcomes: Iterable[str], total: int) -> None:
    failed = 0
    with progress_bar(total=total, unit="video", desc="extract") as bar:
        for outcome in outcomes:
            failed += outcome != OK
            bar.set_postfix(failed=failed, refresh=False)
            bar.update()


def _summarise(store: Store, records: Sequence[VideoRecord], clock: Clock, seconds: float) -> None:
    rows = find_rows(store, checked=False)
    done = [(record, *rows[record.key]) for record in records if record.key in rows]
    failed = [(record.id, index.outcome[row], index.reason[row]) for record, index, row in done
              if index.outcome[row] != OK]  # fmt: skip
    for name, outcome, reason in failed:
        say(f"  {name}: {outcome}: {reason}")
    if clock.seconds:
        spent = ", ".join(f"{kind} {seconds:.1f}" for kind, seconds in clock.seconds.items())
        say(f"{seconds:.1f} s in all; core-seconds: {spent}")
    say(f"{len(done) - len(failed)} ok, {len(failed)} failed of {len(records)} videos")
    if len(failed) == len(records):
        raise UserError(f"none of the {len(records)} videos could be used; the reasons are listed above.")
