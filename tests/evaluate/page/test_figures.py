"""A figure names in its legend what it draws, and nothing else."""

import numpy as np
import pytest

from evaluate.page.figures import Interval, intervals_figure
from evaluate.page.training_figures import Curve, curves_figure
from evaluate.stats.bootstrap import Measure

SURE, UNSURE, UNDEFINED = Measure(0.5, 0.4, 0.6), Measure(0.5, None, None), Measure(None, None, None)


@pytest.mark.parametrize(("rows", "named"), [
    ([Interval("a", UNSURE)], []),
    ([Interval("a", SURE)], ["95 % interval"]),
    ([Interval("a", SURE), Interval("b", UNSURE, 0.4)], ["95 % interval", "baseline"]),
    ([Interval("a", SURE), Interval("undefined", UNDEFINED, 0.4)], ["95 % interval"]),
])  # fmt: skip
def test_the_legend_of_intervals_names_what_is_there(rows, named):
    (axes,) = intervals_figure("title", rows, 0.5, "value").axes
    assert axes.get_legend_handles_labels()[1] == named


def test_an_axis_of_roc_auc_ends_at_one_and_begins_at_chance_or_below():
    for lowest in (1.0, 0.3):
        curves = [Curve(name, np.arange(3.0), np.array([lowest, 1.0, 1.0])) for name in "ab"]
        (axes,) = curves_figure("ROC AUC", "ROC AUC", curves, highest=True).axes
        low, high = axes.get_ylim()
        assert low == min(0.5, lowest)
        assert 1 <= high <= 1.01
