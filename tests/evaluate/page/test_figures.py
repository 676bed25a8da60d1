"""A figure names in its legend what it draws, and nothing else."""

import pytest

from evaluate.page.figures import Interval, intervals_figure


@pytest.mark.parametrize(("rows", "named"), [
    ([Interval("a", 0.5, None)], []),
    ([Interval("a", 0.5, (0.4, 0.6))], ["95 % interval"]),
    ([Interval("a", 0.5, (0.4, 0.6)), Interval("b", 0.5, None, 0.4)], ["95 % interval", "baseline"]),
])  # fmt: skip
def test_the_legend_of_intervals_names_what_is_there(rows, named):
    (axes,) = intervals_figure("title", rows, 0.5, "value").axes
    assert axes.get_legend_handles_labels()[1] == named
