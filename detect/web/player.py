"""The clip in a player, and below it the score of each of its parts, from where the player can be sent there.

`page.js` connects the two.
"""

from pathlib import Path
from urllib.parse import quote

from matplotlib.ticker import MaxNLocator

from detect.clips.verdict_lines import fake_spans
from detect.detector.verdict import Verdict, WindowScore
from detect.web.texts import ABOUT_TIME, CALLED, GONE, NO_FACE, UNPLAYABLE
from evaluate.page.markup import Html, element

TICKS = 6
"""Numbers below the timeline, at most."""


def player_html(verdict: Verdict, clip: Path) -> Html:
    """Returns a player of the file `clip`, and the timeline where the verdict has one."""
    over_time = bool(verdict.timeline)
    return element(
        "section",
        element("h3", "The clip, part by part" if over_time else "The clip"),
        _video(clip),
        element("p", UNPLAYABLE, class_="alert unplayable", hidden=""),
        element("p", GONE, class_="alert gone", hidden=""),
        _chart(verdict) if over_time else "",
        class_="timeline",
    )


def timeline_sentence(verdict: Verdict) -> str:
    """Returns the sentence that says when the clip looks fake."""
    if all(window.probability is None for window in verdict.timeline):
        return "No part of the clip shows enough of a face to be judged."
    spans = [f"{start:.1f}-{end:.1f}" for start, end in fake_spans(verdict)]
    if not spans:
        return "No part of the clip looks fake by itself."
    return f"Judged part by part, the clip looks fake at {' s and '.join(spans)} s."


def _video(clip: Path) -> Html:
    """A player; the address is relative, as a proxy may serve the page below another one."""
    address = f"gradio_api/file={quote(str(clip))}"
    return element("video", src=address, controls="", playsinline="", preload="metadata", aria_label="The clip")


def _chart(verdict: Verdict) -> Html:
    windows, band = verdict.timeline, verdict.band
    ends = [window.start for window in windows[1:]] + [windows[-1].end]
    whole = windows[-1].end
    close = element(
        "i", class_="band", style=f"bottom:{100 * band.low:.1f}%;height:{100 * (band.high - band.low):.1f}%"
    )
    line = element("i", class_="threshold", style=f"bottom:{100 * band.threshold:.1f}%")
    bars = (
        _bar(window, (end - window.start) / whole, whole, verdict, is_first=window is windows[0])
        for window, end in zip(windows, ends, strict=True)
    )
    group = {"role": "group", "aria-label": "Parts of the clip: choose one to play it"}
    seconds = [tick for tick in MaxNLocator(TICKS, steps=[1, 2, 5, 10]).tick_values(0, whole) if 0 <= tick <= whole]
    ticks = (element("span", f"{tick:g} s", style=f"left:{100 * tick / whole:.2f}%") for tick in seconds)
    return element(
        "figure",
        element("p", timeline_sentence(verdict)),
        element("div", element("span", "1 fake"), element("span", "0 real"), class_="scale", **{"aria-hidden": "true"}),
        element("div", close, line, *bars, class_="bars", **group),
        element("div", *ticks, class_="ticks", **{"aria-hidden": "true"}),
        element("figcaption", ABOUT_TIME),
    )


def _bar(window: WindowScore, share: float, whole: float, verdict: Verdict, is_first: bool) -> Html:
    """A bar that fills a `share` of the width: from the start of its window to that of the next."""
    score = window.probability
    if score is None:
        kind, words, height = "none", NO_FACE, 8.0
    else:
        kind = verdict.band.call(score).lower()
        words, height = f"score {score:.2f}, {CALLED[verdict.band.call(score)]}", 100 * score
    text = f"{window.start:.1f} to {window.end:.1f} s: {words}"
    return element(
        "button",
        element("i", style=f"height:{height:.1f}%"),
        type="button",
        class_=kind,
        style=f"left:{100 * window.start / whole:.2f}%;width:{100 * share:.2f}%",
        data_start=f"{window.start:g}",
        title=text,
        aria_label=text,
        tabindex="0" if is_first else "-1",
    )
