"""Pages can be read: in both palettes and on paper, by keyboard, and without a network."""

import re
from itertools import product
from pathlib import Path

import pytest

import evaluate.page
from evaluate.page.figures import COLOURS
from evaluate.page.markup import page, table

STYLE = (Path(evaluate.page.__file__).parent / "page.css").read_text(encoding="utf-8")
TEXT, DRAWING = 4.5, 3.0
"""Contrasts that WCAG 2.2 asks for at level AA, of text and of what a figure is made of."""


def palettes() -> dict[str, dict[str, str]]:
    """The colours by name, as light and dark pages have them."""
    light, dark = (
        dict(re.findall(r"--([\w-]+): #(\w{6})", text)) for text in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)[:2]
    )
    return {"light": light, "dark": dark}


def contrast(*colours: str) -> float:
    """The ratio of luminances of two colours, as WCAG 2.2 defines it."""
    low, high = sorted(map(_luminance, colours))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    channels = (int(colour[start : start + 2], 16) / 255 for start in (0, 2, 4))
    linear = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels)
    return sum(weight * one for weight, one in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("palette", palettes().values(), ids=palettes())
def test_text_and_drawings_stand_out_from_what_is_behind_them(palette):
    pairs = dict.fromkeys(product(("ink", "soft", "one"), ("paper", "panel", "warn")), TEXT)
    pairs |= dict.fromkeys(product(("one", "two", "three", "four"), ("paper", "panel")), DRAWING)
    found = {pair: contrast(*(palette[name] for name in pair)) for pair in pairs}
    assert {pair: ratio for pair, ratio in found.items() if ratio < pairs[pair]} == {}


def test_white_headings_of_verdicts_stand_out():
    colours = re.findall(r"\.clip(?:\.\w+)? h2 \{[^}]*background: #(\w{6})", STYLE)
    assert len(colours) == 3
    assert all(contrast("ffffff", colour) >= TEXT for colour in colours)


def test_every_colour_of_a_figure_is_in_both_palettes():
    for palette in palettes().values():
        assert COLOURS.keys() <= palette.keys()


def test_the_dark_palette_is_for_screens_alone():
    assert STYLE.count("prefers-color-scheme: dark") == STYLE.count("screen and (prefers-color-scheme: dark)") == 1


def test_a_table_that_scrolls_is_reached_by_keyboard_and_has_a_name():
    text = str(table("Clips & people", ["a"], [["b"]]))
    assert re.match(r'<div class="scroll" tabindex="0" role="region" aria-label="Clips &amp; people">', text)
    assert 'aria-label="Table"' in str(table("", ["a"], [["b"]]))


def test_a_page_asks_for_nothing_from_elsewhere():
    text = page("Title", table("Caption", ["a"], [["b"]], sortable=True))
    assert "default-src 'none'" in text
    assert not re.search(r"(?:src|href|url|@import)\W+(?:https?:)?//", text)
