"""What a clip holds, as a checksum: it tells a copy with a new time from one that was changed."""

import contextlib
from pathlib import Path
from typing import get_args

import xxhash

from base.errors import Unreadable
from base.outside.content import NO_FILE, WrongContent, checksum
from cache.profile import CropProfile, Sampling
from extract.clips.crops import CroppedClip, crop_clip
from extract.video.containers import ClipError, Limits
from extract.video.numbered import film_of_folder, numbered_in


def crop_and_checksum(
    path: Path,
    profile: CropProfile,
    limits: Limits,
    detector_file: Path | None,
    recogniser_file: Path | None,
    fps: float,
) -> tuple[CroppedClip, str]:
    """Returns what `crop_clip` does, and the checksum of the clip, "" if it cannot be read any more.

    The file was just read by the decoder, so reading it again costs little. This module is apart from others because
    it is what a worker process imports.
    """
    clip = crop_clip(path, profile, limits, detector_file, recogniser_file, fps)
    with contextlib.suppress(*NO_FILE, WrongContent, Unreadable, ClipError):
        return clip, checksum_of(path, fps)
    return clip, ""


def checksum_of(path: Path, fps: float) -> str:
    """Returns the checksum of a clip's file.

    That of a folder of numbered pictures is of `fps`, of the names and sizes of all, and of the bytes of those that
    either sampling takes: reading all would take longer than the crops. Raises what `checksum` does, and ClipError.
    """
    if not path.is_dir():
        return checksum(path)
    pictures = list(numbered_in(path).values())
    film = film_of_folder(path, Limits(), fps)
    sampled = {place for sampling in get_args(Sampling) for place in film.wanted(sampling)}
    lines = [f"{fps:g}", *(f"{picture.name} {picture.stat().st_size}" for picture in pictures)]
    lines += [checksum(pictures[place]) for place in sorted(sampled)]
    return xxhash.xxh3_128("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
