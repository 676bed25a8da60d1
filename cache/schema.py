"""The constants and records that all stages share."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import PurePosixPath
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

FRAMES = 12
"""Frames sampled from each video."""
CROP_SIZE = 160
"""Side of a face crop, in pixels."""
REAL, FAKE = 0, 1
"""The labels. "Positive" is fake, everywhere."""


class FrameStatus(enum.IntEnum):
    """What one of a clip's twelve crops shows. Stored as uint8."""

    PAD = 0
    """Nothing, because the clip has fewer than twelve frames. Masked everywhere."""
    FACE = 1
    """A face that was detected in this frame."""
    TRACKED = 2
    """The box of the nearest frame with a detected face: none was detected here."""
    FULL_FRAME = 3
    """The whole frame, resized, because no face was detected anywhere in the clip."""
    LOST = 4
    """Nothing: the person is not found here, nor in the frames before and after. Masked everywhere."""


TRAIN, VAL, TEST = "train", "val", "test"
PARTS = (TRAIN, VAL, TEST)
"""The parts of a split, the data set's own or ours."""
Label = Annotated[int, Meta(ge=REAL, le=FAKE)]
Name = Annotated[str, Meta(min_length=1)]
Part = Annotated[str, Meta(pattern=rf"\A({'|'.join(PARTS)}|)\Z")]
MOST = 2**63 - 1
"""Sizes and times are not above: an int64 holds them."""


@dataclass(frozen=True)
class VideoRecord:
    """One row of a manifest: a video and what is known about it before it is decoded.

    `id` is its permanent name (for Celeb-DF `folder/name.ext`, without any `videos/` sub-folder); `path` is relative to
    the data set's root, with forward slashes. `target` is the person in the original footage, `donor` the person whose
    face was inserted ("" if none), `source` the id of the real video from which a fake was made ("" if real or
    unknown). `part` is the data set's own split: "train", "val", "test" or "". `size` (bytes) and `mtime_ns` show
    whether a file has changed since it was extracted; a copy with the content of then has the time of then. `kind` is
    the method that made a fake, such as "Deepfakes" ("" if real or unknown). `fps` is 0 for a file;
    of a clip that is a folder of numbered pictures, it says how many numbers are shown a second.
    """

    id: Name
    path: str
    label: Label
    target: str
    donor: str
    source: str
    part: Part
    size: Annotated[int, Meta(ge=0, le=MOST)]
    mtime_ns: Annotated[int, Meta(ge=-MOST, le=MOST)]
    kind: str = ""
    fps: Annotated[float, Meta(ge=0)] = 0.0

    @property
    def is_blend(self) -> bool:
        """Whether this is no video but a blended clip, made of the crops of the real video `source`."""
        return is_blend_id(self.id)

    @property
    def people(self) -> frozenset[str]:
        """Everyone in the video, target and donor."""
        return frozenset(name for name in (self.target, self.donor) if name)

    @property
    def key(self) -> tuple[str, int, int]:
        """Identifies the file's content, as far as that is possible without reading it."""
        return (self.id, self.size, self.mtime_ns)


BLEND = "#blend"
"""Stands in a blended clip's id between the id of its real video and a number from 1."""


def is_blend_id(name: str) -> bool:
    """Returns whether `name` is the id of a blended clip; a video's id ends with its suffix."""
    source, _, number = name.rpartition(BLEND)
    return bool(source) and number.isdecimal()


def safe_relative_path(text: str) -> PurePosixPath:
    """Returns `text` as a relative path; raises ValueError if it could lead out of its root."""
    require_inside(text)
    return PurePosixPath(text.replace("\\", "/"))


def require_inside(text: str) -> None:
    """Raises ValueError if the path `text` is blank or could lead out of its root; makes no path, for speed."""
    name = text.replace("\\", "/")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    blank = not "".join(parts).strip()
    if blank or "\0" in text or name.startswith("/") or ".." in parts or ":" in parts[0]:
        raise ValueError(f"{text!r} is not a path inside the data set")


