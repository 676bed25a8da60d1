"""What the page says: of a run, of a verdict, and of what neither means."""

from dataclasses import dataclass
from pathlib import Path

from matplotlib.ticker import MaxNLocator

from detect.clips.verdict_lines import fake_spans
from detect.detector.config import DEFAULT_WINDOW
from detect.detector.verdict import Verdict
from detect.web.judging import BUG, REFUSED
from evaluate.results.about_run import AboutRun
from evaluate.results.calls import calls_sentence
from extract.video.pictures import has_picture_name

TITLES = {
    "Fake": "The face looks fake",
    "Real": "The face looks real",
    "Unsure": "Too close to call",
    "Undecided": "Undecided",
    "Failed": "This file cannot be judged",
}
UNLIKE = "Unlike the clips it was trained on"
CALLED = {"Fake": "looks fake", "Unsure": "too close to call", "Real": "looks real"}
NO_FACE = "too little of a face to judge"
MEANINGS = {
    "face": "a face was found in this frame",
    "tracked": "no face was found in this frame; the box is that of the nearest frame with one",
    "lost": "no face was found in this frame, nor in the ones before and after; it is not judged",
    "full_frame": "no frame of the clip shows a face, so this is the whole picture",
}
NOT_SAID = (
    "It is no evidence about a person, and no proof that a clip was forged or is genuine. Do not accuse anyone on its "
    "basis.",
    "The detector looks at faces through a network that was trained on photographs of things and then frozen. Subtle "
    "swaps, good generators and kinds of fakes that it was not trained on can pass as real.",
    "Strong compression, small or dark faces, filters and screen recordings change the number, for real clips too.",
    "On footage unlike its training data (another data set, camera or group of people) it is wrong more often than its "
    "report says, and the number is no longer calibrated.",
    "It sees twelve still frames of a face, or one picture. It does not hear the sound, and does not know what is "
    "claimed in the clip.",
    "Too close to call means that a face was seen well enough, and its score says neither real nor fake.",
    "Undecided means that a face was found in fewer than half of the frames. That hints neither at real nor at fake.",
)
UNDECIDED = (
    "So the detector gives no verdict, which hints neither at real nor at fake. Try one in which the face is larger, "
    "well lit, and turned to the camera."
)
UNSURE = "By this score neither real nor fake is at least twice as likely as the other, so it is called neither. "
ABOUT_STILL = (
    "This is one still frame, so nothing is known of its motion. The run was trained and validated on twelve frames a "
    "clip: expect more errors here than its report says."
)
NO_HINT = "That hints neither at real nor at fake."
ABOUT_LIVE = (
    f"The verdict is on twelve frames of the last {DEFAULT_WINDOW:g} seconds, and changes with them. Coverage is the "
    "share of these frames in which a face was found. The lag is the time from a frame to its verdict; frames that "
    "come faster than they can be judged are dropped."
)
ABOUT_TIME = (
    f"Choose a bar to play from there. Each is the score of a part of the clip, {DEFAULT_WINDOW:g} seconds from where "
    "it stands, judged by itself, so it may differ from the verdict on the whole clip. Bars that end above the grey "
    "band look fake; those that end in it are too close to call; in hatched parts too little of a face was found."
)
UNPLAYABLE = "This browser cannot play this kind of clip. The verdict on it stands."
GONE = "This clip is no longer kept, so it cannot be played. The verdict on it stands."
TICKS = 6
"""Numbers below the timeline, at most."""


@dataclass(frozen=True)
class Number:
    """The number of a verdict: what it is, its text, and its place on the scale from real, 0, to fake, 1."""

    name: str
    text: str
    share: float


def number(verdict: Verdict) -> Number | None:
    """Returns the number of a verdict, None where it has none."""
    if verdict.probability is None:
        return None
    if verdict.calibrated is None:
        return Number("Score of fake, from 0 to 1", f"{verdict.probability:.3f}", verdict.probability)
    return Number("Probability of fake, calibrated", percent(verdict.calibrated), verdict.calibrated)


def sentences(verdict: Verdict) -> list[str]:
    """Returns what is said below the number."""
    if verdict.verdict == "Failed":
        return [failure(verdict)]
    faces, frames = sum(frame.status == "face" for frame in verdict.frames), len(verdict.frames)
    seen = f"A face was found in {faces} of {frames} frames (coverage {100 * verdict.coverage:.0f} %)"
    remarks = "; ".join(verdict.remarks)
    lost = f" {remarks[0].upper()}{remarks[1:]}." if remarks else ""
    if verdict.probability is None:
        reason = "No face was found in it" if frames == 1 else f"{seen}; half of them are needed"
        return [f"{reason}.{lost}", UNDECIDED, quality(verdict.run)]
    return [called(verdict), means(verdict), quality(verdict.run), ABOUT_STILL if frames == 1 else f"{seen}.{lost}"]


