"""What the page says, as HTML: a verdict in plain words, the frames it rests on, its timeline, and what it is not."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from detect.clips.results_file import fake_spans
from detect.clips.sheet import CAPTIONS, COLOURS
from detect.detector.verdict import SeenFrame, Verdict
from evaluate.page import figures
from evaluate.page.markup import Html, details, element, items

TITLES = {
    "Fake": "The face looks fake",
    "Real": "The face looks real",
    "Undecided": "Undecided",
    "Failed": "This clip cannot be judged",
}
MEANINGS = {
    "face": "a face was found in this frame",
    "tracked": "none was found here; the place is that of the nearest frame that has one",
    "full_frame": "no frame of the clip shows a face, so the whole picture is shown",
}
NOT_SAID = (
    "It is no evidence about a person, and no proof that a clip was forged or is genuine. Do not accuse anyone by it.",
    "The detector looks at faces through a network that was trained on photographs of things and then frozen. Subtle "
    "swaps, good generators and kinds of fakes that it never saw can pass as real.",
    "Strong compression, small or dark faces, filters and screen recordings change the number, of real clips too.",
    "On footage unlike what it was trained on (another data set, camera or crowd) it errs more often than its report "
    "says, and the number is no longer calibrated.",
    "It sees twelve still frames of one face, the largest. It hears nothing, and knows nothing of what is claimed.",
    "Undecided means that a face was found in less than half of the frames. That hints neither at real nor at fake.",
)
UNDECIDED = (
    "So the detector says nothing of this clip, and that hints neither at real nor at fake. Try one in which the face "
    "is larger, well lit, and turned to the camera."
)
NO_HINT = "That hints neither at real nor at fake."
ABOUT_LIVE = (
    "The verdict is that on twelve frames of the last six seconds, and changes with them. Coverage is the share of "
    "these in which a face was found. The lag is the time from a frame to its verdict; frames that come faster than "
    "they can be judged are dropped."
)
ABOUT_TIME = (
    "Each bar is a stretch of the clip, judged by itself, which may differ from the verdict on the whole. Neighbours "
    "overlap by about half. Thick bars, above the dotted line, look fake; where it is hatched, too little of a face "
    "was found."
)


def header_html() -> Html:
    """Returns what the page is for."""
    lead = "Does the face in a clip look real, or synthesised? Give a clip that shows one face, seen from the front."
    return element("header", element("h1", "Reelcheck"), element("p", lead))


def caps_html(most_megabytes: int, most_seconds: float) -> Html:
    """Returns what is taken, and what becomes of it."""
    return element(
        "p",
        f"Up to {most_megabytes} MB and {most_seconds:g} seconds. Your clip is deleted as soon as it is judged; only "
        "this page, in your browser, keeps the verdict.",
        class_="soft",
    )


def too_large_html(most_megabytes: int) -> Html:
    """Returns what a file that is too large is answered with before it is sent; hidden until then."""
    text = f"This file is larger than {most_megabytes} MB. Cut it or save it smaller, and drop it again."
    return element("p", text, id="too-large", class_="alert", role="alert", hidden="")


def welcome_html() -> Html:
    """Returns what stands where the verdict will be."""
    return _panel("none", element("p", "The verdict will be here.", class_="soft"))


def sentence_html(title: str, text: str) -> Html:
    """Returns a `title` and a sentence, in place of a verdict."""
    return _panel("failed", element("h2", title), element("p", text))


def refusal_html(reason: str) -> Html:
    """Returns why a clip is not judged."""
    return sentence_html(TITLES["Failed"], reason[:1].upper() + reason[1:])


def no_picture_html() -> Html:
    """Returns what stands where the live picture will be."""
    return element("figure", element("p", "The first picture is on its way.", class_="soft"), class_="live none")


def picture_html(address: str, width: int, height: int) -> Html:
    """Returns a live picture of `width` x `height` pixels, which is at a data `address`."""
    size = f'width="{width}" height="{height}"'
    return element(
        "figure", Html(f'<img src="{address}" {size} alt="The live picture" decoding="sync">'), class_="live"
    )


def no_verdict_html() -> Html:
    """Returns what is said before anything has come."""
    return _panel("none", element("p", "The verdict will be here once a frame has been judged.", class_="soft"))


def lost_html() -> Html:
    """Returns what is said while no picture comes, in place of a verdict."""
    text = "The source is lost and is being opened again. The picture is the last one that came."
    return _panel("failed lost moment", element("h2", "No picture"), element("p", text))


def live_html(verdict: Verdict, lag: float, dropped: int, threshold: float, judge: str) -> Html:
    """Returns the `verdict` of the moment, how many seconds it lags behind and how many frames were dropped."""
    said = [element("p", f"{verdict.reason[:1].upper()}{verdict.reason[1:]}."), element("p", NO_HINT)]
    if verdict.probability is not None:
        said = _score(verdict, threshold, judge)
    measures = {"Coverage": f"{100 * verdict.coverage:.0f} %", "Lag": f"{lag:.1f} s", "Dropped frames": f"{dropped}"}
    facts = [element("div", element("dt", name), element("dd", value)) for name, value in measures.items()]
    title = element("h2", TITLES.get(verdict.verdict, verdict.verdict))
    return _panel(f"{verdict.verdict.lower()} moment", title, *said, element("dl", *facts, class_="facts"))


def about_live_html() -> Html:
    """Returns what the measures of a live verdict mean."""
    return element("p", ABOUT_LIVE, class_="soft")


def limits_html() -> Html:
    """Returns what a verdict does not mean."""
    return element("section", element("h2", "What a verdict does not mean"), items(NOT_SAID), class_="limits")


def verdict_html(verdict: Verdict, crops: np.ndarray | None, threshold: float, judge: str) -> Html:
    """Returns the `verdict` by `judge`, with its `crops` uint8 (12, 160, 160, 3), for people."""
    if verdict.verdict == "Failed" or crops is None:
        return refusal_html(_failure(verdict))
    return Html(
        _panel(verdict.verdict.lower(), element("h2", TITLES[verdict.verdict]), *_said(verdict, threshold, judge))
        + _timeline(verdict, threshold)
        + _frames(verdict.frames, crops)
    )


def _panel(kind: str, *children: object) -> Html:
    return element("section", *children, class_=f"verdict {kind}")


def _failure(verdict: Verdict) -> str:
    """The reason in a sentence, without the names that its outcome and its file have here."""
    outcome, _, reason = verdict.reason.partition(": ")
    said = reason.replace(Path(verdict.clip).name, "the clip")
    subject = "the clip " if outcome in ("timeout", "crashed", "out_of_memory") else ""
    return f"{subject}{said}. Try a file that plays on your device, such as an MP4, MOV, WebM or MKV."


def _said(verdict: Verdict, threshold: float, judge: str) -> list[Html]:
    faces = sum(frame.status == "face" for frame in verdict.frames)
    seen = f"A face was found in {faces} of {len(verdict.frames)} frames (coverage {100 * verdict.coverage:.0f} %)"
    if verdict.probability is None:
        return [
            element("p", f"{seen}; half of them are needed."),
            element("p", UNDECIDED),
        ]
    return [*_score(verdict, threshold, judge), element("p", seen + ".")]


def _score(verdict: Verdict, threshold: float, judge: str) -> list[Html]:
    """The number of a verdict that has one, and what it means."""
    assert verdict.probability is not None
    score = f"{verdict.probability:.3f}"
    if verdict.calibrated is None:
        name, shown, share = "Score of fake, from 0 to 1", score, verdict.probability
        means = (
            f"The run “{judge}” has no calibration: scores put clips in order, but {score} is not the chance that this "
            f"one is fake. From {threshold:g} on a clip is called fake."
        )
    else:
        name, shown, share = "Probability of fake, calibrated", percent(verdict.calibrated), verdict.calibrated
        means = (
            f"Of clips like those that the run “{judge}” was validated on, {shown} with this number are fake. The raw "
            f"score is {score}; from {threshold:g} on a clip is called fake."
        )
    number = element("div", element("span", name), element("b", shown), class_="number")
    return [number, _meter(share, shown), element("p", means)]


def percent(probability: float) -> str:
    """Returns a probability as a percentage that never claims to be certain."""
    if probability < 0.01:
        return "under 1 %"
    return "over 99 %" if probability > 0.99 else f"{100 * probability:.0f} %"


def _meter(share: float, shown: str) -> Html:
    mark = element("i", style=f"left:{100 * share:.1f}%")
    ends = element("div", element("span", "real"), element("span", "fake"), class_="ends", **{"aria-hidden": "true"})
    scale = f"{shown} on a scale from real to fake"
    return Html(element("div", mark, class_="meter", role="img", **{"aria-label": scale}) + ends)


def _timeline(verdict: Verdict, threshold: float) -> Html:
    if not verdict.timeline:
        return Html("")
    said = timeline_sentence(verdict, threshold)
    svg = Html(figures.inline_svg(timeline_figure(verdict, threshold), "timeline", said))
    figure = element("figure", svg, element("figcaption", ABOUT_TIME))
    return element("section", element("h3", "Over time"), element("p", said), figure, class_="timeline")


def timeline_sentence(verdict: Verdict, threshold: float) -> str:
    """Returns when the clip looks fake."""
    if all(moment.probability is None for moment in verdict.timeline):
        return "No stretch of the clip shows enough of a face to be judged."
    spans = [f"{start:.1f}-{end:.1f}" for start, end in fake_spans(verdict, threshold)]
    if not spans:
        return "No stretch of the clip looks fake by itself."
    return f"Stretch by stretch, the clip looks fake at {' s and '.join(spans)} s."


@mpl.rc_context({**figures.STYLE, "font.size": 10})
def timeline_figure(verdict: Verdict, threshold: float) -> Figure:
    """Returns the score of each window of a long clip; windows without enough of a face are hatched."""
    figure = Figure(figsize=(4.2, 2.3), layout="constrained")
    axes = figure.add_subplot()
    for moment in verdict.timeline:
        span = (moment.start, moment.end)
        if moment.probability is None:
            axes.axvspan(*span, ymax=0.08, hatch="///", fill=False, edgecolor=figures.COLOURS["ink"], linewidth=0)
            continue
        fake = moment.probability >= threshold
        colour, width = (figures.COLOURS["two"], 5) if fake else (figures.COLOURS["one"], 2.5)
        axes.plot(span, [moment.probability] * 2, color=colour, linewidth=width)
    axes.axhline(threshold, linestyle=":", color=figures.COLOURS["ink"], linewidth=1)
    axes.set(
        xlim=(0, max(moment.end for moment in verdict.timeline)),
        ylim=(-0.04, 1.04),
        xlabel="seconds",
        ylabel="score of fake",
    )
    return figure


def _frames(frames: tuple[SeenFrame, ...], crops: np.ndarray) -> Html:
    shown = (_frame(number, frame, crops[number]) for number, frame in enumerate(frames))
    kinds = [kind for kind in CAPTIONS if any(frame.status == kind for frame in frames)]
    legend = [f"{CAPTIONS[kind]}: {MEANINGS[kind]}" for kind in kinds]
    if kinds != ["full_frame"]:
        legend.append("the numbers below: the face's width x height at its left, top, in pixels of the clip")
    return element(
        "section",
        element("h3", "What it looked at"),
        element("div", *shown, class_="crops"),
        details("What is written below the frames", items(legend)),
    )


def _frame(number: int, frame: SeenFrame, crop: np.ndarray) -> Html:
    time, caption = f"{frame.seconds:.2f} s", CAPTIONS[frame.status]
    picture = Html(
        f'<img src="{figures.inline_jpeg(crop)}" width="160" height="160" alt="Frame {number + 1}, {time}: {caption}" '
        f'class="{frame.status}" style="border-color:{COLOURS[frame.status]}">'
    )
    place = "{2}x{3} at {0}, {1}".format(*frame.box) if frame.box else ""
    words = (element("b", time), element("span", caption), element("small", place))
    return element("figure", picture, element("figcaption", *words))
