"""Figures of trainings: losses and ROC AUC epoch by epoch, of one run and of several over each other."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from evaluate.page.figures import COLOURS, STYLE, legend_above, line_styles, mark, panel, thinned

MOST_STYLES = len(line_styles())
"""Curves that have a colour and a style of their own."""
GREY = {"color": COLOURS["ink"], "linewidth": 1, "alpha": 0.25}
"""The style of all others."""


@mpl.rc_context(STYLE)
def training_figure(history: dict[str, np.ndarray]) -> Figure:
    """Returns training and validation loss by epoch, and marks the epoch with the lowest validation loss."""
    figure, axes = panel("Training")
    epochs = history["epoch"]
    for name, label, style in zip(("loss", "val_loss"), ("training", "validation"), line_styles(), strict=False):
        values = history.get(name, np.full(epochs.shape, np.nan))
        if np.isfinite(values).any():
            # A line needs two points.
            axes.plot(epochs, values, **style, marker="" if np.isfinite(values).sum() > 1 else ".", label=label)
    validation = history.get("val_loss", np.full(epochs.shape, np.nan))
    if np.isfinite(validation).any():
        best = epochs[np.nanargmin(validation)]
        mark(axes, best, ":", "lowest: the baseline" if best == 0 else f"lowest: epoch {best:.0f}")
    axes.set(xlabel="epoch", ylabel="binary cross-entropy (nats)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend_above(axes, columns=3)
    return figure


@dataclass(frozen=True, eq=False)
class Curve:
    """The finite `values` (E,) of the run called `name`, one or more, by `epochs` (E,)."""

    name: str
    epochs: np.ndarray
    values: np.ndarray


@mpl.rc_context(STYLE)
def curves_figure(title: str, label: str, curves: Sequence[Curve], highest: bool) -> Figure:
    """Returns `curves` over each other, each with a dot at its best value: the `highest`, or else the lowest.

    The first four have colours and styles of their own and stand in the legend; more could not be told apart, and lie
    behind them in grey.
    """
    figure, axes = panel(title)
    for number, curve in reversed(list(enumerate(curves))):
        style = line_styles()[number] if number < MOST_STYLES else GREY
        best = (np.argmax if highest else np.argmin)(curve.values)
        axes.plot(*thinned(curve.epochs, curve.values), **style)
        axes.plot(curve.epochs[best], curve.values[best], "o", **{**style, "linestyle": "none"}, markersize=4)
    axes.set(xlabel="epoch", ylabel=label)
    if highest:  # a ROC AUC, which ends at 1
        axes.set_ylim(min(0.5, *(curve.values.min() for curve in curves)), 1.01)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    lines = [Line2D([], [], **style) for style in line_styles()[: len(curves)]]
    named = figure.legend(lines, [curve.name for curve in curves[: len(lines)]], loc="outside lower center")
    for text in named.get_texts():
        text.set_parse_math(False)  # a run may be called anything
    return figure
