"""Figures: each function returns a matplotlib Figure; `evaluate.page.pictures` writes it, and makes it part of a page.

Colours are those of Okabe & Ito ("Color Universal Design", 2008), which people with any colour vision can tell apart.
Line style or position says the same as the colour.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from evaluate.stats.bootstrap import Measure, ends
from evaluate.stats.calibration import Bin
from evaluate.stats.metrics import Confusion, pr_points, roc_band, roc_points

COLOURS = {
    "ink": "#24292f",
    "grid": "#d0d7de",
    "one": "#0072b2",
    "two": "#d55e00",
    "three": "#009e73",
    "four": "#cc79a7",
}
"""Colours by role. In a page each becomes the CSS variable of its name, so that figures follow light and dark."""
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.edgecolor": COLOURS["ink"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": COLOURS["grid"],
    "grid.linewidth": 0.6,
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), COLOURS["ink"]),
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text: readers can search, copy and hear it
    "svg.hashsalt": "reelcheck",  # the same run gives the same bytes
}
_SIZE = (4.6, 3.6)
_HEADROOM = 1.3
MOST_POINTS = 2000
"""Points of a curve that are drawn; those of a hundred thousand clips would fill megabytes of SVG."""


@dataclass(frozen=True, eq=False)
class Scores:
    """One model's scores of N clips: `labels` (N,) of 0 and 1, `probabilities` (N,) of fake, `people` int (N,)."""

    name: str
    labels: np.ndarray
    probabilities: np.ndarray
    people: np.ndarray


@mpl.rc_context(STYLE)
def roc_figure(models: Sequence[Scores]) -> Figure:
    """Returns the ROC curves of the first four `models`, the first with its band; each needs real and fake clips."""
    figure, axes = _square("ROC curve")
    rates, low, high = roc_band(models[0].labels, models[0].probabilities, groups=models[0].people)
    axes.fill_between(rates, low, high, color=COLOURS["one"], alpha=0.15, linewidth=0)
    axes.plot([0, 1], [0, 1], ":", color=COLOURS["ink"], linewidth=1, label="chance")
    for model, style in zip(models, line_styles(), strict=False):
        axes.plot(*thinned(*roc_points(model.labels, model.probabilities)), **style, label=model.name)
    axes.set(xlabel="share of real called fake (false positive rate)", ylabel="share of fake called fake (recall)")
    axes.legend(loc="lower right")
    return figure


@mpl.rc_context(STYLE)
def pr_figure(models: Sequence[Scores]) -> Figure:
    """Returns the precision-recall curves of at most two `models`, as steps whose area is the PR AUC."""
    figure, axes = _square("Precision and recall of fake")
    share = float(np.mean(models[0].labels))
    axes.axhline(share, linestyle=":", color=COLOURS["ink"], linewidth=1, label=f"chance: {share:.2f} of the clips")
    for model, style in zip(models, line_styles(), strict=False):
        recall, precision = pr_points(model.labels, model.probabilities)
        points = thinned(np.append(0, recall), np.append(precision[0], precision))
        axes.plot(*points, drawstyle="steps-pre", **style, label=model.name)
    axes.set(xlabel="share of fake called fake (recall)", ylabel="share of fake calls that are right (precision)")
    axes.legend(loc="lower left")
    return figure


@mpl.rc_context(STYLE)
def confusion_figure(counts: Confusion, title: str) -> Figure:
    """Returns the confusion matrix: clips, and their share of the true class, which is also the shade."""
    figure, axes = panel(title)
    rows = ((counts.true_real, counts.false_fake), (counts.false_real, counts.true_fake))
    for row, cells in enumerate(rows):
        for column, clips in enumerate(cells):
            share = clips / sum(cells) if sum(cells) else 0.0
            axes.add_patch(Rectangle((column, row), 1, 1, facecolor=COLOURS["one"], alpha=0.06 + 0.4 * share))
            axes.text(column + 0.5, row + 0.45, f"{clips:,}", ha="center", va="center", fontsize=17)
            axes.text(column + 0.5, row + 0.68, f"{share:.0%} of {sum(cells):,}", ha="center", va="center")
    names = ["real", "fake"]
    axes.set(xlim=(0, 2), ylim=(2, 0), xlabel="called (clips)", ylabel="is (clips)")
    axes.set_xticks([0.5, 1.5], names)
    axes.set_yticks([0.5, 1.5], names, rotation=90, va="center")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


@mpl.rc_context(STYLE)
def histogram_figure(scores: Scores, thresholds: Sequence[float]) -> Figure:
    """Returns histograms of the probabilities of real and fake clips, with at most two `thresholds` as lines."""
    figure, axes = panel(f"Probabilities of the {scores.name}")
    bins = np.linspace(0, 1, 21).tolist()
    real, fake = (scores.probabilities[scores.labels == label] for label in (0, 1))
    # One filled, one outlined: they can be told apart where they overlap.
    axes.hist(real, bins, color=(*to_rgb(COLOURS["one"]), 0.4), label=f"real, {real.size:,} clips")
    axes.hist(fake, bins, histtype="step", color=COLOURS["two"], linewidth=2, label=f"fake, {fake.size:,} clips")
    for threshold, style in zip(thresholds, (":", "-."), strict=False):
        mark(axes, threshold, style, f"threshold {threshold:.2f}")
    axes.set(xlim=(0, 1), xlabel="probability of fake", ylabel="clips")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    legend_above(axes, columns=2)
    return figure


