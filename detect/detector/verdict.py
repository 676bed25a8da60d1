"""What a verdict on a clip says, and what it rests on."""

from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np

from base.commands import flag
from cache.schema import FRAMES, OK, FrameStatus, Row
from detect.detector.reference import Beside
from evaluate.results.about_run import UNKNOWN, AboutRun
from evaluate.stats.band import Band, band_around
from evaluate.stats.metrics import THRESHOLD
from extract.clips.crops import LeftOut
from train.data.neighbours import is_unlike

TRAINED_ON = "the run was trained on this clip, so the verdict says nothing of how good it is"
STILL = "one frame only, so nothing is known of its motion"


@dataclass(frozen=True)
class SeenFrame:
    """One of the twelve frames: `seconds` from the clip's start, what it shows, and the face's box in pixels."""

    seconds: float
    status: Literal["face", "tracked", "full_frame", "lost"]
    box: tuple[int, int, int, int] | None


def seen_frames(row: Row) -> tuple[SeenFrame, ...]:
    """Returns what is seen in the frames of `row` that exist."""
    seen = row.seen
    return tuple(
        SeenFrame(
            round(float(seen.times[i]), 3),
            FrameStatus(seen.status[i]).name.lower(),  # pyright: ignore[reportArgumentType]
            tuple(seen.boxes[i].tolist()) if seen.status[i] in (FrameStatus.FACE, FrameStatus.TRACKED) else None,
        )
        for i in range(FRAMES)
        if seen.status[i] != FrameStatus.PAD
    )


@dataclass(frozen=True)
class WindowScore:
    """The score of one window of a long clip, from `start` to `end` seconds.

    `probability` is None where too little of a face was found.
    """

    start: float
    end: float
    probability: float | None
    coverage: float


@dataclass(frozen=True)
class Verdict:
    """The verdict on one person in one clip.

    `verdict` is "Real", "Fake", "Unsure" (too close to call: the probability is in the `band` around the threshold; or
    too unlike the training clips, as its `reason` says), "Undecided" (too little face to judge) or "Failed" (no frame
    could be read). The last two have a `reason`, a sentence, and no probability; a failure has its `outcome` too, such
    as "unreadable". `probability` is that of fake, in [0, 1]. `calibrated` is the same number corrected by the run's
    temperature: of clips with 0.8, four in five are fake. It is None where the run has too few validation clips to fit
    a temperature on. `coverage` is the share of frames in which a face was detected. `face` numbers the people of the
    clip from 1, the largest. `timeline` has the windows of a long clip, each judged by its largest face. `run` says who
    judged, and how good that is. `distance` is how far the clip lies from the run's training clips, 1 for the limit
    that 95 % of their own kind keep, None where the run does not know; `is_trained_on` says that it is one of them, of
    which the run knew the answer. `left_out` is what else the clip holds, and `claims` what its file says of its
    making, which nobody has checked and which changes no number; both are told with its first person. `point` is where
    it lies among the training clips, for comparing many clips with these; results do not show it.
    """

    clip: str
    verdict: Literal["Real", "Fake", "Unsure", "Undecided", "Failed"]
    probability: float | None
    calibrated: float | None
    coverage: float
    reason: str
    frames: tuple[SeenFrame, ...]
    face: int = 1
    timeline: tuple[WindowScore, ...] = ()
    outcome: str = OK
    run: AboutRun = UNKNOWN
    band: Band = band_around(THRESHOLD, None)
    distance: float | None = None
    is_trained_on: bool = False
    beside: Beside | None = None
    left_out: LeftOut = LeftOut()
    claims: tuple[str, ...] = ()
    point: np.ndarray | None = field(default=None, repr=False, compare=False)

    @property
    def is_unlike(self) -> bool:
        """Whether the clip is too unlike the training clips to be called Real or Fake."""
        return is_unlike(self.distance) and not (self.beside and self.beside.is_alarm)

    @property
    def words(self) -> str:
        """The verdict in two to five words, for headings."""
        if self.verdict != "Unsure":
            return self.verdict
        if self.is_unlike:
            return "Unsure, unlike the training clips"
        return "Unsure, not unusual beside the reference" if self.reason else "Unsure, too close to call"

    @property
    def note(self) -> str:
        """What a reader has to know beside the verdict: of its frames, and of what was not judged; "" if nothing."""
        more = self.left_out.faces
        return "; ".join([*self.remarks, *([flag("faces", self.left_out.people)] if more else [])])

    @property
    def remarks(self) -> list[str]:
        """The same, one thing each, without the flag that judges more people."""
        left = self.left_out
        remarks = self._about_score() + self._about_frames() if self.probability is not None else []
        remarks += [f"{_counted(left.scenes, 'frame')} of other scenes not judged"] if left.scenes else []
        remarks += [f"{_counted(left.brief, 'more face')}, seen too briefly to judge"] if left.brief else []
        if left.seconds:
            remarks.append(f"the file breaks off after {left.seconds[0]:.1f} of {left.seconds[1]:.1f} s")
        remarks += [f"{_counted(left.faces, 'more face')}, not judged"] if left.faces else []
        return remarks + [f"the file claims: {claim}" for claim in self.claims]

    def _about_score(self) -> list[str]:
        beside = [self.beside.sentence] if self.beside and not self.reason else []
        return ([TRAINED_ON] if self.is_trained_on else []) + beside

    def _about_frames(self) -> list[str]:
        if len(self.frames) == 1:
            return [STILL]
        lost = sum(frame.status == "lost" for frame in self.frames)
        remarks = [f"{_counted(lost, 'frame')} without the face not judged"] if lost else []
        ((_, most),) = Counter(frame.seconds for frame in self.frames).most_common(1) or [(0.0, 0)]
        return remarks + ([f"one still picture stands for {most} of {len(self.frames)} frames"] if most > 1 else [])

    @property
    def explanation(self) -> str:
        """The reason, after the outcome of a failure: `unreadable: x.mp4 cannot be decoded`."""
        return self.reason if self.outcome == OK else f"{self.outcome}: {self.reason}"

    def as_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON."""
        values = asdict(replace(self, point=None))
        del values["point"]
        return values


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def failed(clip: str, outcome: str, reason: str) -> Verdict:
    """Returns the verdict on a `clip` that could not be read, or of which the backbone makes no features."""
    return Verdict(clip, "Failed", None, None, 0.0, reason, (), outcome=outcome)
