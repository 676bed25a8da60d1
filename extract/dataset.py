"""Readers: a data set's folder -> manifest rows, with the identities its names give away."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from cache.schema import FAKE, REAL, UserError, VideoRecord, printable, safe_relative_path

VIDEO_SUFFIXES = {".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".gif", ".ts"}
TEST_LIST = "List_of_testing_videos.txt"
CELEB_DF = {"Celeb-real": REAL, "YouTube-real": REAL, "Celeb-synthesis": FAKE}


def read_celeb_df(root: Path) -> list[VideoRecord]:
    """Returns the videos of a Celeb-DF folder (v1 or v2), sorted by id; a UserError says what keeps it from being one.

    Each of `Celeb-real`, `YouTube-real` and `Celeb-synthesis` may hold its clips itself or in a sub-folder `videos`.
    Li et al., "Celeb-DF: A Large-scale Challenging Dataset for DeepFake Forensics", CVPR 2020.
    """
    folders = _celeb_df_folders(root)
    found = [(folder, path) for folder in folders for path in _clips(root / folder)]
    if not found:
        raise UserError(f"{root} holds no videos in {' or '.join(folders)}; unpack the data set there.")
    records = [_record(root, folder, path) for folder, path in found]
    _refuse_duplicates(records)
    tested = _read_test_list(root / TEST_LIST, {record.id: record.label for record in records})
    sources = {record.id.rpartition(".")[0]: record.id for record in records}
    return sorted((_complete(record, tested, sources) for record in records), key=lambda record: record.id)


def _celeb_df_folders(root: Path) -> list[str]:
    if not root.is_dir():
        raise UserError(f"{root} is not a folder; give the data set's folder as DATA=....")
    folders = [name for name in CELEB_DF if (root / name).is_dir()]
    if not folders:
        raise UserError(f"{root} has none of the folders {', '.join(CELEB_DF)}; give the folder that holds them.")
    return folders


def _clips(folder: Path) -> Iterator[Path]:
    for place in (folder, folder / "videos"):
        if place.is_dir():
            # A link into nothing or a pipe stays: it ends as a failure that is listed.
            yield from (path for path in place.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES and not path.is_dir())


def _record(root: Path, folder: str, path: Path) -> VideoRecord:
    if (name := printable(path.name)) != path.name:
        raise UserError(f"{root / folder} holds {name}, a name with unprintable signs; rename the file.")
    target, donor, source = _people(folder, path.stem)
    status = path.stat() if path.is_file() else path.lstat()
    return VideoRecord(
        id=f"{folder}/{path.name}",
        path=path.relative_to(root).as_posix(),
        label=CELEB_DF[folder],
        target=target,
        donor=donor,
        source=source,
        part="",
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
    )


def _people(folder: str, stem: str) -> tuple[str, str, str]:
    """Returns target, donor and the source video's id without suffix, as far as the name tells."""
    if folder == "YouTube-real":
        return f"youtube-{stem}", "", ""
    if match := re.fullmatch(r"(id\d+)_(id\d+)_(\d+)", stem):
        return match[1], match[2], f"Celeb-real/{match[1]}_{match[3]}"
    if match := re.fullmatch(r"(id\d+)_\d+", stem):
        return match[1], "", ""
    return "", "", ""


def _refuse_duplicates(records: list[VideoRecord]) -> None:
    paths: dict[str, str] = {}
    for record in records:
        if record.id in paths:
            raise UserError(f"{record.id} is there twice, as {paths[record.id]} and {record.path}; remove one.")
        paths[record.id] = record.path


def _read_test_list(path: Path, labels: dict[str, int]) -> set[str]:
    """Returns the ids on the official test list; the list says 1 for real, the reverse of our labels."""
    if not path.is_file():
        return set()
    lines = [(number, line.split()) for number, line in enumerate(_lines(path), 1) if line.strip()]
    listed = {_listed_id(words, f"{path}, line {number}", labels): number for number, words in lines}
    absent = [name for name in listed if name not in labels]
    if absent:
        raise UserError(
            f"{path} names {len(absent)} of {len(listed)} videos that are not there, the first {absent[0]}; "
            "complete the data set, or take these lines out."
        )
    return set(listed)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise UserError(f"{path} is not a text file; restore the list that came with the data set.") from None


def _listed_id(words: list[str], where: str, labels: dict[str, int]) -> str:
    if len(words) != 2 or words[0] not in ("0", "1"):
        raise UserError(f"{where} is not `1 folder/name` (real) or `0 folder/name` (fake); mend the line.")
    try:
        parts = [part for part in safe_relative_path(words[1]).parts if part != "videos"]
    except ValueError:
        raise UserError(f"{where} names {words[1]}, which leaves the data set; take the line out.") from None
    name = "/".join(parts)
    if labels.get(name, 1 - int(words[0])) != 1 - int(words[0]):
        raise UserError(f"{where} calls {name} {'real' if words[0] == '1' else 'fake'}, but its folder says otherwise.")
    return name


def _complete(record: VideoRecord, tested: set[str], sources: dict[str, str]) -> VideoRecord:
    """Returns `record` with its official part, and its source as the id of a video where that is in the set."""
    part = "" if not tested else "test" if record.id in tested else "train"
    return replace(record, part=part, source=sources.get(record.source, record.source))
