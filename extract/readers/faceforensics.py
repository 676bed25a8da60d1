"""Reads FaceForensics++: one compression level of its two trees, people from names, parts from its three lists."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, get_args

from msgspec import Meta

from base.commands import flag
from base.errors import UserError
from cache.schema import FAKE, PARTS, REAL, VideoRecord
from extract.readers.branches import ANY, HOLDERS, NAME, Branch, read_branches
from extract.readers.dataset import Dataset, link_sources, make_dataset, read_as, stem_of
from extract.readers.found import Found

Compression = Literal["auto", "raw", "c0", "c23", "c40"]
LEVELS = get_args(Compression)[1:]
TREES = ("original_sequences", "manipulated_sequences")
METHODS = ("Deepfakes", "Face2Face", "FaceShifter", "FaceSwap", "NeuralTextures")
CONVERSION = "conversion_dict.json"
_Number = Annotated[str, Meta(pattern=r"\A[0-9]{3}\Z")]
_ORIGINAL = rf"original_sequences/(?P<tree>{NAME})/(?P<level>{'|'.join(LEVELS)})/{ANY}"
_MANIPULATED = rf"manipulated_sequences/(?P<kind>{NAME})/(?P<level>{'|'.join(LEVELS)})/{ANY}"
# YouTube sequences are named `target_donor`, three digits each; actors are named `target_donor__scene__experiment`.
_YOUTUBE, _ACTOR = r"(?P<target>\d{3})", r"(?P<target>\d{2})"
_PAIR = r"(?P<target>\d{3})_(?P<donor>\d{3})"
_ACTORS = r"(?P<target>\d{2})_(?P<donor>\d{2})__(?P<scene>.+)__\w+"
_YOUTUBE_PEOPLE = {"target": "ff-{target}", "donor": "ff-{donor}"}
_ACTOR_PEOPLE = {"target": "actor-{target}", "donor": "actor-{donor}"}
BRANCHES = (
    Branch(REAL, _ORIGINAL + _YOUTUBE, **_YOUTUBE_PEOPLE),
    Branch(REAL, _ORIGINAL + _ACTOR + "__.+", **_ACTOR_PEOPLE),
    Branch(REAL, _ORIGINAL + NAME),
    Branch(FAKE, _MANIPULATED + _PAIR, source="youtube/{target}", **_YOUTUBE_PEOPLE),
    Branch(FAKE, _MANIPULATED + _YOUTUBE, source="youtube/{target}", **_YOUTUBE_PEOPLE),
    Branch(FAKE, _MANIPULATED + _ACTORS, source="actors/{target}__{scene}", **_ACTOR_PEOPLE),
    Branch(FAKE, _MANIPULATED + NAME),
)
_COPY = rf"(?P<kind>{'|'.join(METHODS)}|DeepFakeDetection)/{ANY}"
COPY_BRANCHES = (
    Branch(REAL, rf"original/{ANY}{_YOUTUBE}", **_YOUTUBE_PEOPLE),
    Branch(REAL, rf"original/{ANY}{_ACTOR}__.+", **_ACTOR_PEOPLE),
    Branch(REAL, rf"original/{ANY}{NAME}"),
    Branch(FAKE, _COPY + _PAIR, source="original/{target}", **_YOUTUBE_PEOPLE),
    Branch(FAKE, _COPY + _ACTORS, source="original/{target}__{scene}", **_ACTOR_PEOPLE),
    Branch(FAKE, _COPY + NAME),
)
DFD_BRANCHES = (
    Branch(REAL, rf"DFD_original[ _]sequences/{ANY}{_ACTOR}__.+", **_ACTOR_PEOPLE),
    Branch(REAL, rf"DFD_original[ _]sequences/{ANY}{NAME}"),
    Branch(FAKE, rf"DFD_manipulated[ _]sequences/{ANY}{_ACTORS}", kind="DeepFakeDetection",
           source="DFD_original sequences/{target}__{scene}", **_ACTOR_PEOPLE),
    Branch(FAKE, rf"DFD_manipulated[ _]sequences/{ANY}{NAME}", kind="DeepFakeDetection"),
)  # fmt: skip


def read_faceforensics(found: Found, compression: Compression = "auto") -> Dataset:
    """Returns the clips of one compression level of FaceForensics++; raises a UserError if it cannot be read.

    An id is `method/name`, without tree and level, so a clip has the same id at every level. The level is part of
    the set's name, so each level has its own store. `auto` takes the level on disk if there is only one.
    Rössler et al., "FaceForensics++: Learning to Detect Manipulated Facial Images", ICCV 2019, and DeepFakeDetection
    (Google and Jigsaw, 2019), both by github.com/ondyari/FaceForensics; as frames, github.com/SCLBD/DeepfakeBench.
    """
    level = _choose_level(found, compression)
    records = read_branches(found, BRANCHES, HOLDERS | set(TREES) | {level}, only=level)
    if not records:
        raise UserError(f"{found.base} holds no clips of compression {level}; unpack them there.")
    name = f"{found.base.resolve().name}-{level}"
    return make_dataset(found, _with_lists(found.base, records), name, list(_notes(found, records, level)))


def read_faceforensics_copy(found: Found) -> Dataset:
    """Returns the clips of FaceForensics++ as it is passed round at compression C23, with a folder for each method.

    On Kaggle as xdxd003/ff-c23. It has neither lists nor the originals of DeepFakeDetection; lists that were put there
    are read. Raises a UserError if it cannot be read.
    """
    return make_dataset(found, _with_lists(found.base, read_branches(found, COPY_BRANCHES)))


def read_dfd(found: Found) -> Dataset:
    """Returns the clips of DeepFakeDetection as it is passed round by itself; raises a UserError if it cannot be read.

    On Kaggle as sanikatiwarekar/deep-fake-detection-dfd-entire-original-dataset: `DFD_original sequences` and, twice in
    each other, `DFD_manipulated_sequences`.
    """
    return make_dataset(found, link_sources(read_branches(found, DFD_BRANCHES)))


def _choose_level(found: Found, choice: Compression) -> str:
    places = [clip.relative_to(found.base).parts for clip in found.clips]
    there = {parts[2].lower() for parts in places if len(parts) > 3 and parts[0].lower() in TREES}
    levels = [level for level in LEVELS if level in there]
    if not levels:
        raise UserError(
            f"{found.base} holds no videos such as original_sequences/youtube/c23/videos/000.mp4; unpack the data set "
            "there."
        )
    if choice == "auto" and len(levels) > 1:
        raise UserError(
            f"{found.base} has the compression levels {', '.join(levels)}; choose one with "
            f"{flag('compression', levels[0])}."
        )
    if choice != "auto" and choice not in levels:
        raise UserError(
            f"{found.base} has no videos of compression {choice}, only of {', '.join(levels)}; choose one of these."
        )
    return levels[0] if choice == "auto" else choice


def _notes(found: Found, records: list[VideoRecord], level: str) -> Iterator[str]:
    read = {(found.root / record.path).relative_to(found.base).parts[:2] for record in records}
    trees = sorted(tree for tree in found.base.iterdir() if tree.name.lower() in TREES and tree.is_dir())
    for method in (method for tree in trees for method in sorted(tree.iterdir()) if method.is_dir()):
        if method.relative_to(found.base).parts not in read:
            yield f"{method} has no videos of compression {level}; left out."


def _with_lists(root: Path, records: list[VideoRecord]) -> list[VideoRecord]:
    """Returns `records` with the people and parts that the lists in `root` know of, and their sources linked."""
    people, parts = _read_people(root), _read_parts(root)
    return [
        replace(
            record,
            target=people.get(record.target, record.target),
            donor=people.get(record.donor, record.donor),
            part=parts.get(stem_of(record).rpartition("/")[2], ""),
        )
        for record in link_sources(records)
    ]


def _read_people(root: Path) -> Mapping[str, str]:
    """Returns for the person of each sequence that of the first one of the same YouTube video, if the list exists.

    The 1000 sequences come from 977 videos. Without the list, each sequence counts as a different person.
    """
    path = root / CONVERSION
    if not os.path.lexists(path):
        return {}
    videos = read_as(dict[str, Annotated[str, Meta(pattern=r"\S")]], path)  # such as "000": "--b1Ua-kWJE 0"
    first: dict[str, str] = {}
    return {f"ff-{number}": f"ff-{first.setdefault(videos[number].split()[0], number)}" for number in sorted(videos)}


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
