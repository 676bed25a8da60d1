"""`contract.json`, which describes an exported detector: its files, and the preprocessing its networks expect."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from base.commands import flag
from base.errors import UserError
from base.outside.values import WrongValue, parse, read_json, shown
from base.text import printable
from cache.profile import CropProfile, Profile, crops_of, fingerprint, profile_of
from cache.schema import central_region
from detect.detector.formats import FORMATS
from evaluate.results.about_run import RANDOM, AboutRun
from evaluate.stats.calibration import COLDEST, HOTTEST, LEAST_OF_CLASS, Temperature
from train.runs.replay import Replay

CONTRACT = "contract.json"
EXPORTS = "export"
"""The folder in a run folder where exports go, one folder each."""


@dataclass(frozen=True)
class _Network:
    file: str


@dataclass(frozen=True)
class _Temperature:
    value: Annotated[float, Meta(ge=COLDEST, le=HOTTEST)]
    clips: Annotated[int, Meta(ge=0, le=10**9)]


@dataclass(frozen=True)
class _Contract:
    """The entries that are used; others are for readers. Exports made before lack the last four."""

    run: str
    format: str
    profile: dict[str, Any]
    fingerprint: str
    networks: dict[str, _Network]
    temperature: _Temperature | None
    detector_file: str | None
    checksums: dict[str, str] = field(default_factory=dict)
    replay: dict[str, Replay] = field(default_factory=dict)
    about_run: AboutRun | None = None
    recogniser_file: str | None = None


@dataclass(frozen=True)
class Contract:
    """What `detect` reads in `contract.json`. `files` are those of the networks: detector, backbone, head, or some.

    `checksums` are those of files by name; `replay` has the clip of a network that has to come out again, by name.
    """

    folder: Path
    run: str
    format: str
    profile: Profile
    files: dict[str, Path]
    temperature: Temperature | None
    detector_file: str | None
    checksums: dict[str, str]
    replay: dict[str, Replay]
    about: AboutRun
    recogniser_file: str | None = None

    @property
    def crops(self) -> CropProfile:
        """The part of the profile that says how crops are made."""
        return crops_of(self.profile)


def is_export(folder: Path) -> bool:
    """Returns whether `folder` holds an export, or something in its contract's place, which reading it then names."""
    return os.path.lexists(folder / CONTRACT)


def exported_folder(folder: Path, engine: str) -> Path:
    """Returns the folder of the export for `engine` of the run in `folder`, or `folder` if that is an export itself."""
    if not is_export(folder):
        return folder / EXPORTS / engine
    if engine not in ("auto", "keras", format := read_contract(folder).format):
        raise UserError(f"{folder} was exported for {format}, not for {engine}; leave out {flag('engine')}.")
    return folder


def read_contract(folder: Path) -> Contract:
    """Returns the contract in `folder`; a UserError says what is wrong with it."""
    path = folder / CONTRACT
    try:
        values = parse(_Contract, read_json(path))
        if values.format not in FORMATS:
            raise WrongValue(f"has {shown(values.format)} as 'format', where one of {', '.join(FORMATS)} is expected")
        names = {network: entry.file for network, entry in values.networks.items()}
        contract = Contract(
            folder,
            values.run,
            values.format,
            _profile(values),
            {network: folder / name for network, name in names.items()},
            _temperature(values.temperature),
            values.detector_file,
            values.checksums,
            values.replay,
            _about(values),
            values.recogniser_file,
        )
        present = {file.name for file in folder.iterdir()}
    except (OSError, ValueError) as error:
        raise UserError(f"{path} does not describe an exported detector ({error}); export it again.") from None
    for name in names.values():
        if name not in present:
            raise UserError(f"{folder} lacks {name!r}, which its {CONTRACT} names; export it again.")
    if not ("detector" in names or {"backbone", "head"} <= names.keys()):
        raise UserError(f"{path} names neither a detector nor a backbone and a head; export it again.")
    return contract


def _profile(values: _Contract) -> Profile:
    try:
        profile = profile_of(values.profile)
    except WrongValue as error:
        raise ValueError(f"its profile is not that of its fingerprint, {values.fingerprint}: it {error}") from None
    if fingerprint(profile) != values.fingerprint:
        raise ValueError(f"its profile is not that of its fingerprint, {values.fingerprint}")
    return profile


def _temperature(fitted: _Temperature | None) -> Temperature | None:
    """Returns the temperature in a contract; None without one, or with one of fewer clips than are needed now."""
    if fitted is None or fitted.clips < 2 * LEAST_OF_CLASS:
        return None
    return Temperature(fitted.value, fitted.clips)


def _about(values: _Contract) -> AboutRun:
    """Returns what is known of the run; exports made before say nothing of it but its name and its weights."""
    random = str(values.profile.get("weights", "")).startswith("random")
    about = values.about_run or AboutRun((Path(values.run).name,), doubts=(RANDOM,) if random else ())
    return replace(about, names=tuple(map(printable, about.names)), doubts=tuple(map(printable, about.doubts)))


def describe(profile: CropProfile) -> dict[str, Any]:
    """Returns the preprocessing in words, for readers who write it again in another language."""
    middle = ", ".join(map(str, central_region(profile.margin)))
    return {
        "sampling": "the frames on display at the middles of twelve equal spans of the clip, by timestamp, upright; a "
        "clip of twelve frames or fewer gives all of them"
        if profile.sampling == "uniform"
        else "the clip's first twelve frames, upright",
        "crop": f"a square around the face that {profile.detector} finds: the longer side of its box plus "
        f"{profile.margin:g} of it on each edge, moved back inside the frame; in a frame without a face the box of the "
        "frame before or after it; the whole frame if no frame of the clip has a face",
        "resize": "to 160 x 160, by area where that shrinks the square, else linear",
        "regions": "left, top, right and bottom of the face's box in pixels of the resized crop, rounded, 0 to 160; "
        f"{middle} where there is no face or its box covers the whole crop, zeros where masked",
        "pixels": "uint8 RGB, 0 to 255; scaling and normalisation are inside the network",
        "mask": "true for each frame to look at; false for a black crop in place of a frame whose face is lost, with "
        "no box before or after it to borrow, and for the black crops that fill a clip of fewer than twelve frames",
    }
