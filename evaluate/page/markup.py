"""HTML that is safe by default: all text is escaped, except what these functions returned."""

import base64
import hashlib
import html
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from base.text import visible
from evaluate.page.tables import Table, interval_text, measure_text, readable, value_text
from evaluate.stats.bootstrap import Measure


class Html(str):
    """Text that is HTML already; any other text is escaped when it enters a page."""

    __slots__ = ()


def safe(value: object) -> Html:
    """Returns `value` as HTML, escaped unless it is HTML already."""
    return value if isinstance(value, Html) else Html(html.escape(visible(str(value))))


def element(name: str, *children: object, **attributes: str) -> Html:
    """Returns the element `name` around `children`; attributes have `_` for `-`, and `class` is `class_`."""
    pairs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(visible(value))}"' for key, value in attributes.items()
    )
    return Html(f"<{name}{pairs}>{''.join(map(safe, children))}</{name}>")


Figures = Mapping[str, tuple[str, Html]]
"""Caption and SVG element of each figure by name."""
PROSE = 80
"""A cell with more characters counts as prose."""


def section(title: str, *children: object) -> Html:
    """Returns a section under its heading, which `contents` can link to."""
    return element("section", element("h2", title), *children, id=_anchor(title))


def contents(titles: Iterable[str]) -> Html:
    """Returns a line of links to the sections with these `titles`."""
    links = (element("a", title, href=f"#{_anchor(title)}") for title in titles)
    return element("nav", *links, class_="contents", aria_label="Contents")


def _anchor(title: str) -> str:
    return "to-" + re.sub(r"\W+", "-", title.lower()).strip("-")


def details(summary: object, *children: object) -> Html:
    """Returns `children` folded away under `summary`."""
    return element("details", element("summary", summary), *children)


def figure(caption: str, svg: Html, **attributes: str) -> Html:
    """Returns the drawing `svg` with its `caption` below."""
    return element("figure", svg, element("figcaption", caption), **attributes)


def drawn(figures: Figures, *names: str) -> Html:
    """Returns those figures of `names` that there are, side by side where there is room."""
    drawings = [figure(*figures[name]) for name in names if name in figures]
    return element("div", *drawings, class_="figures") if drawings else Html()


def items(values: Iterable[object]) -> Html:
    """Returns a list of `values`."""
    return element("ul", *(element("li", value) for value in values))


def table(
    caption: str,
    columns: Sequence[object],
    rows: Iterable[Sequence[object]],
    *,
    wide: bool = False,
    sortable: bool = False,
) -> Html:
    """Returns a table that scrolls by itself if it is wider than its place; each row's first cell is its heading.

    That cell stays in sight. A `wide` table may be as wide as the window; a `sortable` one is sorted by a press on a
    heading, in browsers that run scripts.
    """
    head = element("thead", element("tr", *(element("th", column, scope="col") for column in columns)))
    body = element(
        "tbody", *(element("tr", element("th", first, scope="row"), *map(_cell, rest)) for first, *rest in rows)
    )
    whole = element("table", element("caption", caption), head, body, class_="sortable" if sortable else "plain")
    return scrolling(whole, caption or "Table", wide=wide)


def scrolling(child: Html, name: str, *, wide: bool = False) -> Html:
    """Returns `child` in an area that scrolls by itself, also by keyboard; `name` is what screen readers call it."""
    return element(
        "div", child, class_="scroll wide" if wide else "scroll", tabindex="0", role="region", aria_label=name
    )


def page_table(contents: Table, *, wide: bool = False) -> Html:
    """Returns `contents` as a table of a page, see `table`."""
    return table(contents.caption, contents.columns, contents.rows, wide=wide)


def _cell(value: object) -> Html:
    """A cell. One that holds a sentence gets room for it, so that a phone does not show a word per line."""
    if isinstance(value, Html):
        return element("td", value)
    if isinstance(value, Measure):
        return element("td", _measure(value))
    return element("td", value, class_="prose") if len(str(value)) > PROSE else element("td", value)


def _measure(measure: Measure) -> Html:
    """A value and its interval, which is not broken across lines."""
    if measure.value is None:
        return safe(measure_text(measure))
    return Html(f"{value_text(measure)} {element('small', interval_text(measure))}")


def page(title: str, *children: object) -> str:
    """Returns a whole HTML document that loads nothing from outside; its content policy forbids it.

    The only script that the policy lets run is the one that sorts tables, in pages that have one to sort.
    """
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    body = "".join(map(safe, children))
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    script = ""
    if '<table class="sortable"' in body:
        code = Path(__file__).with_name("sort.js").read_text(encoding="utf-8")
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        policy += f"; script-src 'sha256-{digest}'"
        script = f"<script>{code}</script>"
    return readable(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{safe(title)}</title><style>\n{style}</style></head>\n"
        f"<body><main>{body}</main>{script}</body></html>\n"
    )
