"""Clip -> verdict, by the same sampling, crops and network as training."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from cache.profile import CropProfile
from cache.schema import FRAMES, LEAST_COVERAGE, OK, FrameStatus, Row, UserError, VideoRecord, coverage_of, mask_of
from detect.detector.networks import Judge
from evaluate.stats.calibration import Temperature
from evaluate.stats.metrics import THRESHOLD
from extract.backbones.engines import Engine
from extract.clip_workers import map_clips
from extract.clips.crops import CroppedClip, crop_people_and_windows
from extract.clips.decode import ClipError, Limits
from extract.clips.face_detectors import face_detector_hash
from extract.steps import Clock, crop_row, rows_with_features


@dataclass(frozen=True)
class SeenFrame:
    """One of the twelve frames: `seconds` from the clip's start, what it shows, and the face's box in pixels."""

    seconds: float
    status: Literal["face", "tracked", "full_frame"]
    box: tuple[int, int, int, int] | None


@dataclass(frozen=True)
class Moment:
    """What a window of a long clip shows, from `start` to `end` seconds; `probability` is None where no face is."""

    start: float
    end: float
    probability: float | None
    coverage: float


@dataclass(frozen=True)
class Ask:
    """What to say of each clip.

    A clip whose probability of fake reaches `threshold` is called fake. Up to `faces` people are judged, the largest
    first. A clip longer than `window` seconds is judged in windows as well; None leaves that out.
    """

    threshold: float = THRESHOLD
    faces: int = 1
    window: float | None = None


@dataclass(frozen=True)
class Verdict:
    """What the detector says of one person in one clip.

    `verdict` is "Real", "Fake", "Undecided" (too little face to judge) or "Failed" (no frame could be had); the last
    two carry the `reason`. `probability` is that of fake, in [0, 1], None without a verdict; `calibrated` is the same
    by the run's temperature, so that of clips with 0.8 four in five are fake, None where the run has no validation part
    to learn it from. `coverage` is the share of frames in which a face was detected. `face` counts the people from 1,
    the largest; `timeline` are the windows of a long clip, judged by its largest face.
    """

    clip: str
    verdict: Literal["Real", "Fake", "Undecided", "Failed"]
    probability: float | None
    calibrated: float | None
    coverage: float
    reason: str
    frames: tuple[SeenFrame, ...]
    face: int = 1
    timeline: tuple[Moment, ...] = ()

    def as_dict(self) -> dict:
        """Returns plain values for JSON."""
        return asdict(self)


Seen = tuple[Verdict, np.ndarray | None]
"""A verdict and the crops that it rests on, uint8 (12, 160, 160, 3), None where the clip failed."""


class Detector:
    """A run brought to life (`detect.detector.load.open_detector`): judges clips one batch after another.

    `profile` says how its crops are made; `judge` what they mean; `temperature` calibrates that.
    """

    def __init__(
        self, profile: CropProfile, judge: Judge, temperature: Temperature | None, detector_file: Path | None
    ) -> None:
        _refuse_other_detector(profile, detector_file)
        self.profile, self.detector_file = profile, detector_file
        self._judge, self._temperature = judge, temperature

    def judged_by(self, wrap: Callable[[Judge], Judge]) -> "Detector":
        """Returns the same detector with what `wrap` makes of its judge."""
        return Detector(self.profile, wrap(self._judge), self._temperature, self.detector_file)

    @property
    def engine(self) -> Engine | None:
        """What makes features of crops; None where the run judges the crops themselves."""
        return self._judge.engine

    def judge(
        self, clips: Sequence[Path], ask: Ask = Ask(), limits: Limits = Limits(), workers: int = 2
    ) -> Iterator[list[Seen]]:
        """Yields the verdicts on each clip, one a person, the fastest clip first.

        With each verdict come the crops it rests on.
        """
        held: deque[_Part] = deque()
        rows = self.embedded(self._rows(clips, ask, limits, workers, held))
        people: list[Seen] = []
        timeline: list[Moment] = []
        for row in rows:
            part = held.popleft()
            if part.span:
                timeline.append(self._moment(row, part.span))
            else:
                verdict = self.verdict(str(clips[int(row.id)]), row, ask.threshold)
                people.append((replace(verdict, face=len(people) + 1), part.crops))
            if part.last:
                yield [(replace(people[0][0], timeline=tuple(timeline)), people[0][1]), *people[1:]]
                people, timeline = [], []

    def _rows(
        self, clips: Sequence[Path], ask: Ask, limits: Limits, workers: int, held: "deque[_Part]"
    ) -> Iterator[Row]:
        """Yields the rows of crops of each clip, its people, then its windows; puts each into `held` as well."""
        given = (self.profile, limits, self.detector_file, ask.faces, ask.window)
        tasks = ((str(number), (clip, *given)) for number, clip in enumerate(clips))
        for number, found in map_clips(
            crop_people_and_windows, tasks, max(1, min(workers, len(clips))), limits.seconds
        ):
            if isinstance(found, ClipError):
                parts: list[tuple[CroppedClip | ClipError, _Span | None]] = [(found, None)]
            else:
                parts = [(person, None) for person in found.people]
                parts += zip(found.windows, found.spans, strict=True)
            for count, (part, span) in enumerate(parts, start=1):
                row = row_of(number, part)
                held.append(_Part(span, count == len(parts), row.array))
                yield row

    def embedded(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Turns rows of crops into rows of what the run judges, in the same order."""
        return rows_with_features(rows, self.engine, Clock()) if self.engine else iter(rows)

    def verdict(self, clip: str, row: Row, threshold: float) -> Verdict:
        """Returns the verdict on the person in `row`, which holds what the run judges: features, or crops."""
        if row.array is None:
            return Verdict(clip, "Failed", None, None, 0.0, f"{row.outcome}: {row.reason}", ())
        coverage = float(coverage_of(row.status))
        if coverage < LEAST_COVERAGE:
            faces, shown = round(coverage * mask_of(row.status).sum()), int(mask_of(row.status).sum())
            reason = f"a face was found in {faces} of {shown} frames; half of them are needed"
            return Verdict(clip, "Undecided", None, None, coverage, reason, _seen(row))
        probability = self.probability(row.array, row.status)
        verdict = "Fake" if probability >= threshold else "Real"
        return Verdict(clip, verdict, probability, self.calibrated(probability), coverage, "", _seen(row))

    def _moment(self, row: Row, span: "_Span") -> Moment:
        """Returns what a window shows."""
        assert row.array is not None
        coverage = float(coverage_of(row.status))
        probability = self.probability(row.array, row.status) if coverage >= LEAST_COVERAGE else None
        return Moment(round(span[0], 3), round(span[1], 3), probability, coverage)

    def probability(self, array: np.ndarray, status: np.ndarray) -> float:
        """Returns the probability of fake of one clip with frame status uint8 (12,).

        `array` is what the run judges: features float16 (12, D), or crops uint8 (12, 160, 160, 3).
        """
        return float(self.probabilities(array[None], mask_of(status)[None])[0])

    def probabilities(self, arrays: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """Returns the probabilities of fake, float64 (N,), of N such arrays with masks bool (N, 12)."""
        return self._judge.probabilities(arrays, masks)

    def calibrated(self, probability: float) -> float | None:
        """Returns `probability` by the run's temperature, None where it has none."""
        return None if self._temperature is None else float(self._temperature(np.array(probability)))


_Span = tuple[float, float]


@dataclass(frozen=True, eq=False)
class _Part:
    """Crops on their way through the backbone: the `span` of their window, if any, and whether their clip's `last`."""

    span: "_Span | None"
    last: bool
    crops: np.ndarray | None


def require_threshold(threshold: float) -> None:
    """Raises a UserError for a `threshold` that no probability can reach or miss."""
    if not 0 <= threshold <= 1:
        raise UserError(f"--threshold {threshold:g} is not a probability; give a number from 0 to 1.")


def row_of(name: str, found: CroppedClip | ClipError) -> Row:
    """Returns the row of crops, or of the failure, of what calls itself `name`."""
    return crop_row(VideoRecord(name, name, 0, "", "", "", "", 0, 0), found)


def _refuse_other_detector(crops: CropProfile, file: Path | None) -> None:
    here = face_detector_hash(crops.detector, file)
    if here != crops.detector_file:
        what = "install the locked version of opencv-python-headless"
        if crops.detector == "yunet":
            what = "give the same ONNX file with --detector-file"
        raise UserError(
            f"the detector {crops.detector} here is the file {here}, the run was trained with {crops.detector_file}; "
            f"{what}."
        )


def _seen(row: Row) -> tuple[SeenFrame, ...]:
    assert row.outcome == OK
    names = {FrameStatus.FACE: "face", FrameStatus.TRACKED: "tracked", FrameStatus.FULL_FRAME: "full_frame"}
    return tuple(
        SeenFrame(
            round(float(row.times[i]), 3),
            names[FrameStatus(row.status[i])],  # pyright: ignore[reportArgumentType]
            tuple(row.boxes[i].tolist()) if row.status[i] != FrameStatus.FULL_FRAME else None,
        )
        for i in range(FRAMES)
        if row.status[i] != FrameStatus.PAD
    )
