"""What all readers share: the data set they return, the record of one file, and common checks."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from base.errors import UserError
from base.outside.lists import read_text
from base.outside.paths import existing, plain_path
from base.outside.values import explained, is_path, parse, parse_json, shown
from base.text import is_break, printable
from cache.schema import BLEND, VideoRecord, is_blend_id, safe_relative_path
from extract.readers.found import Found
from extract.video.numbered import FPS, number_of

T = TypeVar("T")


@dataclass(frozen=True)
class Dataset:
    """A data set on disk.

    `name` becomes the name of its store. `records` are sorted by id; their paths are relative to `root`. `notes` are
    sentences about what was left out.
    """

    name: str
    root: Path
    records: list[VideoRecord]
    notes: list[str]


def make_dataset(found: Found, records: Iterable[VideoRecord], name: str = "", notes: Sequence[str] = ()) -> Dataset:
    """Returns the set of `records`, by default named like its folder; raises a UserError if an id repeats.

    Of a clip that is there as a video and as a folder of pictures, the video is read.
    """
    rows, twice = _without_pictures_of_videos(sorted(records, key=lambda record: record.id))
    if not rows:
        sentence = f"{found.root} holds no videos where its layout expects them; unpack the data set there."
        raise UserError(" ".join([sentence, *found.describe_unread(())]))
    for one, other in itertools.pairwise(rows):
        if one.id == other.id:
            raise UserError(f"{one.id} exists twice, as {one.path} and {other.path}; remove one.")
    unread = found.describe_unread({found.root / record.path for record in rows})
    return Dataset(name or found.base.resolve().name, found.root, rows, [*notes, *_as_video_alone(twice), *unread])


def _without_pictures_of_videos(records: Sequence[VideoRecord]) -> tuple[list[VideoRecord], int]:
    videos = {stem_of(record) for record in records if not record.fps}
    rows = [record for record in records if not (record.fps and record.id in videos)]
    return rows, len(records) - len(rows)


def _as_video_alone(twice: int) -> Iterator[str]:
    if twice:
        clips = "1 clip is" if twice == 1 else f"{twice} clips are"
        yield f"{clips} there as a video and as a folder of numbered pictures: the video is read."


def make_record(root: Path, path: Path, label: int, name: str, **details: str) -> VideoRecord:
    """Returns the record of the file `path` below `root` called `name`; `details` are target, donor, part and so on."""
    if any(map(is_break, name)):
        raise UserError(
            f"{printable(str(path))} has a control character, or one that is not Unicode, in its name; rename it."
        )
    size, mtime_ns = _state(path)
    unknown = {"target": "", "donor": "", "source": "", "part": ""}
    is_folder = path.is_dir()
    if is_folder and is_blend_id(name):
        raise UserError(f"{path} has {BLEND} in its name, which stands for blended clips here; rename it.")
    return VideoRecord(
        id=name,
        path=path.relative_to(root).as_posix(),
        label=label,
        size=size,
        mtime_ns=mtime_ns,
        fps=FPS if is_folder else 0.0,
        **(unknown | details),
    )


def _state(path: Path) -> tuple[int, int]:
    """Returns the size and time of a file; of a folder of pictures, their size together and the newest time."""
    files = [one for one in path.iterdir() if number_of(one.name) is not None] if path.is_dir() else [path]
    states = [one.stat() if one.is_file() else one.lstat() for one in files]
    return sum(state.st_size for state in states), max((state.st_mtime_ns for state in states), default=0)


def shown_at(records: Sequence[VideoRecord], fps: float) -> list[VideoRecord]:
    """Returns `records`, in which clips that are folders of pictures are shown at `fps`.

    Their times change with it, so another rate counts as a change of the clip: it is extracted again.
    """
    later = round((fps - FPS) * 1000)
    return [replace(record, fps=fps, mtime_ns=record.mtime_ns + later) if record.fps else record for record in records]


def link_sources(records: Sequence[VideoRecord]) -> list[VideoRecord]:
    """Returns `records` with each source, an id without suffix, completed to the id of the video, if in the set."""
    ids = {stem_of(record).casefold(): record.id for record in records}
    return [replace(record, source=ids.get(record.source.casefold(), record.source)) for record in records]


def stem_of(record: VideoRecord) -> str:
    """Returns the id of `record` without the suffix of its file; a folder has none."""
    return record.id if record.fps else record.id.rpartition(".")[0]


def inside(root: Path, text: str, where: str) -> str:
    """Returns the path `text`, which a list at `where` names, from the folder `root`, as it is on the disk.

    It may be absolute, or an address that begins with file://. A UserError says that it is outside `root`, or none.
    """
    path = plain_path(text)
    try:
        if is_path(path) and Path(path).is_absolute():
            return _from(root, existing(Path(path)), where)
        name = safe_relative_path(path).as_posix()
    except ValueError:
        name = ""
    if not is_path(name):
        raise UserError(f"{where} names {shown(text)}, which is not a path inside {root}; give one that is.")
    return existing(root / name).relative_to(root).as_posix()


def _from(root: Path, path: Path, where: str) -> str:
    """Returns the absolute `path` from `root`; either may lead through links."""
    for base, whole in ((root.absolute(), path), (root.resolve(), path.parent.resolve() / path.name)):
        if whole.is_relative_to(base) and whole != base and ".." not in whole.parts:
            return whole.relative_to(base).as_posix()
    raise UserError(
        f"{where} names {path}, which lies outside {root}, the folder of the list; put the list into a folder that "
        "holds all of its clips."
    )


def read_as(kind: type[T], path: Path) -> T:
    """Returns the content of the JSON file `path` as `kind`; raises a UserError if it is not that."""
    with explained(path, "JSON", "restore the file that came with the data set"):
        return parse(kind, parse_json(read_text(path)))


def if_readable(read: Callable[[], T], otherwise: T, notes: list[str]) -> T:
    """Returns what `read` does, of a file that only adds to what the folders say; `notes` get why it cannot."""
    try:
        return read()
    except UserError as error:
        notes.append(f"{error} It is left out.")
        return otherwise
