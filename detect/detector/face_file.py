"""Which file of the face detector a run needs."""

from pathlib import Path

from base.errors import Unreadable
from base.outside.content import NO_FILE, WrongContent, require_regular
from cache.profile import CropProfile
from extract.clips.face_detectors import MOST_DETECTOR, face_detector_hash


def needed_file(crops: CropProfile, hint: object) -> Path | None:
    """Returns the file that the run's folder names, `hint`, only if the crops were made with it: None is the one here.

    A folder from elsewhere may name any file. Only an ONNX file of a sensible size is looked at, and it is used only if
    it has the hash in the profile.
    """
    if not hint or face_detector_hash(crops.detector) == crops.detector_file:
        return None
    path = Path(str(hint))
    try:
        return path if path.suffix == ".onnx" and require_regular(path) <= MOST_DETECTOR else None
    except (*NO_FILE, WrongContent, Unreadable):
        return None