@dataclass(frozen=True, eq=False)
class Seen:
    """What was seen in a clip's twelve frames, or, with an axis of N in front, in those of N clips.

    `status` is uint8 (12,), `times` float64 (12,) seconds from the clip's first frame (NaN where padded), `boxes` int32
    (12, 4) as x, y, width, height in pixels of the displayed frame (zeros where there is no face). `regions` is uint8
    (12, 4), the face's box inside its crop as left, top, right, bottom in pixels of the crop: the central square where
    there is no face, zeros where padded.
    """

    status: np.ndarray
    times: np.ndarray
    boxes: np.ndarray
    regions: np.ndarray

    @classmethod
    def nothing(cls) -> "Seen":
        """Returns twelve padded frames."""
        none = np.zeros((FRAMES, 4), np.int32)
        return cls(np.zeros(FRAMES, np.uint8), np.full(FRAMES, np.nan), none, none.astype(np.uint8))

    @classmethod
    def of(cls, clips: "Sequence[Seen]") -> "Seen":
        """Returns what was seen in all of `clips`."""
        return cls(*(np.array([getattr(clip, name) for clip in clips]) for name in SEEN))

    def __getitem__(self, clips: Any) -> "Seen":
        """Returns what was seen in some of the clips, by number, or by numbers int (M,)."""
        return Seen(*(getattr(self, name)[clips] for name in SEEN))

    @property
    def mask(self) -> np.ndarray:
        """bool (12,): the frames to look at."""
        return mask_of(self.status)

    @property
    def coverage(self) -> np.ndarray:
        """float64 (): the share in [0, 1] of the frames in which a face was detected, see `coverage_of`."""
        return coverage_of(self.status)


SEEN = tuple(field.name for field in fields(Seen))


@dataclass(frozen=True, eq=False)
class Row:
    """The result for one video: what was seen and its array, or a named failure with the reason.

    `array` holds the clip's crops, uint8 (12, 160, 160, 3) RGB, or its features, float16 (12, D); None for a failure.
    `file_checksum` is that of the video's file, "" where it is not known. `tag` is of whoever made the row: the steps
    of stage 1 pass it on, and no store keeps it.
    """

    id: str
    size: int
    mtime_ns: int
    outcome: str
    reason: str
    seen: Seen
    array: np.ndarray | None
    file_checksum: str = ""
    tag: Any = None

    @property
    def key(self) -> tuple[str, int, int]:
        """Equals `VideoRecord.key` as long as the file is unchanged."""
        return (self.id, self.size, self.mtime_ns)


OK = "ok"
"""The outcome of a row with an array. Any other outcome names a failure."""


def failed_row(record: VideoRecord | Row, outcome: str, reason: str) -> Row:
    """Returns the row of a video that could not be used; `record` says which, by its own record or an earlier row."""
    return Row(*record.key, outcome, reason, Seen.nothing(), None, tag=getattr(record, "tag", None))


def central_region(margin: float) -> np.ndarray:
    """Returns the region uint8 (4,) of a face in the middle of its crop, cut with this `margin` around its box."""
    half = CROP_SIZE / (1 + 2 * margin) / 2
    low, high = round(CROP_SIZE / 2 - half), round(CROP_SIZE / 2 + half)
    return np.array([low, low, high, high], np.uint8)


def central_regions(status: np.ndarray, margin: float) -> np.ndarray:
    """Returns `central_region` for each frame of status (..., 12), zeros where padded: uint8 (..., 12, 4)."""
    return central_region(margin) * mask_of(status)[..., None]


def mask_of(status: np.ndarray) -> np.ndarray:
    """Returns the boolean mask (..., 12) of frames to look at: status (..., 12) is neither `PAD` nor `LOST`."""
    return (status != FrameStatus.PAD) & (status != FrameStatus.LOST)


def coverage_of(status: np.ndarray) -> np.ndarray:
    """Returns, for status (..., 12), the share in [0, 1] of a clip's frames in which a face was detected.

    Borrowed boxes do not count: one false positive could fill a whole clip with them. Without frames it is 0.
    """
    return (status == FrameStatus.FACE).sum(axis=-1) / np.maximum((status != FrameStatus.PAD).sum(axis=-1), 1)


LEAST_COVERAGE = 0.5
"""A clip with less coverage shows too little face for its probability to mean anything."""
