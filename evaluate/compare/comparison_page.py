"""A comparison as tables and as one HTML page."""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from evaluate.compare.conclusions import sentences, shown_p, warnings
from evaluate.compare.numbers import Comparison, Model, Pair
from evaluate.page.markup import Html, details, element, items, measured, page, section, table
from evaluate.page.tables import Table
from evaluate.results.measures import DECISION_NAMES, MAIN, SCORE_NAMES, shown
from evaluate.stats.bootstrap import Measure

NAMES = SCORE_NAMES | DECISION_NAMES


def comparison_page(
    comparison: Comparison, figures: Mapping[str, tuple[str, Html]], repeated: Mapping[str, Any]
) -> str:
    """Returns the page; `figures` holds caption and SVG of each, `repeated` the flags that make it again."""
    names = [model.name for model in comparison.models]
    title = " against ".join(names) if len(names) < 4 else f"{len(names)} runs compared"
    warned = list(warnings(comparison))
    drawn = (element("figure", svg, element("figcaption", caption)) for caption, svg in figures.values())
    tables = comparison_tables(comparison)
    return page(
        f"Reelcheck comparison: {title}",
        element("h1", title),
        element("p", _about(comparison), class_="lead"),
        *(element("div", _heading(pair), items(sentences(pair, comparison))) for pair in comparison.pairs),
        element("div", items(warned), class_="notes", role="note") if warned else "",
        section("Runs", *map(_html, (tables["runs"], tables["runs-over-people"]))),
        section("Differences", *map(_html, (tables["differences"], tables["tests"], tables["disagreements"]))),
        section("Figures", element("div", *drawn, class_="figures")),
        section("What was tested, and how", items(_methods(comparison))),
        section("How to repeat this", *_recipe(comparison, repeated)),
    )


def comparison_tables(comparison: Comparison) -> dict[str, Table]:
    """Returns the tables of `comparison` by name."""
    models, pairs = comparison.models, comparison.pairs
    over = f"{comparison.clips} test clips"
    return {
        "runs": Table(
            f"Measures on {over}, with 95 % intervals over clips. ↓: lower is better.",
            ["run", *(NAMES[name] for name in MAIN), "seconds per epoch"],
            [[model.name, *_cells(model.over_clips), _seconds(model)] for model in models],
        ),
        "runs-over-people": Table(
            f"The same, with intervals over the {comparison.people} people whose footage these clips are.",
            ["run", *(NAMES[name] for name in MAIN)],
            [[model.name, *_cells(model.over_people)] for model in models],
        ),
        "differences": Table(
            "Differences on the same resamples, first run less second, with 95 % intervals over clips and over people.",
            ["first", "second", "over", *(NAMES[name] for name in MAIN)],
            [
                [pair.first, pair.second, over, *_cells(found)]
                for pair in pairs
                for over, found in (("clips", pair.over_clips), ("people", pair.over_people))
            ],
        ),
        "tests": Table(
            f"Tests of the differences. p by Holm: corrected over {_pairs(len(pairs))}.",
            ["first", "second", "test", "effect", "p", "p by Holm", "clips for 80 % power"],
            [row for pair in pairs for row in _tests(pair)],
        ),
        "disagreements": Table(
            f"Clips by who calls them right, at the threshold {comparison.calls}.",
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
    splits = sorted({model.results.audit["split"] for model in comparison.models})
    return (
        f"{comparison.clips:,} test clips of the {' and '.join(splits)} split: {comparison.clips - fakes:,} real, "
        f"{fakes:,} fake, of {comparison.people} people. Calls are made at the threshold {comparison.calls}."
    )


def _heading(pair: Pair) -> Html:
    return element("h3", f"{pair.first} and {pair.second}")


def _html(shown: Table) -> Html:
    return table(shown.caption, shown.columns, [list(map(measured, row)) for row in shown.rows])


def _cells(measures: Mapping[str, Measure]) -> Iterator[str]:
    yield from (shown(measures[name]) for name in MAIN)


def _seconds(model: Model) -> str:
    return "–" if model.epoch_seconds is None else f"{model.epoch_seconds:.3g}"


def _tests(pair: Pair) -> Iterator[list[str]]:
    calls, area, losses = pair.mcnemar, pair.delong, pair.wilcoxon
    names, corrected = [pair.first, pair.second], {name: shown_p(p) for name, p in pair.corrected.items()}
    needed = {name: "–" if clips is None else f"{clips:,}" for name, clips in pair.needed.items()}
    effect = "–" if calls.g is None else f"Cohen's g {calls.g:+.3f}"
    yield [*names, "accuracy: McNemar, exact", effect, shown_p(calls.p), corrected["mcnemar"], needed["accuracy"]]
    yield [*names, "accuracy: McNemar, mid-p", effect, shown_p(calls.p_mid), "–", "–"]
    chi2 = "–" if calls.chi2 is None else f"χ² {calls.chi2:.1f}"
    yield [*names, "accuracy: McNemar, χ² with correction", chi2, shown_p(calls.p_chi2), "–", "–"]
    effect = area.reason or f"ΔAUC {area.difference:+.3f} [{area.low:+.3f}, {area.high:+.3f}]"
    yield [*names, "ROC AUC: DeLong", effect, shown_p(area.p), corrected["delong"], needed["roc_auc"]]
    effect = "–" if losses.effect is None else f"rank-biserial {losses.effect:+.3f}"
    yield [*names, "log-loss: Wilcoxon", effect, shown_p(losses.p), corrected["wilcoxon"], "–"]


def _pairs(count: int) -> str:
    return "one pair, so there is nothing to correct" if count == 1 else f"{count} pairs, each test by itself"


def _methods(comparison: Comparison) -> Iterator[str]:
    yield (
        "Accuracy: McNemar's exact test on the clips that one run alone has right. Its false alarms are at most "
        "what it claims; the mid-p comes closer, and χ² with Edwards' correction is there to compare with others."
    )
    yield "ROC AUC: the paired test of DeLong et al. (1988)."
    yield (
        "Log-loss: Wilcoxon's signed ranks on each clip's loss. On raw probabilities the test would say which run "
        "says fake more often, not which is better."
    )
    yield (
        f"Intervals: {comparison.resamples:,} bootstrap resamples, seed {comparison.seed}, the same for all runs. Over "
        "people, all footage of a person is drawn together. The three tests take clips for independent: where "
        "the interval over people is the wider one, believe that."
    )
    yield "A difference that is not shown is not a proof that the runs are equal."


def _recipe(comparison: Comparison, repeated: Mapping[str, Any]) -> Iterator[Html]:
    flags = []
    for name, value in repeated.items():
        text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        flags.append(f"--{name}" if value is True else f"--{name} {shlex.quote(text)}")
    yield element("pre", " ".join(["python -m evaluate compare", *flags]))
    rows = [
        [model.name, str(model.results.folder), model.results.config["fingerprint"], f"{model.threshold:.3f}"]
        for model in comparison.models
    ]
    yield details("Where the runs are", table("", ["run", "folder", "fingerprint of its features", "threshold"], rows))
