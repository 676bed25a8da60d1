"""The gallery: a page with the verdict on each clip and its twelve crops, where one kind of verdict can be picked."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from base.files import write_text
from base.text import printable
from detect.clips.sheet import Judged
from detect.clips.verdict_lines import KINDS, preface
from detect.detector.verdict import Verdict
from evaluate.page.markup import Html, element, items, page
from evaluate.page.pictures import inline_jpeg, strip

MOST_PICTURES = 24_000_000
"""Bytes of pictures in the page; of later clips it has the verdict alone."""
COLUMNS, QUALITY = 6, 65
"""Crops in a row, and their JPEG quality."""


class Gallery:
    """Collects verdicts and their crops, and writes the page `path` when it is closed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._cards: list[Html] = []
        self._counts: Counter[str] = Counter()
        self._first: Verdict | None = None
        self._spent = self._left_out = 0

    def add(self, one: Judged) -> None:
        """Adds the verdict on a clip, or on one person in it."""
        self._first = self._first or one.verdict
        self._counts[one.verdict.verdict] += 1
        self._cards.append(element("article", *self._card(one), class_=f"clip {one.verdict.verdict.lower()}"))

    def close(self) -> None:
        """Writes the page, if there was anything to show."""
        if self._first is None:
            return
        said = preface(self._first.run, self._first.band)
        warning = self._first.run.warning
        counts = ", ".join(f"{count:,} {kind.lower()}" for kind, count in self._ordered())
        cut = f" The crops of {self._left_out:,} clips do not fit into one page." if self._left_out else ""
        write_text(
            self._path,
            page(
                "Verdicts",
                element("h1", "Verdicts"),
                *([element("div", items([warning]), class_="notes")] if warning else []),
                *(element("p", sentence, class_="lead") for sentence in said),
                element("p", f"{self._counts.total():,} verdicts: {counts}.{cut}"),
                element("div", *self._filters(), element("div", *self._cards, class_="clips"), class_="gallery"),
            ),
        )

    def _ordered(self) -> Iterator[tuple[str, int]]:
        return ((kind, self._counts[kind]) for kind in KINDS if self._counts[kind])

    def _filters(self) -> Iterator[Html]:
        """Buttons, one of which is pressed; the style sheet shows what belongs to it, without a script."""
        kinds = [("all", "All", self._counts.total())]
        kinds += [(kind.lower(), kind, count) for kind, count in self._ordered()]
        for number, (kind, words, count) in enumerate(kinds):
            checked = "" if number else " checked"
            yield Html(f'<input type="radio" name="shown" id="shown-{kind}"{checked}>')
            yield element("label", f"{words} ({count:,})", for_=f"shown-{kind}")

    def _card(self, one: Judged) -> Iterator[Html]:
        verdict, name = one.verdict, printable(one.verdict.clip)
        yield element("h2", verdict.words)
        yield element("p", element("b", Path(name).name, title=name), Html("<br>"), *_words(verdict))
        if one.crops is not None:
            yield from self._picture(one.crops[: len(verdict.frames)])

    def _picture(self, crops: np.ndarray) -> Iterator[Html]:
        """The crops of a clip as one picture, as long as the page has room."""
        if self._spent > MOST_PICTURES:
            self._left_out += 1
            return
        address = inline_jpeg(strip(crops, min(COLUMNS, len(crops))), QUALITY)
        self._spent += len(address)
        yield Html(f'<img src="{address}" alt="What the detector saw of this clip" decoding="async">')


def _words(verdict: Verdict) -> Sequence[str]:
    """What is said of a clip below its name."""
    claims = [f"; the file claims: {claim}" for claim in verdict.claims]
    if verdict.probability is None:
        return (verdict.explanation, *claims)
    calibrated = "" if verdict.calibrated is None else f", calibrated {verdict.calibrated:.3f}"
    face = f", face {verdict.face}" if verdict.face > 1 else ""
    reason = [f"{verdict.reason}; "] if verdict.reason else []
    return (
        *reason,
        f"score of fake {verdict.probability:.3f}{calibrated}, coverage {verdict.coverage:.0%}{face}",
        *claims,
    )
