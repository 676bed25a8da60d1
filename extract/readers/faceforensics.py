"""Reads FaceForensics++: one compression level of its two trees, people from names, parts from its three lists."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal, get_args

from msgspec import Meta

from base.commands import flag
from base.errors import UserError
from cache.schema import FAKE, PARTS, REAL, VideoRecord
from extract.readers.dataset import (
    Dataset,
    find_in,
    link_sources,
    make_dataset,
    make_record,
    read_as,
    require_folder,
)

Compression = Literal["auto", "raw", "c0", "c23", "c40"]
LEVELS = get_args(Compression)[1:]
TREES = {"original_sequences": REAL, "manipulated_sequences": FAKE}
CONVERSION = "conversion_dict.json"
_Number = Annotated[str, Meta(pattern=r"\A[0-9]{3}\Z")]


def is_faceforensics(root: Path) -> bool:
    """Returns whether `root` has one of the two trees."""
    return any((root / tree).is_dir() for tree in TREES)


def read_faceforensics(root: Path, compression: Compression = "auto") -> Dataset:
    """Returns the videos of one compression level of FaceForensics++; raises a UserError if it cannot be read.

    An id is `method/name`, without tree and level, so a video has the same id at every level. The level is part of
    the set's name, so each level has its own store. `auto` takes the level on disk if there is only one.
    Rössler et al., "FaceForensics++: Learning to Detect Manipulated Facial Images", ICCV 2019.
    """
    require_folder(root)
    folders = {folder: label for tree, label in TREES.items() for folder in _folders(root / tree)}
    level = _choose_level(root, list(folders), compression)
    people, parts = _read_people(root), _read_parts(root)
    found = find_in(*(folder / level for folder in folders))
    records = [
        _record(root, folder, path, folders[folder], people, parts)
        for path in found.clips
        for folder in [root.joinpath(*path.relative_to(root).parts[:2])]
    ]
    name = f"{root.resolve().name}-{level}"
    notes = [*_notes(list(folders), level), *found.describe_left_out(root)]
    return make_dataset(root, link_sources(records), name, notes)


def _folders(tree: Path) -> list[Path]:
    return sorted(folder for folder in tree.iterdir() if folder.is_dir()) if tree.is_dir() else []


def _choose_level(root: Path, folders: Sequence[Path], choice: Compression) -> str:
    levels = [level for level in LEVELS if any(_has_clips(folder / level) for folder in folders)]
    if not levels:
        raise UserError(
            f"{root} holds no videos such as original_sequences/youtube/c23/videos/000.mp4; unpack the data set there."
        )
    if choice == "auto" and len(levels) > 1:
        raise UserError(
            f"{root} has the compression levels {', '.join(levels)}; choose one with {flag('compression', levels[0])}."
        )
    if choice != "auto" and choice not in levels:
        raise UserError(
            f"{root} has no videos of compression {choice}, only of {', '.join(levels)}; choose one of these."
        )
    return levels[0] if choice == "auto" else choice


def _has_clips(folder: Path) -> bool:
    return bool(find_in(folder).clips)


def _notes(folders: Sequence[Path], level: str) -> Iterator[str]:
    for folder in folders:
        if not _has_clips(folder / level):
            yield f"{folder} has no videos of compression {level}; left out."


def _record(
    root: Path, folder: Path, path: Path, label: int, people: dict[str, str], parts: dict[str, str]
) -> VideoRecord:
    target, donor, source = _people(path.stem, people)
    return make_record(
        root,
        path,
        label,
        f"{folder.name}/{path.name}",
        target=target,
        donor=donor,
        source=source if label == FAKE else "",
        part=parts.get(path.stem, ""),
        kind=folder.name if label == FAKE else "",
    )


def _people(stem: str, people: dict[str, str]) -> tuple[str, str, str]:
    """Returns target, donor and the source video's id without suffix; "" for what the name does not say.

    YouTube sequences are named `target_donor`, three digits each; actors are named `target_donor__scene__experiment`.
    """
    if match := re.fullmatch(r"(\d{3})(?:_(\d{3}))?", stem):
        target, donor = (f"ff-{people.get(number, number)}" if number else "" for number in match.groups())
        return target, donor, f"youtube/{match[1]}"
    if match := re.fullmatch(r"(\d{2})_(\d{2})__(.+)__\w+", stem):
        return f"actor-{match[1]}", f"actor-{match[2]}", f"actors/{match[1]}__{match[3]}"
    if match := re.fullmatch(r"(\d{2})__.+", stem):
        return f"actor-{match[1]}", "", ""
    return "", "", ""


def _read_people(root: Path) -> dict[str, str]:
    """Returns for each sequence the first sequence of the same YouTube video, from the set's list if it exists.

    The 1000 sequences come from 977 videos. Without the list, each sequence counts as a different person.
    """
    path = root / CONVERSION
    if not os.path.lexists(path):
        return {}
    videos = read_as(dict[str, Annotated[str, Meta(pattern=r"\S")]], path)  # such as "000": "--b1Ua-kWJE 0"
    first: dict[str, str] = {}
    return {number: first.setdefault(videos[number].split()[0], number) for number in sorted(videos)}


def _read_parts(root: Path) -> dict[str, str]:
    """Returns the official part of each name, original or manipulated, from the three lists."""
    lists = {part: _find_list(root, part) for part in PARTS}
    absent = [f"{part}.json" for part, path in lists.items() if path is None]
    if len(absent) == len(PARTS):
        return {}
    if absent:
        raise UserError(f"{root} has lists of official parts but no {absent[0]}; add it, or remove the others.")
    parts: dict[str, str] = {}
    for part, path in lists.items():
        assert path is not None
        for one, other in read_as(list[tuple[_Number, _Number]], path):
            for name in (one, other, f"{one}_{other}", f"{other}_{one}"):
                if parts.setdefault(name, part) != part:
                    raise UserError(f"{path} names {name}, which is also in {parts[name]}.json; restore the lists.")
    return parts


def _find_list(root: Path, part: str) -> Path | None:
    return next(filter(os.path.lexists, (root / f"{part}.json", root / "splits" / f"{part}.json")), None)
