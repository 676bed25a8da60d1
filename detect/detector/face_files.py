"""The files that find faces and tell them apart: those that a run's crops were made with, wherever they lie now."""

from pathlib import Path

from base.commands import flag
from base.errors import Unreadable, UserError
from base.outside.content import NO_FILE, WrongContent, require_regular
from cache.profile import CropProfile
from cache.store import Origin
from detect.detector.contract import Contract
from extract.clips.face_detectors import MOST_DETECTOR, face_detector_hash
from extract.clips.recogniser import MOST_RECOGNISER, recogniser_hash


def face_files(
    crops: CropProfile, named: Origin | Contract, detector: Path | None, recogniser: Path | None
) -> tuple[Path | None, Path | None]:
    """Returns the files for `crops`: the face detector's and the recogniser's that the user gave, else those `named`.

    None is the face detector that comes with Reelcheck, and people told apart without a recogniser. A folder from
    elsewhere may name any file: only an ONNX file of a sensible size is looked at, and `require_same` refuses another.
    """
    if not detector and named.detector_file and face_detector_hash(crops.detector) != crops.detector_file:
        detector = _sensible(Path(named.detector_file), MOST_DETECTOR)
    if not recogniser and named.recogniser_file and crops.recogniser_file:
        recogniser = _sensible(Path(named.recogniser_file), MOST_RECOGNISER)
    return detector, recogniser


def _sensible(path: Path, most: int) -> Path | None:
    try:
        return path if path.suffix == ".onnx" and require_regular(path) <= most else None
    except (*NO_FILE, WrongContent, Unreadable):
        return None


def require_same(crops: CropProfile, detector: Path | None, recogniser: Path | None) -> None:
    """Raises a UserError unless the two files are those that `crops` were made with."""
    here = face_detector_hash(crops.detector, detector)
    if here != crops.detector_file:
        way_out = "install the locked version of opencv-python-headless"
        if crops.detector == "yunet":
            way_out = f"give the same ONNX file with {flag('detector_file')}"
        raise UserError(
            f"the face detector {crops.detector} here is the file {here}, the run was trained with "
            f"{crops.detector_file}; {way_out}."
        )
    if crops.recogniser_file and (here := recogniser_hash(recogniser)) != crops.recogniser_file:
        raise UserError(
            f"the run was trained with faces told apart by the file {crops.recogniser_file}, here is {here or 'none'}; "
            f"give the same ONNX file with {flag('recogniser_file')}."
        )
