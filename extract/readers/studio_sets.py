"""Reads data sets that were filmed or generated for research, each with folders that say all but the official part."""

import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Annotated

from msgspec import Meta

from base.errors import UserError
from base.outside.lists import read_table, read_text
from base.outside.values import explained
from cache.schema import FAKE, PARTS, REAL, Part, VideoRecord
from extract.readers.branches import ANY, NAME, Branch, read_branches
from extract.readers.dataset import Dataset, if_readable, make_dataset, read_as, stem_of
from extract.readers.found import Found

AV_TABLE = "meta_data.csv"
_AV_COLUMNS = ("source", "method", "type", "path")
AV_KINDS = tuple(f"{video}Video-{audio}Audio" for video in ("Real", "Fake") for audio in ("Real", "Fake"))
_AV_PERSON = rf"{ANY}(?P<target>id\d+)/{ANY}"
AV_BRANCHES = (
    Branch(REAL, rf"RealVideo-(?:Real|Fake)Audio/{_AV_PERSON}{NAME}"),
    Branch(REAL, rf"RealVideo-(?:Real|Fake)Audio/{ANY}{NAME}"),
    Branch(FAKE, rf"(?P<kind>FakeVideo-(?:Real|Fake)Audio)/{_AV_PERSON}{NAME}_(?P<donor>id\d+)_{NAME}"),
    Branch(FAKE, rf"(?P<kind>FakeVideo-(?:Real|Fake)Audio)/{_AV_PERSON}{NAME}"),
    Branch(FAKE, rf"(?P<kind>FakeVideo-(?:Real|Fake)Audio)/{ANY}{NAME}"),
)
_ACTOR = r"[MW]\d{3}"
DEEPER_BRANCHES = (
    Branch(REAL, rf"source_videos/{ANY}(?P<target>{_ACTOR})/{ANY}{NAME}"),
    Branch(REAL, rf"source_videos/{ANY}(?:(?P<target>{_ACTOR})_)?{NAME}"),
    Branch(FAKE, rf"manipulated_videos/(?P<kind>{NAME})/{ANY}(?P<target>\d{{3}})_(?P<donor>{_ACTOR})",
           target="ff-{target}", source="youtube/{target}"),
    Branch(FAKE, rf"manipulated_videos/(?:(?P<kind>{NAME})/{ANY})?{NAME}"),
)  # fmt: skip
PREVIEW_LIST = "dataset.json"
PREVIEW_BRANCHES = (
    Branch(REAL, rf"original_videos/{ANY}(?P<target>\d+)/{ANY}{NAME}"),
    Branch(REAL, rf"original_videos/{ANY}(?P<target>\d+)_{NAME}"),
    Branch(REAL, rf"original_videos/{ANY}{NAME}"),
    Branch(FAKE, rf"(?P<kind>method_[a-z])/{ANY}(?P<target>\d+)/(?P<donor>\d+)/{ANY}{NAME}"),
    Branch(FAKE, rf"(?P<kind>method_[a-z])/{ANY}(?P<target>\d+)_{NAME}"),
    Branch(FAKE, rf"(?P<kind>method_[a-z])/{ANY}{NAME}"),
)


def read_fakeavceleb(found: Found) -> Dataset:
    """Returns the clips of FakeAVCeleb; a real video is real footage here, also with a voice that is not.

    The kind of a fake is the `method` in `meta_data.csv`; without that file, its folder. Khalid et al., "FakeAVCeleb",
    NeurIPS Datasets 2021, github.com/DASH-Lab/FakeAVCeleb.
    """
    notes: list[str] = []
    path = found.base / AV_TABLE
    methods = if_readable(lambda: _av_methods(path), {}, notes) if os.path.lexists(path) else {}
    records = read_branches(found, AV_BRANCHES)
    return make_dataset(found, [_with_method(record, methods) for record in records], notes=notes)


def _av_methods(path: Path) -> dict[tuple[str, str, str], str]:
    """Returns the method of each clip by its folder of the four, its person and its name.

    A row has the name of the clip's file under `path`, and its folder, which has no heading, behind.
    """
    rows = read_table(path, _AV_COLUMNS).rows
    return {(row["type"], row["source"], PurePosixPath(row["path"]).stem): row["method"] for _, row in rows}


