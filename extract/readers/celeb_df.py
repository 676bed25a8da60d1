"""Reads Celeb-DF: labels by folder, identities from names, the official test part from its list."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from base.errors import UserError
from base.outside.lists import read_text
from base.outside.values import explained, shown
from cache.schema import FAKE, REAL, VideoRecord, safe_relative_path
from extract.readers.branches import ANY, HOLDERS, NAME, Branch, read_branches
from extract.readers.dataset import Dataset, link_sources, make_dataset
from extract.readers.found import Found

TEST_LIST = "List_of_testing_videos.txt"
CELEB_DF = {"Celeb-real": REAL, "YouTube-real": REAL, "Celeb-synthesis": FAKE}
BRANCHES = (
    Branch(REAL, rf"Celeb-real/{ANY}(?P<target>id\d+)_\d+"),
    Branch(REAL, rf"Celeb-real/{ANY}(?P<target>id\d+)/{ANY}{NAME}"),
    Branch(REAL, rf"Celeb-real/{ANY}{NAME}"),
    Branch(REAL, rf"YouTube-real/{ANY}{NAME}"),
    Branch(FAKE, rf"Celeb-synthesis/(?P<kind>{ANY})(?P<target>id\d+)_(?P<donor>id\d+)_(?P<number>\d+)",
           source="Celeb-real/{target}_{number}"),
    Branch(FAKE, rf"Celeb-synthesis/(?P<kind>{ANY}){NAME}"),
)  # fmt: skip


def read_celeb_df(found: Found) -> Dataset:
    """Returns the videos of a Celeb-DF folder (v1, v2 or Celeb-DF++); raises a UserError if it cannot be read.

    Clips lie in `Celeb-real`, `YouTube-real` and `Celeb-synthesis` or below: in `videos`, in a folder for each person,
    or, as in Celeb-DF++, in one for each method. Li et al., "Celeb-DF: A Large-scale Challenging Dataset for DeepFake
    Forensics", CVPR 2020, github.com/yuezunli/celeb-deepfakeforensics; Li et al., "Celeb-DF++", 2025,
    github.com/OUC-VAS/Celeb-DF-PP; as frames, github.com/SCLBD/DeepfakeBench.
    """
    records = read_branches(found, BRANCHES)
    if not records:
        raise UserError(f"{found.base} holds no videos in {' or '.join(CELEB_DF)}; unpack the data set there.")
    tested = _read_test_list(found.base / TEST_LIST, {_bare(record.id): record for record in records})
    parted = link_sources(records)
    if tested:
        parted = [replace(record, part="test" if record.id in tested else "train") for record in parted]
    return make_dataset(found, parted)


def _bare(name: str) -> str:
    """Returns `name` as the list and a clip have it in common: where clips lie as frames, it may name their videos."""
    return name.removesuffix(".mp4")


def _read_test_list(path: Path, records: Mapping[str, VideoRecord]) -> set[str]:
    """Returns the ids on the official test list; the list says 1 for real, the reverse of our labels."""
    if not os.path.lexists(path):
        return set()
    with explained(path, "a text", "restore the list that came with the set"):
        text = read_text(path)
    lines = [(number, line.split()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    listed = {_listed_id(words, f"{path}, line {number}", records): number for number, words in lines}
    absent = [name for name in listed if _bare(name) not in records]
    if absent:
        raise UserError(
            f"{path} names {len(absent)} of {len(listed)} videos that do not exist, the first {shown(absent[0])}; "
            "complete the data set, or remove these lines."
        )
    return {records[_bare(name)].id for name in listed}


def _listed_id(words: list[str], where: str, records: Mapping[str, VideoRecord]) -> str:
    if len(words) != 2 or words[0] not in ("0", "1"):
        raise UserError(f"{where} is not `1 folder/name` (real) or `0 folder/name` (fake); correct the line.")
    try:
        parts = [part for part in safe_relative_path(words[1]).parts if part not in HOLDERS]
    except ValueError:
        raise UserError(f"{where} names {shown(words[1])}, which is outside the data set; remove the line.") from None
    name = "/".join(parts)
    record = records.get(_bare(name))
    if record and record.label != 1 - int(words[0]):
        raise UserError(
            f"{where} calls {shown(name)} {'real' if words[0] == '1' else 'fake'}, but its folder says otherwise."
        )
    return name
