"""A comparison as tables and as one HTML page."""

from collections.abc import Iterator, Mapping

from evaluate.compare.conclusions import MEANING, baseline_sentences, kind_sentences, p_text, sentences, warnings
from evaluate.compare.numbers import TESTS, Comparison, Model, Pair
from evaluate.page.markup import (
    Figures,
    Html,
    contents,
    details,
    drawn,
    element,
    items,
    page,
    page_table,
    section,
    table,
)
from evaluate.page.tables import NOTHING, Cell, Table
from evaluate.results.kinds import kinds_by
from evaluate.results.measures import MAIN
from evaluate.results.versus_baseline import COMPARED
from evaluate.stats.bootstrap import Measure
from evaluate.stats.weighted import title_of


def comparison_page(comparison: Comparison, figures: Figures, repeat: str) -> str:
    """Returns the page; `figures` holds caption and SVG element by name, `repeat` is the command for it."""
    names = [model.name for model in comparison.models]
    title = " against ".join(names) if len(names) < 4 else f"{len(names)} runs compared"
    caveats, tables = list(warnings(comparison)), comparison_tables(comparison)
    sections = {
        "Differences between the runs": list(_differences(tables, figures)),
        "Each run by itself": list(_runs(tables, figures)),
        "What each head adds to its baseline": [
            items(baseline_sentences(comparison)),
            details("The same as a table", page_table(tables["head-minus-baseline"], wide=True)),
        ],
        "What was tested, and how": [items(_methods(comparison))],
        "How to repeat this": list(_recipe(comparison, repeat)),
    }
    return page(
        f"Reelcheck comparison: {title}",
        element("h1", title),
        element("p", _about(comparison), class_="lead"),
        *(
            element("div", element("h3", f"{pair.first} and {pair.second}"), items(sentences(pair, comparison)))
            for pair in comparison.pairs
        ),
        element("p", MEANING, class_="lead"),
        element("div", items(kind_sentences(comparison)), class_="findings"),
        element("div", items(caveats), class_="notes", role="note") if caveats else "",
        contents(sections),
        *(section(title, *children) for title, children in sections.items()),
    )


def _differences(tables: Mapping[str, Table], figures: Figures) -> Iterator[Html]:
    yield drawn(figures, "difference-roc-auc", "difference-accuracy")
    yield details(
        "Differences in all main measures, with their intervals", page_table(tables["differences"], wide=True)
    )
    yield details("Tests of the differences", page_table(tables["tests"], wide=True))
    yield details("On how many clips only one run is right", page_table(tables["disagreements"], wide=True))


def _runs(tables: Mapping[str, Table], figures: Figures) -> Iterator[Html]:
    yield drawn(figures, "runs", "roc")
    yield details("All main measures, with their intervals", page_table(tables["runs"], wide=True))
    if "kinds" in tables:
        yield details("How well each finds each kind of fake", page_table(tables["kinds"], wide=True))


def comparison_tables(comparison: Comparison) -> dict[str, Table]:
    """Returns the tables of `comparison` by name."""
    models, pairs = comparison.models, comparison.pairs
    over = f"{comparison.clips} test clips"
    return kinds_by("run", {model.name: model.kinds for model in models}) | {
        "runs": Table(
            f"Measures on {over}, with 95 % intervals over people. ↓: lower is better.",
            ["run", *map(title_of, MAIN), "seconds per epoch"],
            [[model.name, *_cells(model.over_people), _seconds(model)] for model in models],
        ),
        "head-minus-baseline": Table(
            "Each run minus its own baseline, a logistic regression on the mean of the frames, and its paired share, "
            "with 95 % intervals over people.",
            ["run", *COMPARED.values(), "paired share"],
            [[model.name, *_versus_baseline(model)] for model in models],
        ),
        "differences": Table(
            "Differences on the same resamples, first minus second run, with 95 % intervals over people.",
            ["first", "second", *map(title_of, MAIN)],
            [[pair.first, pair.second, *_cells(pair.over_people)] for pair in pairs],
        ),
        "tests": Table(
            f"Tests of the differences. p by Holm: corrected over all {len(TESTS) * len(pairs) + len(models)} tests of "
            "this page.",
            ["first", "second", "test", "effect", "p", "p by Holm", "clips for 80 % power"],
            [row for pair in pairs for row in _tests(pair)],
        ),
        "disagreements": Table(
            f"Clips by which run is right, at the threshold {comparison.calls}.",
            ["first", "second", "only the first", "only the second", "both or neither"],
            [
                [pair.first, pair.second, *map(str, (pair.mcnemar.first, pair.mcnemar.second)), str(rest)]
                for pair in pairs
                for rest in [comparison.clips - pair.mcnemar.first - pair.mcnemar.second]
            ],
        ),
    }


