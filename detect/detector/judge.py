"""From a clip to a verdict, by the same sampling, crops and networks as in training."""

import copy
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from base.errors import UserError
from cache.profile import CropProfile
from cache.schema import LEAST_COVERAGE, FrameStatus, Row, VideoRecord
from detect.detector.face_files import require_same
from detect.detector.networks import Scorer, Scores
from detect.detector.reference import Beside, Reference
from detect.detector.verdict import Verdict, WindowScore, failed, seen_frames
from evaluate.results.about_run import UNKNOWN, AboutRun
from evaluate.stats.band import Band, Call, band_around
from evaluate.stats.calibration import Temperature
from evaluate.stats.metrics import THRESHOLD
from extract.backbones.engines import Engine
from extract.clips.boxes import Thumbnails
from extract.clips.crops import CroppedClip, LeftOut, crop_frames, crop_in_pieces
from extract.clips.face_detectors import make_face_detector
from extract.clips.recogniser import make_descriptor
from extract.steps import Clock, crop_row, rows_with_features
from extract.video.containers import ClipError, Limits
from extract.video.decoded import sample_images
from extract.video.numbered import FPS, require_rate
from extract.worker_pool import map_clips
from train.data.neighbours import SAME, Distances


@dataclass(frozen=True)
class JudgeOptions:
    """How to judge each clip.

    A clip is called fake from the probability `threshold` on, unless it is too close to call (see `Band`). Up to
    `faces` people are judged, the largest face first. A clip longer than `window` seconds is also judged window by
    window; None leaves that out. `thumbnails` is the longer side, in pixels, of the small frames that `show` of
    `Detector.judge` gets; None makes none. A folder of numbered pictures shows `fps` numbers a second.
    """

    threshold: float = THRESHOLD
    faces: int = 1
    window: float | None = None
    thumbnails: int | None = None
    fps: float = FPS


VerdictAndCrops = tuple[Verdict, Row | None]
"""A verdict and the row with the crops that it rests on, None where the clip failed."""


