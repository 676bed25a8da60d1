"""HTML that is safe by default: everything is escaped on its way in, except what these functions made."""

import html
from collections.abc import Iterable, Sequence
from pathlib import Path


class Html(str):
    """Text that is HTML already; any other text is escaped where it enters a page."""

    __slots__ = ()


def safe(value: object) -> Html:
    """Returns `value` as HTML, escaped unless it is that already."""
    return value if isinstance(value, Html) else Html(html.escape(str(value)))


def element(name: str, *children: object, **attributes: str) -> Html:
    """Returns the element `name` around `children`; the attribute `class_` is written `class`."""
    written = "".join(f' {key.rstrip("_")}="{html.escape(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{written}>{''.join(map(safe, children))}</{name}>")


PROSE = 80
"""Characters from which a cell is read as a sentence."""


def section(title: str, *children: object) -> Html:
    """Returns a section under its heading."""
    return element("section", element("h2", title), *children)


def details(summary: object, *children: object) -> Html:
    """Returns `children` folded under `summary`."""
    return element("details", element("summary", summary), *children)


def items(values: Iterable[object]) -> Html:
    """Returns a list of `values`."""
    return element("ul", *(element("li", value) for value in values))


def table(caption: str, columns: Sequence[object], rows: Iterable[Sequence[object]]) -> Html:
    """Returns a table that scrolls on its own where it is wider than the page; each row's first cell is its heading."""
    head = element("thead", element("tr", *(element("th", column, scope="col") for column in columns)))
    body = element(
        "tbody",
        *(element("tr", element("th", first, scope="row"), *map(_cell, rest)) for first, *rest in rows),
    )
    return element("div", element("table", element("caption", caption), head, body), class_="scroll", tabindex="0")


def _cell(value: object) -> Html:
    """A cell; one that holds a sentence has room for it, and is not squeezed to a word a line on a phone."""
    return element("td", value, class_="prose") if len(str(value)) > PROSE else element("td", value)


def measured(text: str) -> Html:
    """Returns a value and its interval, `0.8 [0.7, 0.9]`, so that the interval stays whole where the line breaks."""
    value, bracket, interval = text.partition(" [")
    return Html(f"{safe(value)} {element('small', '[' + interval)}") if bracket else safe(text)


def page(title: str, *children: object) -> str:
    """Returns a whole HTML document that asks for nothing outside itself, and may not: its policy forbids it."""
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{safe(title)}</title><style>\n{style}</style></head>\n"
        f"<body><main>{''.join(map(safe, children))}</main></body></html>\n"
    )
