"""The HTML of the page: a verdict in plain words, and what it does not mean."""

from pathlib import Path

import numpy as np

from detect.detector.verdict import Verdict
from detect.web.frames import frames_html
from detect.web.player import player_html
from detect.web.texts import (
    ABOUT_LIVE,
    ABOUT_STILL,
    NO_HINT,
    NOT_SAID,
    TITLES,
    UNDECIDED,
    UNLIKE,
    UNSURE,
)
from evaluate.page.markup import Html, element, items
from evaluate.results.about_run import AboutRun
from evaluate.results.calls import calls_sentence
from extract.clips.thumbnails import Thumbnails
from extract.video.pictures import has_picture_name


def header_html(run: AboutRun) -> Html:
    """Returns what the page is for, and before anything is judged how good it is, and any reason not to believe it."""
    lead = "Does a face look real or synthesised? Give a clip or a picture that shows one face from the front."
    doubt = element("p", run.warning, class_="alert", role="alert") if run.warning else ""
    return element("header", element("h1", "Reelcheck"), doubt, element("p", lead), element("p", quality(run)))


def caps_html(most_megabytes: int, most_seconds: float, kept_minutes: float) -> Html:
    """Returns which clips are accepted, and what happens to them."""
    return element(
        "p",
        f"Up to {most_megabytes} MB and {most_seconds:g} seconds. Only you can play your clip here. It is deleted when "
        f"you give another one or leave, {kept_minutes:g} minutes after its verdict at the latest.",
        class_="soft",
    )


def too_large_html(most_megabytes: int) -> Html:
    """Returns the answer to a file that is too large, hidden until somebody drops one; the file is not sent."""
    text = f"This file is larger than {most_megabytes} MB. Cut it or save it smaller, and drop it again."
    return element("p", text, id="too-large", class_="alert", role="alert", hidden="")


def welcome_html() -> Html:
    """Returns the placeholder of the verdict."""
    return _panel("none", element("p", "The verdict will be here.", class_="soft"))


def sentence_html(title: str, text: str) -> Html:
    """Returns a `title` and a sentence, in place of a verdict."""
    return _panel("failed", element("h2", title), element("p", text))


def refusal_html(reason: str) -> Html:
    """Returns why a clip is not judged."""
    return sentence_html(TITLES["Failed"], reason[:1].upper() + reason[1:])


def no_picture_html() -> Html:
    """Returns the placeholder of the live picture."""
    return element("figure", element("p", "The first picture is on its way.", class_="soft"), class_="live none")


def picture_html(address: str, width: int, height: int) -> Html:
    """Returns the live picture at the data `address`, `width` x `height` pixels."""
    size = f'width="{width}" height="{height}"'
    return element(
        "figure", Html(f'<img src="{address}" {size} alt="The live picture" decoding="sync">'), class_="live"
    )


def no_verdict_html() -> Html:
    """Returns the words before the first frame has been judged."""
    return _panel("none", element("p", "The verdict will be here once a frame has been judged.", class_="soft"))


def lost_html() -> Html:
    """Returns the words while no picture comes, in place of a verdict."""
    text = "The source is lost and is being opened again. The picture is the last one received."
    return _panel("failed lost moment", element("h2", "No picture"), element("p", text))


def live_html(verdict: Verdict, lag: float, dropped: int) -> Html:
    """Returns the current `verdict`, the seconds by which it lags behind, and how many frames were dropped."""
    words = [element("p", f"{verdict.reason[:1].upper()}{verdict.reason[1:]}."), element("p", NO_HINT)]
    if verdict.probability is not None:
        words = _score(verdict)
    measures = {"Coverage": f"{100 * verdict.coverage:.0f} %", "Lag": f"{lag:.1f} s", "Dropped frames": f"{dropped}"}
    facts = [element("div", element("dt", name), element("dd", value)) for name, value in measures.items()]
    heading = element("h2", title(verdict))
    return _panel(f"{verdict.verdict.lower()} moment", heading, *words, element("dl", *facts, class_="facts"))


def about_live_html() -> Html:
    """Returns what the measures of a live verdict mean."""
    return element("p", ABOUT_LIVE, class_="soft")


