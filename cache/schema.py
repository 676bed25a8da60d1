"""The constants and records that every stage agrees on."""

import enum
import unicodedata
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

FRAMES = 12
"""Frames sampled from each video."""
CROP_SIZE = 160
"""Side of a face crop, in pixels."""
REAL, FAKE = 0, 1
"""The labels. "Positive" is fake, everywhere."""


class UserError(Exception):
    """What the user can mend: one sentence of what was found, where, and the way out. Printed without a traceback."""


class FrameStatus(enum.IntEnum):
    """What one of a clip's twelve crops shows. Stored as uint8."""

    PAD = 0
    """Nothing: the clip had fewer than twelve frames. Masked everywhere."""
    FACE = 1
    """A face detected in this frame."""
    TRACKED = 2
    """No detection here; the box is borrowed from the nearest detection of the clip's track."""
    FULL_FRAME = 3
    """No face anywhere in the clip; the whole frame, resized."""


TRAIN, VAL, TEST = "train", "val", "test"
PARTS = (TRAIN, VAL, TEST)
"""The parts of a split, a data set's own or ours."""


@dataclass(frozen=True)
class VideoRecord:
    """One row of a manifest: a video and what is known of it before anyone has looked inside.

    `id` names it for good (for Celeb-DF `folder/name.ext`, with any `videos/` sub-folder left out); `path` is relative
    to the data set's root, with forward slashes. `target` is the person whose footage this is, `donor` the person
    whose face was put in ("" where there is none), `source` the id of the real video that a fake was made from ("" if
    real or unknown). `part` is the data set's own split: "train", "val", "test" or "". `size` (bytes) and `mtime_ns`
    tell a changed file from the one that was extracted.
    """

    id: str
    path: str
    label: int
    target: str
    donor: str
    source: str
    part: str
    size: int
    mtime_ns: int

    @property
    def people(self) -> frozenset[str]:
        """Everyone in the video, target and donor."""
        return frozenset(name for name in (self.target, self.donor) if name)

    @property
    def key(self) -> tuple[str, int, int]:
        """Identity of the file's content as far as it can be told without reading it."""
        return (self.id, self.size, self.mtime_ns)


def safe_relative_path(text: str) -> PurePosixPath:
    """Returns `text` as a relative path that cannot leave its root; raises ValueError where it could."""
    path = PurePosixPath(text.replace("\\", "/"))
    blank = not "".join(path.parts).strip()
    if blank or "\0" in text or path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise ValueError(f"{text!r} is not a path inside the data set")
    return path


def printable(text: str) -> str:
    """Returns `text` with control characters, and bytes that were no Unicode, written as escapes: one line of text."""
    unsafe = ("Cc", "Cs", "Zl", "Zp")
    return "".join(ascii(sign)[1:-1] if unicodedata.category(sign) in unsafe else sign for sign in text)


@dataclass(frozen=True, eq=False)
class Row:
    """How one video ended: its array, or a named failure with the reason.

    `status` is uint8 (12,), `times` float64 (12,) seconds from the clip's first frame (NaN where padded), `boxes` int32
    (12, 4) as x, y, width, height in pixels of the displayed frame (zeros where there is no face). `array` is the
    clip's crops, uint8 (12, 160, 160, 3) RGB, or features, float16 (12, D); None for a failure.
    """

    id: str
    size: int
    mtime_ns: int
    outcome: str
    reason: str
    status: np.ndarray
    times: np.ndarray
    boxes: np.ndarray
    array: np.ndarray | None

    @property
    def key(self) -> tuple[str, int, int]:
        """Matches `VideoRecord.key` while the file is unchanged."""
        return (self.id, self.size, self.mtime_ns)


OK = "ok"
"""The outcome of a row that holds an array; any other outcome names a failure."""


def failed_row(record: VideoRecord, outcome: str, reason: str) -> Row:
    """Returns the row of a video that could not be used."""
    return Row(
        *record.key,
        outcome=outcome,
        reason=reason,
        status=np.zeros(FRAMES, np.uint8),
        times=np.full(FRAMES, np.nan),
        boxes=np.zeros((FRAMES, 4), np.int32),
        array=None,
    )


def mask_of(status: np.ndarray) -> np.ndarray:
    """Returns the boolean mask (..., 12) of the frames that are there: status (..., 12) is not `PAD`."""
    return status != FrameStatus.PAD


def coverage_of(status: np.ndarray) -> np.ndarray:
    """Returns, for status (..., 12), the share in [0, 1] of a clip's frames in which a face was detected.

    A borrowed box counts for nothing: one false positive would make a whole clip of them. No frames means coverage 0.
    """
    return (status == FrameStatus.FACE).sum(axis=-1) / np.maximum(mask_of(status).sum(axis=-1), 1)


LEAST_COVERAGE = 0.5
"""Coverage below which a clip shows too little face for its probability to mean anything."""
