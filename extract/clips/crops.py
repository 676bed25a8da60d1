"""From a clip to its crops. Extraction, detection on a file and the stream all use these functions."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from cache.profile import CropProfile
from cache.schema import CROP_SIZE, FRAMES, Seen
from extract.clips.boxes import FaceDetector, Thumbnails, thumbnails_of
from extract.clips.face_detectors import make_face_detector
from extract.clips.people import TEXTURE, FaceDescriptor
from extract.clips.recogniser import make_descriptor
from extract.clips.tracks import Person, crop_along, find_people
from extract.provenance.claims import read_claims
from extract.video.containers import Limits
from extract.video.decode import sample_frames, sample_windows
from extract.video.display import one_size
from extract.video.film import Frames
from extract.video.numbered import FPS
from extract.video.pictures import is_picture, read_picture


@dataclass(frozen=True)
class LeftOut:
    """What of a clip is not judged with one of its people.

    `faces` more of the `people` who can be judged are not; `brief` others are seen too briefly for that. `scenes`
    frames are of shots that do not show the person. A file that breaks off holds the first of the two `seconds`, its
    header promises the second.
    """

    faces: int = 0
    people: int = 0
    brief: int = 0
    scenes: int = 0
    seconds: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class CroppedClip:
    """Twelve crops of one clip, uint8 (12, 160, 160, 3) RGB, zeros where padded; what they show; and how long it took.

    `seconds` are those of work spent in "decode" and "faces". `left_out` is what else the clip holds, told with its
    first person alone but for `scenes`.
    """

    crops: np.ndarray
    seen: Seen
    seconds: dict[str, float]
    left_out: LeftOut = LeftOut()


def crop_clip(
    path: Path,
    profile: CropProfile,
    limits: Limits = Limits(),
    detector_file: Path | None = None,
    recogniser_file: Path | None = None,
    fps: float = FPS,
) -> CroppedClip:
    """Returns the crops of the video at `path`, made as `profile` says; raises ClipError if it has none.

    It may be a folder of numbered pictures, `fps` of whose numbers are shown a second.
    """
    start = time.process_time()
    frames = sample_frames(path, profile.sampling, limits, fps)
    decoded = time.process_time()
    detector = _detector(profile.detector, detector_file)
    clip = crop_frames(frames, detector, profile.margin, _descriptor(recogniser_file))
    clip.seconds.update(decode=decoded - start, faces=time.process_time() - decoded)
    return clip


@dataclass(frozen=True, eq=False)
class Piece:
    """The crops of one of a clip's people, or of the main face in one of its windows.

    `span` holds the first and last second of a window, None for a person; `is_last` marks the end of the clip. The
    first piece has what the file `claims` of its making (see `read_claims`), and `thumbnails` of the clip's frames
    where they are asked for.
    """

    crops: CroppedClip
    span: tuple[float, float] | None = None
    is_last: bool = False
    thumbnails: Thumbnails | None = None
    claims: tuple[str, ...] = ()


def crop_in_pieces(
    path: Path,
    profile: CropProfile,
    limits: Limits = Limits(),
    detector_file: Path | None = None,
    faces: int = 1,
    window: float | None = None,
    thumbnails: int | None = None,
    recogniser_file: Path | None = None,
    fps: float = FPS,
) -> Iterator[Piece]:
    """Yields the crops of up to `faces` people, the first as `crop_clip` returns them, and then those of each window.

    The file may be a picture, which is a clip of one frame, or a folder, see `crop_clip`. `window` is in seconds.
    Without it, or if the clip is no longer than it, there are no windows. `thumbnails` is the longer side of the small
    frames that come along, in pixels. Raises ClipError if no frame can be decoded.
    """

    def pieces() -> Iterator[Piece]:
        detector, descriptor = _detector(profile.detector, detector_file), _descriptor(recogniser_file)
        picture = is_picture(path)
        frames = read_picture(path, limits) if picture else sample_frames(path, profile.sampling, limits, fps)
        small = None if thumbnails is None else thumbnails_of(one_size(frames.images), thumbnails)
        claims = read_claims(path)
        for person in crop_people(frames, detector, profile.margin, faces, descriptor):
            yield Piece(person, thumbnails=small, claims=claims)
            small, claims = None, ()
        if window is not None and not picture:
            for span, part in sample_windows(path, window, limits, fps):
                yield Piece(crop_frames(part, detector, profile.margin, descriptor), span)

    all_pieces = pieces()
    piece = next(all_pieces)
    for following in all_pieces:
        yield piece
        piece = following
    yield replace(piece, is_last=True)


_detector = lru_cache(maxsize=1)(make_face_detector)
"""Reading Haar's file takes as long as searching two frames."""
_descriptor = lru_cache(maxsize=1)(make_descriptor)
"""As above, for SFace."""


def crop_frames(
    frames: Frames, detector: FaceDetector, margin: float, descriptor: FaceDescriptor = TEXTURE
) -> CroppedClip:
    """Returns the crops of the one face in at most twelve frames that are decoded already."""
    return crop_people(frames, detector, margin, 1, descriptor)[0]


def crop_people(
    frames: Frames, detector: FaceDetector, margin: float, most: int, descriptor: FaceDescriptor = TEXTURE
) -> list[CroppedClip]:
    """Returns the crops of up to `most` people, the largest face first, in at most twelve decoded frames."""
    images = one_size(frames.images)
    people = find_people(images, detector, most, descriptor)
    clips = [_padded(frames, images, person, margin) for person in people.judged]
    count, scenes = len(clips) + people.more, clips[0].left_out.scenes
    left_out = LeftOut(people.more, count, people.brief, scenes, frames.breaks_off)
    return [replace(clips[0], left_out=left_out), *clips[1:]]


def _padded(frames: Frames, images: Sequence[np.ndarray], person: Person, margin: float) -> CroppedClip:
    of_person = [images[i] for i in person.frames]
    crops, status, boxes, regions = crop_along(of_person, [person.track[i] for i in person.frames], margin)
    padded, seen, count = np.zeros((FRAMES, CROP_SIZE, CROP_SIZE, 3), np.uint8), Seen.nothing(), len(crops)
    padded[:count], seen.status[:count], seen.times[:count] = crops, status, [frames.times[i] for i in person.frames]
    seen.boxes[:count], seen.regions[:count] = boxes, regions
    return CroppedClip(padded, seen, {}, LeftOut(scenes=len(images) - count))
