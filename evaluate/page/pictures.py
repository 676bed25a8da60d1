"""Figures and crops as files, and as parts of a page."""

import base64
import io
import re
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import imsave

from base.files import replace_with
from evaluate.page.figures import COLOURS, STYLE
from evaluate.page.markup import Html, safe


def saved(figure: Figure, path: Path, caption: str) -> tuple[str, Html]:
    """Writes `figure` as `save` does; returns its `caption`, plain text, and its SVG element, as a page has them."""
    save(figure, path)
    return caption, Html(inline_svg(figure, path.name, safe(caption)))


@mpl.rc_context(STYLE)
def save(figure: Figure, path: Path) -> list[Path]:
    """Writes `figure` as `path`.png (160 dots per inch) and `path`.svg; returns both paths."""
    png = replace_with(path.with_name(path.name + ".png"), lambda file: figure.savefig(file, dpi=160))
    figure.set_layout_engine("none")  # what was laid out stays, in a third of the time
    svg = replace_with(path.with_name(path.name + ".svg"), lambda file: figure.savefig(file, metadata={"Date": None}))
    return [png, svg]


@mpl.rc_context(STYLE)
def inline_svg(figure: Figure, name: str, text: str) -> str:
    """Returns `figure` as an SVG element for an HTML page, without background, in the page's colours.

    `name` (letters, digits, -) keeps its ids distinct from those of other figures; `text` describes it to screen
    readers and is HTML already.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    # A style element would apply to the whole page; page.css sets the same line joins.
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    opening = r'<svg [^>]*?viewBox="([^"]*)"[^>]*>'
    svg = re.sub(opening, lambda tag: f'<svg viewBox="{tag[1]}" role="img" aria-label="{text}">', svg, count=1)
    svg = svg.replace('id="', f'id="{name}-').replace('href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    for role, colour in COLOURS.items():
        svg = svg.replace(colour, f"var(--{role})")
    return svg


@mpl.rc_context(STYLE)
def clips_figure(clips: Sequence[tuple[str, np.ndarray]]) -> Figure:
    """Returns a contact sheet: one row per clip with its crops uint8 (12, H, W, 3), its caption above."""
    figure = Figure(figsize=(10, 1.15 * len(clips)), layout="constrained")
    for axes, (caption, crops) in zip(np.atleast_1d(figure.subplots(len(clips), 1)), clips, strict=True):
        axes.imshow(strip(crops, columns=len(crops)))
        axes.set_title(caption, fontsize=8, parse_math=False)
        axes.set_axis_off()
    return figure


def strip(crops: np.ndarray, columns: int) -> np.ndarray:
    """Returns crops uint8 (N, H, W, 3) as one picture at half their size, `columns` side by side."""
    count, height, width, _ = crops.shape
    halves = crops.reshape(count, height // 2, 2, width // 2, 2, 3).mean(axis=(2, 4)).astype(np.uint8)
    rows = [np.concatenate(list(halves[start : start + columns]), axis=1) for start in range(0, count, columns)]
    return np.concatenate(rows, axis=0)


def inline_jpeg(picture: np.ndarray, quality: int = 75) -> str:
    """Returns a picture uint8 (H, W, 3) as a data URL for an HTML page; `quality` is that of JPEG, 1 to 95."""
    buffer = io.BytesIO()
    imsave(buffer, picture, format="jpg", pil_kwargs={"quality": quality})
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
