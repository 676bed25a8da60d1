"""`contract.json`, which describes an exported detector: its files, and the preprocessing its networks expect."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cache.commands import command, flag
from cache.profile import CropProfile, Profile, crops_of, fingerprint, parse_profile
from cache.schema import UserError, central_region
from evaluate.stats.calibration import Temperature

CONTRACT = "contract.json"
EXPORTS = "export"
"""The folder in a run folder where exports go, one folder each."""

Format = Literal["keras", "h5", "savedmodel", "onnx", "litert", "openvino"]
EngineName = Literal["keras", "onnx", "litert", "openvino"]
"""What runs the networks of a detector: Keras, or one of `PORTABLE`."""
SUFFIXES: dict[str, str] = {
    "keras": ".keras",
    "h5": ".h5",
    "savedmodel": "",
    "onnx": ".onnx",
    "litert": ".tflite",
    "openvino": ".xml",
}
PORTABLE = ("onnx", "litert", "openvino")
"""The formats that `detect` runs, without TensorFlow."""


@dataclass(frozen=True)
class Contract:
    """What `detect` reads in `contract.json`. `files` are those of the networks: detector, backbone, head, or some."""

    folder: Path
    run: str
    format: str
    profile: Profile
    files: dict[str, Path]
    temperature: Temperature | None
    detector_file: Path | None

    @property
    def crops(self) -> CropProfile:
        """The part of the profile that says how crops are made."""
        return crops_of(self.profile)


def exported_folder(folder: Path, engine: str) -> Path:
    """Returns the folder of the export for `engine` of the run in `folder`, or `folder` if that is an export itself."""
    if (folder / CONTRACT).is_file():
        if engine not in ("keras", format := read_contract(folder).format):
            raise UserError(f"{folder} was exported for {format}, not for {engine}; leave out {flag('engine')}.")
        return folder
    if not (folder / EXPORTS / engine / CONTRACT).is_file():
        raise UserError(
            f"{folder} has no export for {engine}; run {command('export', run=folder, format=engine)} first, or leave "
            f"out {flag('engine')}."
        )
    return folder / EXPORTS / engine


def read_contract(folder: Path) -> Contract:
    """Returns the contract in `folder`; a UserError says what is wrong with it."""
    path = folder / CONTRACT
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        profile = parse_profile(json.dumps(values["profile"]), "its profile")
        if fingerprint(profile) != values["fingerprint"]:
            raise ValueError(f"its profile is not that of its fingerprint, {values['fingerprint']}")
        names = {network: str(entry["file"]) for network, entry in values["networks"].items()}
        fitted = values["temperature"]
        temperature = None if fitted is None else Temperature(float(fitted["value"]), int(fitted["clips"]))
        if temperature and not 0 < temperature.value < math.inf:
            raise ValueError(f"its temperature is {temperature.value:g}")
        file = values["detector_file"]
        contract = Contract(
            folder,
            str(values["run"]),
            str(values["format"]),
            profile,
            {network: folder / name for network, name in names.items()},
            temperature,
            None if file is None else Path(file),
        )
        present = {file.name for file in folder.iterdir()}
    except (
        OSError,
        ArithmeticError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        UserError,
        RecursionError,
    ) as error:
        raise UserError(f"{path} does not describe an exported detector ({error}); export it again.") from None
    for name in names.values():
        if name not in present:
            raise UserError(f"{folder} lacks {name!r}, which its {CONTRACT} names; export it again.")
    if not ("detector" in names or {"backbone", "head"} <= names.keys()):
        raise UserError(f"{path} names neither a detector nor a backbone and a head; export it again.")
    return contract


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