def limits_html() -> Html:
    """Returns what a verdict does not mean."""
    return element("section", element("h2", "What a verdict does not mean"), items(NOT_SAID), class_="limits")


def slow_html(seconds: float) -> Html:
    """Returns the answer to a clip that took longer than the `seconds` that one may take."""
    return refusal_html(
        f"it was not judged within {seconds:g} s, the longest that a clip may keep others waiting here. Try a shorter "
        "one, or one with smaller frames."
    )


def verdict_html(verdict: Verdict, crops: np.ndarray, thumbnails: Thumbnails, clip: Path | None) -> Html:
    """Returns the `verdict` with its `crops` uint8 (12, 160, 160, 3) and frames, and a player of the file `clip`."""
    return Html(
        _panel(verdict.verdict.lower(), element("h2", title(verdict)), *_words(verdict))
        + (player_html(verdict, clip) if clip else "")
        + frames_html(verdict.frames, thumbnails, crops)
    )


def failure_html(verdict: Verdict) -> Html:
    """Returns why a clip could not be read."""
    return refusal_html(_failure(verdict))


def _panel(kind: str, *children: object) -> Html:
    return element("section", *children, class_=f"verdict {kind}")


def _failure(verdict: Verdict) -> str:
    """The reason as a sentence that does not name the file, whose name on this page is random."""
    clip = Path(verdict.clip)
    kind, hint = "clip", "file that plays on your device, such as an MP4, MOV, WebM or MKV"
    if has_picture_name(clip):
        kind, hint = "picture", "JPEG, PNG or WebP picture"
    reason = verdict.reason.replace(clip.name, f"the {kind}")
    subject = f"the {kind} " if verdict.outcome in ("timeout", "crashed", "out_of_memory") else ""
    return f"{subject}{reason}. Try a {hint}."


def _words(verdict: Verdict) -> list[Html]:
    faces, frames = sum(frame.status == "face" for frame in verdict.frames), len(verdict.frames)
    seen = f"A face was found in {faces} of {frames} frames (coverage {100 * verdict.coverage:.0f} %)"
    remarks = "; ".join(verdict.remarks)
    lost = f" {remarks[0].upper()}{remarks[1:]}." if remarks else ""
    if verdict.probability is None:
        reason = "No face was found in it" if frames == 1 else f"{seen}; half of them are needed"
        return [element("p", f"{reason}.{lost}"), element("p", UNDECIDED), element("p", quality(verdict.run))]
    return [*_score(verdict), element("p", ABOUT_STILL if frames == 1 else f"{seen}.{lost}")]


def _score(verdict: Verdict) -> list[Html]:
    """The number of a verdict, on a scale, what it means, and how good the run is that gave it."""
    assert verdict.probability is not None
    score, run = f"{verdict.probability:.3f}", verdict.run
    if verdict.calibrated is None:
        name, number, share = "Score of fake, from 0 to 1", score, verdict.probability
        means = (
            f"The score ranks clips; {score} is not the chance that this one is fake. It is not calibrated: "
            f"{run.why_uncalibrated}."
        )
    else:
        name, number, share = "Probability of fake, calibrated", percent(verdict.calibrated), verdict.calibrated
        clips = f"the {sum(run.validation):,}" if run.validation else "those"
        means = (
            f"Of clips like {clips} that the run was validated on, {number} with this number are fake. The raw score "
            f"is {score}."
        )
    line = element("div", element("span", name), element("b", number), class_="number")
    texts = (called(verdict), means, quality(run))
    return [line, _meter(share, number), *(element("p", text) for text in texts)]


def title(verdict: Verdict) -> str:
    """Returns the verdict as a heading."""
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


def _meter(share: float, number: str) -> Html:
    mark = element("i", style=f"left:{100 * share:.1f}%")
    ends = element("div", element("span", "real"), element("span", "fake"), class_="ends", **{"aria-hidden": "true"})
    scale = f"{number} on a scale from real to fake"
    return Html(element("div", mark, class_="meter", role="img", **{"aria-label": scale}) + ends)
