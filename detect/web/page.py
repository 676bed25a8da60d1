"""The HTML of the page: a verdict in plain words, the frames it rests on, its timeline, and what it does not mean."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from detect.clips.results_file import fake_spans
from detect.clips.sheet import CAPTIONS, COLOURS
from detect.detector.verdict import SeenFrame, Verdict
from detect.web.texts import (
    ABOUT_LIVE,
    ABOUT_STILL,
    ABOUT_TIME,
    MEANINGS,
    NO_HINT,
    NOT_SAID,
    TITLES,
    UNDECIDED,
    UNSURE,
)
from evaluate.page import figures
from evaluate.page.markup import Html, details, element, items
from evaluate.results.about_run import AboutRun
from extract.video.pictures import has_picture_name

BARS = {
    "Fake": (figures.COLOURS["two"], 5.0),
    "Unsure": (figures.COLOURS["ink"], 2.5),
    "Real": (figures.COLOURS["one"], 2.5),
}
"""Colour and width of the bars of the timeline."""
LOST_GREY = 225
"""What is shown in place of a frame that is not judged."""


def header_html(run: AboutRun) -> Html:
    """Returns what the page is for, and before anything is judged why not to believe it, where there is a reason."""
    lead = "Does a face look real or synthesised? Give a clip or a picture that shows one face from the front."
    doubt = element("p", run.warning, class_="alert", role="alert") if run.warning else ""
    return element("header", element("h1", "Reelcheck"), doubt, element("p", lead))


def caps_html(most_megabytes: int, most_seconds: float) -> Html:
    """Returns which clips are accepted, and what happens to them."""
    return element(
        "p",
        f"Up to {most_megabytes} MB and {most_seconds:g} seconds. Your file is deleted as soon as it is judged; only "
        "this page, in your browser, keeps the verdict.",
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
    title = element("h2", TITLES.get(verdict.verdict, verdict.verdict))
    return _panel(f"{verdict.verdict.lower()} moment", title, *words, element("dl", *facts, class_="facts"))


def about_live_html() -> Html:
    """Returns what the measures of a live verdict mean."""
    return element("p", ABOUT_LIVE, class_="soft")


def limits_html() -> Html:
    """Returns what a verdict does not mean."""
    return element("section", element("h2", "What a verdict does not mean"), items(NOT_SAID), class_="limits")


def verdict_html(verdict: Verdict, crops: np.ndarray | None) -> Html:
    """Returns the `verdict` with its `crops` uint8 (12, 160, 160, 3)."""
    if verdict.verdict == "Failed" or crops is None:
        return refusal_html(_failure(verdict))
    return Html(
        _panel(verdict.verdict.lower(), element("h2", TITLES[verdict.verdict]), *_words(verdict))
        + _timeline(verdict)
        + _frames(verdict.frames, crops)
    )


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
    lost = f" {verdict.note.capitalize()}." if verdict.note else ""
    if verdict.probability is None:
        reason = "No face was found in it" if frames == 1 else f"{seen}; half of them are needed"
        return [element("p", f"{reason}."), element("p", UNDECIDED), element("p", quality(verdict.run))]
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
        clips = f"the {sum(run.validation):,} " if run.validation else ""
        means = (
            f"Of clips like {clips}that the run was validated on, {number} with this number are fake. The raw score is "
            f"{score}."
        )
    line = element("div", element("span", name), element("b", number), class_="number")
    texts = (called(verdict), means, quality(run))
    return [line, _meter(share, number), *(element("p", text) for text in texts)]


def called(verdict: Verdict) -> str:
    """Returns from which score on a clip is called what."""
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


def _timeline(verdict: Verdict) -> Html:
    if not verdict.timeline:
        return Html("")
    sentence = timeline_sentence(verdict)
    svg = Html(figures.inline_svg(timeline_figure(verdict), "timeline", sentence))
    figure = element("figure", svg, element("figcaption", ABOUT_TIME))
    return element("section", element("h3", "Over time"), element("p", sentence), figure, class_="timeline")


def timeline_sentence(verdict: Verdict) -> str:
    """Returns the sentence that says when the clip looks fake."""
    if all(window.probability is None for window in verdict.timeline):
        return "No part of the clip shows enough of a face to be judged."
    spans = [f"{start:.1f}-{end:.1f}" for start, end in fake_spans(verdict)]
    if not spans:
        return "No part of the clip looks fake by itself."
    return f"Judged part by part, the clip looks fake at {' s and '.join(spans)} s."


@mpl.rc_context({**figures.STYLE, "font.size": 10})
def timeline_figure(verdict: Verdict) -> Figure:
    """Returns the score of each window of a long clip; windows without enough of a face are hatched."""
    figure = Figure(figsize=(4.2, 2.3), layout="constrained")
    axes = figure.add_subplot()
    for window in verdict.timeline:
        span = (window.start, window.end)
        if window.probability is None:
            axes.axvspan(*span, ymax=0.08, hatch="///", fill=False, edgecolor=figures.COLOURS["ink"], linewidth=0)
            continue
        colour, width = BARS[verdict.band.call(window.probability)]
        axes.plot(span, [window.probability] * 2, color=colour, linewidth=width)
    band = verdict.band
    axes.axhspan(band.low, band.high, color=figures.COLOURS["grid"], alpha=0.6, linewidth=0)
    axes.axhline(band.threshold, linestyle=":", color=figures.COLOURS["ink"], linewidth=1)
    axes.set(
        xlim=(0, max(window.end for window in verdict.timeline)),
        ylim=(-0.04, 1.04),
        xlabel="seconds",
        ylabel="score of fake",
    )
    return figure


def _frames(frames: tuple[SeenFrame, ...], crops: np.ndarray) -> Html:
    pictures = (_frame(number, frame, crops[number]) for number, frame in enumerate(frames))
    kinds = [kind for kind in CAPTIONS if any(frame.status == kind for frame in frames)]
    legend = [f"{CAPTIONS[kind]}: {MEANINGS[kind]}" for kind in kinds]
    if kinds != ["full_frame"]:
        legend.append("the numbers below: the face's box, its width x height at its left, top, in pixels of the clip")
    return element(
        "section",
        element("h3", "What it looked at"),
        element("div", *pictures, class_="crops"),
        details("What the words below the frames mean", items(legend)),
    )


def _frame(number: int, frame: SeenFrame, crop: np.ndarray) -> Html:
    time, caption = f"{frame.seconds:.2f} s", CAPTIONS[frame.status]
    if frame.status == "lost":
        crop = np.full_like(crop, LOST_GREY)
    picture = Html(
        f'<img src="{figures.inline_jpeg(crop)}" width="160" height="160" alt="Frame {number + 1}, {time}: {caption}" '
        f'class="{frame.status}" style="border-color:{COLOURS[frame.status]}">'
    )
    place = "{2}x{3} at {0}, {1}".format(*frame.box) if frame.box else ""
    words = (element("b", time), element("span", caption), element("small", place))
    return element("figure", picture, element("figcaption", *words))
