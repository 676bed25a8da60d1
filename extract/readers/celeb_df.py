"""Reads Celeb-DF: labels by folder, identities from names, the official test part from its list."""

import os
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from base.errors import UserError
from base.outside.lists import read_text
from base.outside.values import explained, shown
from cache.schema import FAKE, REAL, VideoRecord, safe_relative_path
from extract.readers.dataset import Dataset, find_in, link_sources, make_dataset, make_record, require_folder

TEST_LIST = "List_of_testing_videos.txt"
CELEB_DF = {"Celeb-real": REAL, "YouTube-real": REAL, "Celeb-synthesis": FAKE}


def is_celeb_df(root: Path) -> bool:
    """Returns whether `root` has one of the three folders."""
    return any((root / name).is_dir() for name in CELEB_DF)


def read_celeb_df(root: Path) -> Dataset:
    """Returns the videos of a Celeb-DF folder (v1 or v2); raises a UserError if it cannot be read.

    Each of `Celeb-real`, `YouTube-real` and `Celeb-synthesis` may hold its clips directly or in a sub-folder `videos`.
    Li et al., "Celeb-DF: A Large-scale Challenging Dataset for DeepFake Forensics", CVPR 2020.
    """
    folders = _folders(root)
    found = find_in(*(root / folder for folder in folders))
    records = [_record(root, path) for path in found.clips]
    if not records:
        raise UserError(f"{root} holds no videos in {' or '.join(folders)}; unpack the data set there.")
    tested = _read_test_list(root / TEST_LIST, {record.id: record.label for record in records})
    return make_dataset(root, _with_parts(link_sources(records), tested), notes=found.describe_left_out(root))


def _folders(root: Path) -> list[str]:
    require_folder(root)
    folders = [name for name in CELEB_DF if (root / name).is_dir()]
    if not folders:
        raise UserError(f"{root} has none of the folders {', '.join(CELEB_DF)}; give the folder that contains them.")
    return folders


def _record(root: Path, path: Path) -> VideoRecord:
    folder = path.relative_to(root).parts[0]
    target, donor, source = _people(folder, path.stem)
    name = f"{folder}/{path.name}"
    return make_record(root, path, CELEB_DF[folder], name, target=target, donor=donor, source=source)


def _people(folder: str, stem: str) -> tuple[str, str, str]:
    """Returns target, donor and the source video's id without suffix; "" for what the name does not say."""
    if folder == "YouTube-real":
        return f"youtube-{stem}", "", ""
    if match := re.fullmatch(r"(id\d+)_(id\d+)_(\d+)", stem):
        return match[1], match[2], f"Celeb-real/{match[1]}_{match[3]}"
    if match := re.fullmatch(r"(id\d+)_\d+", stem):
        return match[1], "", ""
    return "", "", ""


def _read_test_list(path: Path, labels: dict[str, int]) -> set[str]:
    """Returns the ids on the official test list; the list says 1 for real, the reverse of our labels."""
    if not os.path.lexists(path):
        return set()
    with explained(path, "a text", "restore the list that came with the set"):
        text = read_text(path)
    lines = [(number, line.split()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    listed = {_listed_id(words, f"{path}, line {number}", labels): number for number, words in lines}
    absent = [name for name in listed if name not in labels]
    if absent:
        raise UserError(
            f"{path} names {len(absent)} of {len(listed)} videos that do not exist, the first {shown(absent[0])}; "
            "complete the data set, or remove these lines."
        )
    return set(listed)


def _listed_id(words: list[str], where: str, labels: dict[str, int]) -> str:
    if len(words) != 2 or words[0] not in ("0", "1"):
        raise UserError(f"{where} is not `1 folder/name` (real) or `0 folder/name` (fake); correct the line.")
    try:
        parts = [part for part in safe_relative_path(words[1]).parts if part != "videos"]
    except ValueError:
        raise UserError(f"{where} names {shown(words[1])}, which is outside the data set; remove the line.") from None
    name = "/".join(parts)
    if labels.get(name, 1 - int(words[0])) != 1 - int(words[0]):
        raise UserError(
            f"{where} calls {shown(name)} {'real' if words[0] == '1' else 'fake'}, but its folder says otherwise."
        )
    return name


def _with_parts(records: Iterable[VideoRecord], tested: set[str]) -> list[VideoRecord]:
    if not tested:
        return list(records)
    return [replace(record, part="test" if record.id in tested else "train") for record in records]