def _about(comparison: Comparison) -> str:
    labels = comparison.models[0].clips.labels
    fakes = int(labels.sum())
    splits = sorted({model.results.audit.split for model in comparison.models})
    first = comparison.models[0]
    known = first.results.unnamed(first.clips) < comparison.clips
    who = f"{comparison.people:,} {'person' if comparison.people == 1 else 'people'}" if known else "unknown people"
    return (
        f"{comparison.clips:,} test clips of the {' and '.join(splits)} split: {comparison.clips - fakes:,} real, "
        f"{fakes:,} fake, of {who}. Calls are made at the threshold {comparison.calls}."
    )


def _cells(measures: Mapping[str, Measure]) -> Iterator[Cell]:
    yield from (measures[name] for name in MAIN)


def _versus_baseline(model: Model) -> Iterator[Cell]:
    yield from (NOTHING if model.difference is None else model.difference.over_people[name] for name in COMPARED)
    yield NOTHING if model.paired.share.value is None else model.paired.share


def _seconds(model: Model) -> str:
    return NOTHING if model.epoch_seconds is None else f"{model.epoch_seconds:.3g}"


def _tests(pair: Pair) -> Iterator[list[str]]:
    calls, area, losses = pair.mcnemar, pair.delong, pair.wilcoxon
    names, corrected = [pair.first, pair.second], {name: p_text(p) for name, p in pair.corrected.items()}
    needed = {name: NOTHING if clips is None else f"{clips:,}" for name, clips in pair.needed.items()}
    effect = NOTHING if calls.g is None else f"Cohen's g {calls.g:+.3f}"
    yield [*names, "accuracy: McNemar, exact", effect, p_text(calls.p), corrected["mcnemar"], needed["accuracy"]]
    yield [*names, "accuracy: McNemar, mid-p", effect, p_text(calls.p_mid), NOTHING, NOTHING]
    chi2 = NOTHING if calls.chi2 is None else f"χ² {calls.chi2:.1f}"
    yield [*names, "accuracy: McNemar, χ² with correction", chi2, p_text(calls.p_chi2), NOTHING, NOTHING]
    effect = area.reason or f"ΔAUC {area.difference:+.3f} [{area.low:+.3f}, {area.high:+.3f}]"
    yield [*names, "ROC AUC: DeLong", effect, p_text(area.p), corrected["delong"], needed["roc_auc"]]
    effect = NOTHING if losses.effect is None else f"rank-biserial {losses.effect:+.3f}"
    yield [*names, "log-loss: Wilcoxon", effect, p_text(losses.p), corrected["wilcoxon"], NOTHING]


def _methods(comparison: Comparison) -> Iterator[str]:
    yield (
        "Accuracy: McNemar's exact test on the clips that only one run gets right. It is conservative, the mid-p less "
        "so; χ² with Edwards' correction is given because published comparisons use it."
    )
    yield "ROC AUC: the paired test of DeLong et al. (1988)."
    yield (
        "Log-loss: Wilcoxon's signed ranks on each clip's loss. On raw probabilities the test would tell which run "
        "says fake more often, not which is better."
    )
    yield (
        f"Intervals: {comparison.resamples:,} resamples, seed {comparison.seed}, the same for all runs. All clips of a "
        "person are drawn together, and an imaginary person, on whom one run is right and the other wrong, stands for "
        "those who were not seen. The three tests treat clips as independent, so a difference is called clear only if "
        "its interval over people leaves 0 out too."
    )
    yield (
        "Every p is corrected by Holm's method over all tests of this page, each run against its baseline among them, "
        "so that of many differences none is called clear by luck alone."
    )
    yield "No clear difference is no proof that the runs are equally good: more test clips may show one."


def _recipe(comparison: Comparison, repeat: str) -> Iterator[Html]:
    yield element("pre", repeat)
    rows = [
        [model.name, str(model.results.folder), model.results.config.fingerprint, f"{model.threshold:.3f}"]
        for model in comparison.models
    ]
    yield details("Where the runs are", table("", ["run", "folder", "fingerprint of its features", "threshold"], rows))