def moment(verdict: Verdict) -> list[str]:
    """Returns the same of a live verdict, which has its frames beside it."""
    if verdict.probability is None:
        return [f"{verdict.reason[:1].upper()}{verdict.reason[1:]}.", NO_HINT]
    return [called(verdict), means(verdict), quality(verdict.run)]


def means(verdict: Verdict) -> str:
    """Returns what the number of a verdict means."""
    assert verdict.probability is not None
    score, run = f"{verdict.probability:.3f}", verdict.run
    if verdict.calibrated is None:
        return (
            f"The score ranks clips; {score} is not the chance that this one is fake. It is not calibrated: "
            f"{run.why_uncalibrated}."
        )
    clips = f"the {sum(run.validation):,}" if run.validation else "those"
    return (
        f"Of clips like {clips} that the run was validated on, {percent(verdict.calibrated)} with this number are "
        f"fake. The raw score is {score}."
    )


def failure(verdict: Verdict) -> str:
    """Returns why a clip could not be judged, and what to try."""
    if verdict.outcome in (REFUSED, BUG, "timeout"):
        return verdict.reason
    kind, hint = "clip", "file that plays on your device, such as an MP4, MOV, WebM or MKV"
    if has_picture_name(Path(verdict.clip)):
        kind, hint = "picture", "JPEG, PNG or WebP picture"
    subject = f"the {kind} " if verdict.outcome in ("crashed", "out_of_memory") else ""
    reason = f"{subject}{verdict.reason}. Try a {hint}."
    return reason[:1].upper() + reason[1:]


def title(verdict: Verdict) -> str:
    """Returns the verdict as a heading."""
    if verdict.outcome == BUG:
        return "Not judged"
    return UNLIKE if verdict.is_unlike else TITLES[verdict.verdict]


def called(verdict: Verdict) -> str:
    """Returns from which score on a clip is called what."""
    if verdict.is_unlike:
        return f"The clip is {verdict.reason}, so whatever its score is, it is called neither fake nor real."
    if verdict.beside:
        return f"{verdict.beside.sentence}; a clip is called fake only where few do."
    band, width = verdict.band, "" if verdict.band.fitted else " (the default width)"
    if band.low == band.high:
        return f"A clip is called fake from the score {band.threshold:g} on."
    unsure = UNSURE if verdict.verdict == "Unsure" else ""
    return (
        f"{unsure}A clip is called fake from the score {band.high:.3f} on and real up to {band.low:.3f}; between them "
        f"it is too close to call{width}."
    )


def quality(run: AboutRun) -> str:
    """Returns which run judged and how good it is, in plain words."""
    named = f"Judged by the run “{run.name}”"
    area = run.roc_auc
    if area is None:
        return f"{named}, which was not evaluated: nobody knows how often it is right."
    if area.value is None:
        return f"{named}, whose {area.clips:,} test clips are of one class and do not say how good it is."
    if run.calls:
        return f"{named}. {calls_sentence(run.calls)}"
    sure = "" if area.low is None or area.high is None else f", {area.low:.2f} to {area.high:.2f} with 95 % confidence"
    return (
        f"{named}. On {area.clips:,} test clips of its own data set its ROC AUC is {area.value:.2f}{sure}: so often a "
        "fake scores above a real clip, where 0.5 is chance and 1 is always."
    )


def percent(probability: float) -> str:
    """Returns a probability as a percentage; it never says 0 % or 100 %."""
    if probability < 0.01:
        return "under 1 %"
    return "over 99 %" if probability > 0.99 else f"{100 * probability:.0f} %"


def timeline_sentence(verdict: Verdict) -> str:
    """Returns the sentence that says when the clip looks fake."""
    if all(window.probability is None for window in verdict.timeline):
        return "No part of the clip shows enough of a face to be judged."
    spans = [f"{start:.1f}-{end:.1f}" for start, end in fake_spans(verdict)]
    if not spans:
        return "No part of the clip looks fake by itself."
    return f"Judged part by part, the clip looks fake at {' s and '.join(spans)} s."


def part(verdict: Verdict, score: float | None) -> tuple[str, str]:
    """Returns the kind of a part of a clip with this `score`, and what is said of it."""
    if score is None:
        return "none", NO_FACE
    call = verdict.band.call(score)
    return call.lower(), f"score {score:.2f}, {CALLED[call]}"


def ticks(whole: float) -> list[float]:
    """Returns the seconds that are written below a clip of `whole` seconds."""
    return [tick for tick in MaxNLocator(TICKS, steps=[1, 2, 5, 10]).tick_values(0, whole) if 0 <= tick <= whole]
