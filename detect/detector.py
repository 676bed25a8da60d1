"""Clip -> verdict, by the same sampling, crops and network as training."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from cache.profile import CropProfile, crops_of
from cache.schema import FRAMES, LEAST_COVERAGE, OK, FrameStatus, Row, UserError, VideoRecord, coverage_of, mask_of
from detect.judges import bring_to_life
from evaluate.results import read_temperature
from extract.detectors import detector_hash
from extract.records import VIDEO_SUFFIXES
from extract.rows import Clock, rows_from_videos
from extract.video import Limits
from train.runs import read_config


@dataclass(frozen=True)
class SeenFrame:
    """One of the twelve frames: `seconds` from the clip's start, what it shows, and the face's box in pixels."""

    seconds: float
    status: Literal["face", "tracked", "full_frame"]
    box: tuple[int, int, int, int] | None


@dataclass(frozen=True)
class Verdict:
    """What the detector says of one clip.

    `verdict` is "Real", "Fake", "Undecided" (too little face to judge) or "Failed" (no frame could be had); the last
    two carry the `reason`. `probability` is that of fake, in [0, 1], None without a verdict; `calibrated` is the same
    by the run's temperature, so that of clips with 0.8 four in five are fake, None where the run has no validation part
    to learn it from. `coverage` is the share of frames in which a face was detected.
    """

    clip: str
    verdict: Literal["Real", "Fake", "Undecided", "Failed"]
    probability: float | None
    calibrated: float | None
    coverage: float
    reason: str
    frames: tuple[SeenFrame, ...]

    def as_dict(self) -> dict:
        """Returns plain values for JSON."""
        return asdict(self)


class Detector:
    """A run folder brought to life: judges clips one batch after another."""

    def __init__(self, run: Path, weights: str | None = None, detector_file: Path | None = None) -> None:
        config, self.profile = read_config(run)
        origin = config.get("origin", {})
        self._detector_file = detector_file or (Path(origin["detector_file"]) if "detector_file" in origin else None)
        _refuse_other_detector(crops_of(self.profile), self._detector_file)
        self._judge = bring_to_life(run, weights)
        self._temperature = read_temperature(run)

    def judge(
        self, clips: Sequence[Path], threshold: float = 0.5, limits: Limits = Limits(), workers: int = 2
    ) -> Iterator[tuple[Verdict, np.ndarray | None]]:
        """Yields for each clip its verdict and its crops, uint8 (12, 160, 160, 3), None if it failed; fastest first.

        A clip whose probability of fake reaches `threshold` is called fake.
        """
        videos = [(_record(number, clip), clip) for number, clip in enumerate(clips)]
        crops: dict[str, np.ndarray | None] = {}
        rows = rows_from_videos(videos, crops_of(self.profile), limits, workers, Clock(), self._detector_file)
        for row in self._judge.arrays(_held(rows, crops)):
            yield self._verdict(str(clips[int(row.id)]), row, threshold), crops.pop(row.id)

    def _verdict(self, clip: str, row: Row, threshold: float) -> Verdict:
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

    def probability(self, array: np.ndarray, status: np.ndarray) -> float:
        """Returns the probability of fake of one clip with frame status uint8 (12,).

        `array` is what the run judges: features float16 (12, D), or crops uint8 (12, 160, 160, 3).
        """
        return self._judge.probability(array, status)

    def calibrated(self, probability: float) -> float | None:
        """Returns `probability` by the run's temperature, None where it has none."""
        return None if self._temperature is None else float(self._temperature(np.array(probability)))


def find_clips(paths: Sequence[Path]) -> list[Path]:
    """Returns `paths` with each folder replaced by the videos in and below it, by name."""
    clips: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = sorted(found for found in path.rglob("*") if found.suffix.lower() in VIDEO_SUFFIXES)
            if not below:
                raise UserError(f"{path} holds no video; give a clip, or a folder with clips.")
            clips += below
        else:
            clips.append(path)
    return clips


def _refuse_other_detector(crops: CropProfile, file: Path | None) -> None:
    here = detector_hash(crops.detector, file)
    if here != crops.detector_file:
        what = "install the locked version of opencv-python-headless"
        if crops.detector == "yunet":
            what = "give the same ONNX file with --detector-file"
        raise UserError(
            f"the detector {crops.detector} here is the file {here}, the run was trained with {crops.detector_file}; "
            f"{what}."
        )


def _record(number: int, clip: Path) -> VideoRecord:
    return VideoRecord(str(number), str(clip), 0, "", "", "", "", 0, 0)


def _held(rows: Iterator[Row], crops: dict[str, np.ndarray | None]) -> Iterator[Row]:
    for row in rows:
        crops[row.id] = row.array
        yield row


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