@mpl.rc_context(STYLE)
def reliability_figure(models: Mapping[str, Sequence[Bin]]) -> Figure:
    """Returns the share of fakes by probability, with 95 % intervals, for at most two sets of bins by name."""
    figure, axes = _square("Reliability")
    axes.plot([0, 1], [0, 1], ":", color=COLOURS["ink"], linewidth=1, label="perfect")
    for (name, bins), style, marker, aside in zip(models.items(), line_styles(), "os", (-0.006, 0.006), strict=False):
        # Shifted a little, or intervals of the same bins would hide each other.
        means = np.array([one.probability for one in bins]) + aside
        ends = np.array([(one.share.low, one.share.high) for one in bins], float).T  # NaN, and no line, where unknown
        axes.vlines(means, *ends, color=style["color"], linewidth=1, alpha=0.7)
        axes.plot(
            means, np.array([one.share.value for one in bins], float), **style, marker=marker, markersize=5, label=name
        )
    axes.set(xlabel="probability of fake, mean of the bin", ylabel="share of fakes in the bin")
    axes.legend(loc="upper left")
    return figure


@dataclass(frozen=True)
class Interval:
    """A row of `intervals_figure`; `baseline` is what the measure is compared with, without an interval."""

    name: str
    measure: Measure
    baseline: float | None = None


@mpl.rc_context(STYLE)
def intervals_figure(
    title: str, rows: Sequence[Interval], line: float | None, label: str, inches: float = 0.55
) -> Figure:
    """Returns values with their intervals and a dotted vertical `line`, the first row on top; `label` is the axis's.

    A row is `inches` high; one whose measure is undefined is left out.
    """
    rows = [row for row in rows if row.measure.value is not None]
    figure = Figure(figsize=(_SIZE[0] * 1.15, 1.3 + inches * len(rows)), layout="constrained")
    axes = figure.add_subplot(title=title)
    if line is not None:
        axes.axvline(line, color=COLOURS["ink"], linewidth=1, linestyle=":")
    for height, row in enumerate(rows):
        if interval := ends(row.measure):
            axes.plot(interval, [height] * 2, color=COLOURS["one"], linewidth=2, marker="|")
        axes.plot(np.array(row.measure.value, float), height, "o", color=COLOURS["ink"], markersize=5)
        if row.baseline is not None:
            axes.plot(row.baseline, height + 0.3, "D", color=COLOURS["three"], markersize=4)
    if any(ends(row.measure) for row in rows):
        axes.plot([], [], color=COLOURS["one"], linewidth=2, label="95 % interval")
    if any(row.baseline is not None for row in rows):
        axes.plot([], [], "D", color=COLOURS["three"], markersize=4, label="baseline")
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.set(ylim=(len(rows) - 0.5, -0.5), xlabel=label)
    axes.grid(visible=False, axis="y")
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns at most about `MOST_POINTS` of a curve's points, its ends among them: more cannot be seen."""
    step = -(-len(x) // MOST_POINTS)
    rows = np.unique(np.append(np.arange(0, len(x), step), len(x) - 1))
    return x[rows], y[rows]


def line_styles() -> tuple[dict[str, Any], ...]:
    """Returns the styles of the first four curves of a figure."""
    return (
        {"color": COLOURS["one"], "linewidth": 2},
        {"color": COLOURS["two"], "linewidth": 1.6, "linestyle": "--"},
        {"color": COLOURS["three"], "linewidth": 1.6, "linestyle": "-."},
        {"color": COLOURS["four"], "linewidth": 1.6, "linestyle": (0, (1, 1))},
    )


def mark(axes: Axes, x: float, style: str, label: str) -> None:
    """Draws a vertical line of `style` at `x`, which ends below the legend."""
    axes.axvline(x, ymax=1 / _HEADROOM, linestyle=style, color=COLOURS["ink"], linewidth=1, label=label)


def legend_above(axes: Axes, columns: int) -> None:
    """Makes room above the curves and puts the legend there."""
    axes.set_ylim(0, axes.get_ylim()[1] * _HEADROOM)
    axes.legend(loc="upper center", ncols=columns, columnspacing=1.2)


def panel(title: str) -> tuple[Figure, Axes]:
    """Returns an empty figure with its axes."""
    figure = Figure(figsize=_SIZE, layout="constrained")
    return figure, figure.add_subplot(title=title)


def _square(title: str) -> tuple[Figure, Axes]:
    """A panel whose axes both go from 0 to 1."""
    figure, axes = panel(title)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    return figure, axes
