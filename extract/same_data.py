"""Whether videos are those that a data set's stores know already, wherever they lie now and whatever their times.

Stores are found by the data set's name, which another one may have; and a copied file has a new time, by which it looks
like a changed one.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from base.commands import flag
from base.errors import Unreadable, UserError, passing_over_damage
from base.files import write_csv, writing
from base.outside.content import NO_FILE, WrongContent
from base.outside.values import read_csv
from base.progress import progress_bar, say
from cache.manifest import read_manifest
from cache.schema import OK, VideoRecord
from cache.shard import DamagedShard, ShardIndex, read_index
from cache.store import MANIFEST, ORIGIN, open_store, read_origin
from extract.file_content import checksum_of
from extract.video.containers import ClipError

COPIES = "copies.csv"
"""Beside the stores: files whose content was found to be that of an earlier time, so that they are not read again."""
COLUMNS = ("id", "size", "mtime_ns", "extracted_ns")
Key = tuple[str, int, int]
Known = dict[tuple[str, int], dict[int, str]]
"""By id and size: the times of files that were extracted, and the checksum of each, "" where that is not known."""


def require_same_data(root: Path, data: Path, videos: Sequence[VideoRecord]) -> None:
    """Raises a UserError if the stores below `root` belong to another data set than `videos`, found at `data`.

    At another path than before, videos of the same ids and sizes are the same data set, moved or mounted elsewhere;
    some may have been added or removed since.
    """
    belongs = list(_data_of_stores(root))
    if any(path == data.resolve() for path, _ in belongs):
        return
    here = {(video.id, video.size) for video in videos}
    for path, known in belongs:
        same = len(here & known)
        if 2 * same < min(len(here), len(known)):
            raise UserError(
                f"{root} belongs to the data set {path}, and {data.resolve()} is another one of the same name: "
                f"{same} of its {len(here)} videos are there; rename its folder or list, or keep its features "
                f"elsewhere with {flag('out', '...')}, or remove {root} if it is of no use any more."
            )


def _data_of_stores(root: Path) -> Iterator[tuple[Path, set[tuple[str, int]]]]:
    """Yields where the data set of each store below `root` lay, and the ids and sizes of its videos."""
    for file in sorted(root.glob(f"*/{ORIGIN}")):
        with passing_over_damage():
            data, videos = read_origin(file.parent).data, read_manifest(file.with_name(MANIFEST))
            if data:  # else it is of an earlier version, or cut off
                yield Path(data), {(video.id, video.size) for video in videos if not video.is_blend}


def recognise(root: Path, folder: Path, videos: Sequence[VideoRecord]) -> list[VideoRecord]:
    """Returns `videos` of the data set in `folder`, a copy with the time at which its content was extracted.

    So the stores below `root` have a row for each video with a new time and the old content. Such files are read once.
    """
    known, copies = _known_content(root), _read_copies(root / COPIES)
    doubtful = [video for video in videos if video.mtime_ns not in known.get(_file(video), (video.mtime_ns,))]
    unread = [video for video in doubtful if copies.get(video.key) not in known[_file(video)]]
    comparable = [video for video in unread if any(known[_file(video)].values())]
    read = dict(_compared(folder, comparable, known))
    if read:
        copies |= read
        with writing(root):
            write_csv(root / COPIES, COLUMNS, [(*key, time) for key, time in sorted(copies.items())])
    times = {video.key: copies[video.key] for video in doubtful if copies.get(video.key) in known[_file(video)]}
    _tell(len(times), len(unread) - len(comparable))
    return [replace(video, mtime_ns=times.get(video.key, video.mtime_ns)) for video in videos]


def _compared(folder: Path, videos: Sequence[VideoRecord], known: Known) -> Iterator[tuple[Key, int]]:
    """Yields, of each of `videos` with a content that is known, the time at which that was extracted."""
    if not videos:
        return
    for video in progress_bar(iterable=videos, unit="video", desc="compare"):
        with contextlib.suppress(*NO_FILE, WrongContent, Unreadable, ClipError):  # extraction will name it
            found = checksum_of(folder / video.path, video.fps)
            times = [time for time, other in known[_file(video)].items() if other == found]
            yield from ((video.key, time) for time in times[:1])


def _tell(copies: int, incomparable: int) -> None:
    if copies:
        say(f"{copies} videos have another time than when they were extracted, but the same content: their rows stay.")
    if incomparable:
        say(
            f"{incomparable} videos have another time than when they were extracted, and no checksum of their content "
            "was kept then, by an earlier version: they are extracted again."
        )


def _file(video: VideoRecord) -> tuple[str, int]:
    return video.id, video.size


def _known_content(root: Path) -> Known:
    """Returns what was extracted into the stores below `root`."""
    known: Known = {}
    for index in _indexes(root):
        for (name, size, time), outcome, content in zip(index.keys, index.outcome, index.file_checksum, strict=True):
            if outcome == OK:
                times = known.setdefault((name, size), {})
                times[time] = times.get(time) or content
    return known


def _indexes(root: Path) -> Iterator[ShardIndex]:
    """Yields the index of each shard below `root` that is not damaged; others are for their store's writer to mend."""
    for manifest in sorted(root.glob(f"*/{MANIFEST}")):
        with passing_over_damage():
            store = open_store(manifest.parent)
            for path in store.shards:
                with contextlib.suppress(DamagedShard):
                    yield read_index(path, store.profile)


def _read_copies(path: Path) -> dict[Key, int]:
    """Returns the time of extraction of each copy, by its own key; nothing if the file is absent or damaged."""
    try:
        return dict(_copy(values) for _, values in read_csv(path, COLUMNS))
    except (*NO_FILE, ValueError):
        return {}


def _copy(values: Mapping[str, str]) -> tuple[Key, int]:
    return (values["id"], int(values["size"]), int(values["mtime_ns"])), int(values["extracted_ns"])