def _with_method(record: VideoRecord, methods: Mapping[tuple[str, str, str], str]) -> VideoRecord:
    name = PurePosixPath(stem_of(record))
    method = methods.get((record.kind, record.target, name.name), "")
    return replace(record, kind=method) if method.strip("-") and record.kind else record


def read_deeperforensics(found: Found) -> Dataset:
    """Returns the clips of DeeperForensics-1.0: actors as real footage, their faces in FaceForensics++ videos as fakes.

    A fake is in the part whose list names it, an actor in that of the fakes with the actor's face. Jiang et al., CVPR
    2020, github.com/EndlessSora/DeeperForensics-1.0; as frames, github.com/SCLBD/DeepfakeBench.
    """
    notes = [
        "DeeperForensics-1.0's authors take the originals of FaceForensics++ for real footage, not these actors; join "
        "both sets by a CSV file to train as they do."
    ]
    parts = if_readable(lambda: _deeper_parts(found.base / "lists" / "splits"), {}, notes)
    records = [
        replace(record, part=parts.get(stem_of(record).rpartition("/")[2], "") if record.label == FAKE else "")
        for record in read_branches(found, DEEPER_BRANCHES)
    ]
    actors: defaultdict[str, set[str]] = defaultdict(set)
    for name, part in parts.items():
        actors[name.rpartition("_")[2]].add(part)
    alone = {actor: next(iter(of)) for actor, of in actors.items() if len(of) == 1}
    parted = [one if one.label == FAKE else replace(one, part=alone.get(one.target, "")) for one in records]
    return make_dataset(found, parted, notes=notes)


def _deeper_parts(folder: Path) -> dict[str, str]:
    """Returns the part of each manipulated video by its name without suffix, from the lists in `folder`."""
    parts: dict[str, str] = {}
    for part in PARTS:
        path = folder / f"{part}.txt"
        if os.path.lexists(path):
            with explained(path, "a text", "restore the list that came with the set"):
                names = [PurePosixPath(line.strip()).stem for line in read_text(path).splitlines() if line.strip()]
            for name in names:
                if parts.setdefault(name, part) != part:
                    raise UserError(f"{path} names {name}, which is also in {parts[name]}.txt; restore the lists.")
    return parts


@dataclass(frozen=True)
class _Listed:
    label: Annotated[str, Meta(pattern=r"(?i)\A(real|fake)\Z")]
    set: Part = ""


def read_dfdc_preview(found: Found) -> Dataset:
    """Returns the clips of the DFDC preview: labels and people from its folders, parts from its `dataset.json`.

    The kinds are its two methods. Dolhansky et al., "The Deepfake Detection Challenge (DFDC) Preview Dataset",
    arXiv:1910.08854; as frames, github.com/SCLBD/DeepfakeBench.
    """
    notes: list[str] = []
    path = found.base / PREVIEW_LIST
    listed = if_readable(lambda: read_as(dict[str, _Listed], path), {}, notes)
    records = read_branches(found, PREVIEW_BRANCHES)
    known = {PurePosixPath(name).with_suffix("").as_posix(): entry for name, entry in listed.items()}
    # DeepfakeBench's frames lie side by side, without the folders of the two people.
    brief = {f"{name.partition('/')[0]}/{name.rpartition('/')[2]}": name for name in known}
    names = {record.id: name for record in records if (name := stem_of(record)) in known or (name := brief.get(name))}
    for record in records:
        entry = known.get(names.get(record.id, ""))
        if entry and entry.label.lower() != ("fake" if record.label == FAKE else "real"):
            raise UserError(
                f"{path} calls {record.id} {entry.label}, but its folder says otherwise; correct one of them."
            )
    absent = known.keys() - set(names.values())
    notes += [f"{path} lists {len(absent)} of {len(known)} clips that do not exist: left out."] * bool(absent)
    parts = {name: known[listed].set for name, listed in names.items()}
    return make_dataset(found, [replace(record, part=parts.get(record.id, "")) for record in records], notes=notes)
