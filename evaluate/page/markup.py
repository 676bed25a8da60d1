"""HTML that is safe by default: all text is escaped, except what these functions returned."""

import html
from collections.abc import Iterable, Sequence
from pathlib import Path

from cache.schema import visible
from evaluate.page.tables import Table, interval_text, measure_text, value_text
from evaluate.stats.bootstrap import Measure


class Html(str):
    """Text that is HTML already; any other text is escaped when it enters a page."""

    __slots__ = ()


def safe(value: object) -> Html:
    """Returns `value` as HTML, escaped unless it is HTML already."""
    return value if isinstance(value, Html) else Html(html.escape(visible(str(value))))


def element(name: str, *children: object, **attributes: str) -> Html:
    """Returns the element `name` around `children`; the attribute `class` is passed as `class_`."""
    pairs = "".join(f' {key.rstrip("_")}="{html.escape(visible(value))}"' for key, value in attributes.items())
    return Html(f"<{name}{pairs}>{''.join(map(safe, children))}</{name}>")


PROSE = 80
"""A cell with more characters counts as prose."""


def section(title: str, *children: object) -> Html:
    """Returns a section under its heading."""
    return element("section", element("h2", title), *children)


def details(summary: object, *children: object) -> Html:
    """Returns `children` folded away under `summary`."""
    return element("details", element("summary", summary), *children)


def items(values: Iterable[object]) -> Html:
    """Returns a list of `values`."""
    return element("ul", *(element("li", value) for value in values))


def table(caption: str, columns: Sequence[object], rows: Iterable[Sequence[object]]) -> Html:
    """Returns a table that scrolls by itself if it is wider than the page; each row's first cell is its heading."""
    head = element("thead", element("tr", *(element("th", column, scope="col") for column in columns)))
    body = element(
        "tbody",
        *(element("tr", element("th", first, scope="row"), *map(_cell, rest)) for first, *rest in rows),
    )
    return element("div", element("table", element("caption", caption), head, body), class_="scroll", tabindex="0")


def page_table(contents: Table) -> Html:
    """Returns `contents` as a table of a page."""
    return table(contents.caption, contents.columns, contents.rows)


def _cell(value: object) -> Html:
    """A cell. One that holds a sentence gets room for it, so that a phone does not show a word per line."""
    if isinstance(value, Measure):
        return element("td", _measure(value))
    return element("td", value, class_="prose") if len(str(value)) > PROSE else element("td", value)


def _measure(measure: Measure) -> Html:
    """A value and its interval, which is not broken across lines."""
    if measure.value is None:
        return safe(measure_text(measure))
    return Html(f"{value_text(measure)} {element('small', interval_text(measure))}")


def page(title: str, *children: object) -> str:
    """Returns a whole HTML document that loads nothing from outside; its content policy forbids it."""
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{safe(title)}</title><style>\n{style}</style></head>\n"
        f"<body><main>{''.join(map(safe, children))}</main></body></html>\n"
    )