class Detector:
    """A run, loaded to judge clips; `detect.detector.load.open_detector` makes one.

    `profile` says how crops are made, `scorer` turns them into probabilities, `temperature` calibrates these, `about`
    says how good they are. It judges in the process that has loaded it; in one forked from that, a UserError says so.

    >>> detector = open_detector(Path("runs/my-run"))
    >>> detector.judge_clip(Path("clip.mp4")).verdict
    'Fake'
    """

    def __init__(
        self,
        profile: CropProfile,
        scorer: Scorer,
        temperature: Temperature | None,
        detector_file: Path | None,
        about: AboutRun = UNKNOWN,
        recogniser_file: Path | None = None,
    ) -> None:
        require_same(profile, detector_file, recogniser_file)
        self.profile, self.detector_file, self.about = profile, detector_file, about
        self.recogniser_file = recogniser_file
        self.reference: Reference | None = None
        self._scorer, self._temperature = scorer, temperature
        self._process = os.getpid()

    def with_scorer(self, wrap: Callable[[Scorer], Scorer]) -> "Detector":
        """Returns the same detector with its scorer replaced by `wrap(scorer)`."""
        self._require_same_process()
        other = copy.copy(self)
        other._scorer = wrap(self._scorer)
        return other

    def beside(self, reference: Reference) -> "Detector":
        """Returns the same detector, which calls a clip fake only beside the `reference` of clips known to be real."""
        other = copy.copy(self)
        other.reference = reference
        return other

    @property
    def engine(self) -> Engine | None:
        """The engine that makes features of crops; None where the network takes the crops themselves."""
        self._require_same_process()
        return self._scorer.engine

    def unlike_as_a_whole(self, points: Sequence[np.ndarray]) -> str:
        """Returns how clips at `points` (4, 64) differ as a whole from the training clips, "" where they do not."""
        if self._scorer.neighbours is None or not points:
            return ""
        from evaluate.results.unlike import sentence_on_all  # here, because detection starts without SciPy

        return sentence_on_all(self._scorer.neighbours, np.array(points))

    def judge(
        self,
        clips: Sequence[Path],
        options: JudgeOptions = JudgeOptions(),
        limits: Limits = Limits(),
        workers: int = 2,
        show: Callable[[Thumbnails], object] = lambda _: None,
    ) -> Iterator[list[VerdictAndCrops]]:
        """Yields the verdicts on each clip, one for each person, with their crops; the clip read first comes first.

        Clips are decoded in `workers` processes of their own: one that cannot be read gets the verdict "Failed". `show`
        gets the frames of each clip, small, before its verdict comes, if `options` asks for them.
        """
        rows = self.with_features(self._rows(clips, options, limits, workers, show))
        judged: dict[str, tuple[list[VerdictAndCrops], list[WindowScore]]] = {}
        for row in rows:
            part: _Part = row.tag
            people, timeline = judged.setdefault(row.id, ([], []))
            if row.array is None:
                people[:] = []  # a clip that fails after some of its windows has failed
            if part.span:
                timeline.append(self._window_score(row, part.span))
            else:
                verdict = self.verdict(str(clips[int(row.id)]), row, options.threshold)
                verdict = replace(verdict, left_out=part.left_out, claims=part.claims)
                people.append((replace(verdict, face=len(people) + 1), part.crops))
            if part.is_last:
                del judged[row.id]
                spans = () if row.array is None else tuple(timeline)
                yield [(replace(people[0][0], timeline=spans), people[0][1]), *people[1:]]

    def judge_clip(
        self, clip: Path, threshold: float = THRESHOLD, limits: Limits = Limits(), *, fps: float = FPS
    ) -> Verdict:
        """Returns the verdict on the largest face of `clip`, a video, a picture or a folder of numbered pictures.

        Of such a folder `fps` numbers are shown a second.
        """
        require_rate(fps)
        (((verdict, _),),) = self.judge([clip], JudgeOptions(threshold, fps=fps), limits, workers=1)
        return verdict

    def judge_frames(
        self,
        frames: np.ndarray | Sequence[np.ndarray],
        seconds: Sequence[float] | np.ndarray | None = None,
        threshold: float = THRESHOLD,
        name: str = "frames",
        *,
        fps: float = FPS,
    ) -> Verdict:
        """Returns the verdict on the largest face in decoded `frames`, uint8 (T, H, W, 3) RGB, upright.

        Twelve of them are sampled as they are from a file. `seconds` says when each is shown, in ascending order;
        without it `fps` of them are shown a second. A UserError names frames of another shape.

        >>> detector.judge_frames(np.zeros((30, 480, 640, 3), np.uint8)).verdict
        'Undecided'
        """
        sampled = sample_images(frames, seconds, self.profile.sampling, fps)  # pyright: ignore[reportArgumentType]
        faces = make_face_detector(self.profile.detector, self.detector_file)
        clip = crop_frames(sampled, faces, self.profile.margin, make_descriptor(self.recogniser_file))
        verdict = self.verdict(name, next(iter(self.with_features([row_of(name, clip)]))), threshold)
        return replace(verdict, left_out=clip.left_out)

    def _rows(
        self,
        clips: Sequence[Path],
        options: JudgeOptions,
        limits: Limits,
        workers: int,
        show: Callable[[Thumbnails], object],
    ) -> Iterator[Row]:
        """Yields the rows of crops of each clip, first its people, then its windows, each with its `_Part` as a tag."""
        settings = (self.profile, limits, self.detector_file, options.faces, options.window, options.thumbnails)
        settings += (self.recogniser_file, options.fps)
        tasks = ((str(number), (clip, *settings)) for number, clip in enumerate(clips))
        workers = max(1, min(workers, len(clips)))
        for number, piece in map_clips(crop_in_pieces, tasks, workers, limits.seconds, limits.all_seconds):
            failure = isinstance(piece, ClipError)
            if not failure and piece.thumbnails:
                show(piece.thumbnails)
            row = row_of(number, piece if failure else piece.crops)
            part = _Part(row)
            if not failure:
                part = _Part(row, piece.span, piece.is_last, piece.crops.left_out, piece.claims)
            yield replace(row, tag=part)

    def with_features(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Turns rows of crops into rows of what the scorer takes, in the same order: features, or crops as they are."""
        return rows_with_features(rows, self.engine, Clock()) if self.engine else iter(rows)

    def verdict(self, clip: str, row: Row, threshold: float) -> Verdict:
        """Returns the verdict on the person in `row`, which holds what the scorer takes."""
        band = self.band(threshold)
        return replace(self._verdict(clip, row, band), run=self.about, band=band)

    def _verdict(self, clip: str, row: Row, band: Band) -> Verdict:
        if row.array is None:
            return failed(clip, row.outcome, row.reason)
        coverage = float(row.seen.coverage)
        if coverage < LEAST_COVERAGE:
            faces, frames = (row.seen.status == FrameStatus.FACE).sum(), (row.seen.status != FrameStatus.PAD).sum()
            reason = f"a face was found in {faces} of {frames} frames; half of them are needed"
            reason = "no face was found in its only frame" if frames == 1 else reason
            return Verdict(clip, "Undecided", None, None, coverage, reason, seen_frames(row))
        scores = self._scores(row.array[None], row.seen.regions[None], row.seen.mask[None])
        score, far = float(scores.probabilities[0]), scores.distances
        beside = self.reference and self.reference.beside(score)
        call, reason = _called(score, band, far, beside)
        return Verdict(
            clip, call, score, self.calibrated(score), coverage, reason, seen_frames(row), beside=beside,
            distance=far and float(far.mean[0]), is_trained_on=bool(far and far.nearest[0] < SAME),
            point=far and far.points[0],
        )  # fmt: skip

    def band(self, threshold: float) -> Band:
        """Returns the scores around `threshold` that are too close to call."""
        return band_around(threshold, self._temperature)

    def _window_score(self, row: Row, span: "_Span") -> WindowScore:
        coverage = float(row.seen.coverage)
        judged = row.array is not None and coverage >= LEAST_COVERAGE
        probability = self.probability(row) if judged else None
        return WindowScore(round(span[0], 3), round(span[1], 3), probability, coverage)

    def probability(self, row: Row) -> float:
        """Returns the probability of fake of the clip in `row`, whose array is what the scorer takes."""
        assert row.array is not None
        return float(self.probabilities(row.array[None], row.seen.regions[None], row.seen.mask[None])[0])

    def probabilities(self, arrays: np.ndarray, regions: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """Returns the probabilities of fake, float64 (N,), of N clips.

        `arrays` is what the scorer takes: features float16 (N, 12, D), or crops uint8 (N, 12, 160, 160, 3). `regions`
        uint8 (N, 12, 4) are the faces in the crops, `masks` bool (N, 12) the frames that exist.
        """
        return self._scores(arrays, regions, masks).probabilities

    def _scores(self, arrays: np.ndarray, regions: np.ndarray, masks: np.ndarray) -> Scores:
        self._require_same_process()
        return self._scorer.score(arrays, regions, masks)

    def _require_same_process(self) -> None:
        """Raises a UserError after a fork, which copies networks without the threads that run them."""
        if os.getpid() != self._process:
            raise UserError(
                f"this detector was loaded in process {self._process} and would wait for ever in {os.getpid()}, which "
                "was forked from that; load it after the fork, in each process that judges (gunicorn: leave out "
                "--preload; multiprocessing.Pool: in the initializer)."
            )

    def calibrated(self, probability: float) -> float | None:
        """Returns `probability` corrected by the run's temperature, None where it has none."""
        return None if self._temperature is None else float(self._temperature(np.array(probability)))


def _called(score: float, band: Band, far: Distances | None, beside: Beside | None) -> tuple[Call, str]:
    """Returns what a clip with this `score` is called, and why it is Unsure for another reason than its score."""
    if beside and beside.is_alarm:
        return "Fake", ""  # by the clips known to be real, and whatever the run was trained on
    if far and far.sentence:
        return "Unsure", far.sentence
    call = band.call(score)
    return ("Unsure", beside.sentence) if beside and call == "Fake" else (call, "")


_Span = tuple[float, float]


@dataclass(frozen=True, eq=False)
class _Part:
    """Which part of a clip a row is: its crops, the `span` of its window, if it is one, whether it is the last, what
    is not judged with it, and what the file claims."""

    crops: Row
    span: _Span | None = None
    is_last: bool = True
    left_out: LeftOut = LeftOut()
    claims: tuple[str, ...] = ()


def row_of(name: str, crops: CroppedClip | ClipError) -> Row:
    """Returns the row of crops, or of the failure, of a clip called `name`."""
    return crop_row(VideoRecord(name, name, 0, "", "", "", "", 0, 0), crops)
