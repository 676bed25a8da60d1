"""What a video's file holds, as a checksum: it tells a copy with a new time from a file that was changed."""

import contextlib
import hashlib
from pathlib import Path

import xxhash

from cache.profile import CropProfile
from extract.clips.crops import CroppedClip, crop_clip
from extract.video.containers import Limits


def file_checksum(path: Path) -> str:
    """Returns the XXH3-128 of all bytes of the file, 32 hex digits."""
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, xxhash.xxh3_128).hexdigest()  # pyright: ignore[reportArgumentType]


def crop_and_checksum(
    path: Path, profile: CropProfile, limits: Limits, detector_file: Path | None
) -> tuple[CroppedClip, str]:
    """Returns what `crop_clip` does, and the checksum of the file, "" if that has gone meanwhile.

    The file was just read by the decoder, so reading it again costs little. This module is apart from others because
    it is what a worker process imports.
    """
    clip = crop_clip(path, profile, limits, detector_file)
    with contextlib.suppress(OSError):
        return clip, file_checksum(path)
    return clip, ""
