"""What a video's file holds, as a checksum: it tells a copy with a new time from a file that was changed."""

import contextlib
from pathlib import Path

from base.errors import Unreadable
from base.outside.content import NO_FILE, WrongContent, checksum
from cache.profile import CropProfile
from extract.clips.crops import CroppedClip, crop_clip
from extract.video.containers import Limits


def crop_and_checksum(
    path: Path, profile: CropProfile, limits: Limits, detector_file: Path | None, recogniser_file: Path | None
) -> tuple[CroppedClip, str]:
    """Returns what `crop_clip` does, and the checksum of the file, "" if it cannot be read any more.

    The file was just read by the decoder, so reading it again costs little. This module is apart from others because
    it is what a worker process imports.
    """
    clip = crop_clip(path, profile, limits, detector_file, recogniser_file)
    with contextlib.suppress(*NO_FILE, WrongContent, Unreadable):
        return clip, checksum(path)
    return clip, ""
