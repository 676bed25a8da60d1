"""The sections of a run's report as HTML."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cache.schema import LEAST_COVERAGE, TEST, VAL
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
from evaluate.page.repeat import repeat_command
from evaluate.page.tables import NOTHING, value_text
from evaluate.report.caveats import calibration_harm, notes
from evaluate.report.clips_table import list_clips
from evaluate.report.first_screen import summary
from evaluate.report.model_card import short_card
from evaluate.report.report_tables import failure_tables, measure_rows, uncertainty_tables
from evaluate.results.measures import CHOSEN, HALF, HEAD, Evaluation, PartCounts
from evaluate.results.read import why_uncalibrated
from evaluate.results.slices import Failures
from evaluate.stats.bootstrap import Measure
from evaluate.stats.calibration import BINS, HOTTEST
from evaluate.stats.weighted import CALL_METRICS, SCORE_METRICS, title_of
from train.data.audit import MOST_FINDINGS, MOST_NAMES, Finding

MANY = 12
"""If there are more findings of a kind, they are folded away."""
_HEADLINES = ("roc_auc", "accuracy", "balanced_accuracy")
_KINDS = {
    "identity": "People in more than one part",
    "source": "Source videos in more than one part",
    "duplicate": "Clips with equal content",
}


def report_page(evaluation: Evaluation, failures: Failures, figures: Figures) -> str:
    """Returns the report as one HTML document."""
    name, caveats = evaluation.results.name, list(notes(evaluation))
    tested, *findings = summary(evaluation)
    sections = {
        "How well it tells them apart": list(_quality(evaluation, figures)),
        "Test clips": [list_clips(failures)],
        "Where it fails": list(_failures(failures, figures)),
        "Calibration": list(_calibration(evaluation, figures)),
        "Training": list(_training(evaluation, figures)),
        "Data": list(_data(evaluation)),
        "What training and test share": list(_audit(evaluation)),
        "Model card": list(_card(evaluation)),
        "How to repeat this": list(_recipe(evaluation)),
    }
    return page(
        f"Reelcheck report: {name}",
        element("h1", name),
        element("p", _about(evaluation), class_="lead"),
        element("p", tested),
        element("div", *_cards(evaluation), class_="cards"),
        element("div", items(findings), class_="findings"),
        element("div", items(caveats), class_="notes", role="note") if caveats else "",
        contents(sections),
        *(section(title, *children) for title, children in sections.items()),
    )


def _about(evaluation: Evaluation) -> str:
    results = evaluation.results
    config = results.config
    head = f"A run of {config.config.get('head', 'a head')} on {config.backbone or 'unknown'} features"
    data = config.data_set
    return (
        f"{f'Data set {data}, ' if data else ''}{results.audit.split} split, finished {results.created[:10]}. "
        f"{config.about or head}. Brackets are 95 % intervals over people; fake is the positive class."
    )


def _quality(evaluation: Evaluation, figures: Figures) -> Iterator[Html]:
    yield drawn(figures, "measures", "roc", "histogram", "pr", "confusion", "confusion-chosen")
    yield details("All measures, head beside baseline", _tables(evaluation, TEST))
    yield details("What the measures mean", items(_meanings()))
    tables = uncertainty_tables(evaluation).values()
    yield details("The head minus its baseline, and further tables", *map(page_table, tables))


def _meanings() -> Iterator[str]:
    for metric in (*SCORE_METRICS.values(), *CALL_METRICS.values()):
        if metric.meaning:
            # "precision, fake" stands for both classes.
            yield f"{metric.title.removesuffix(' ↓').partition(',')[0]}: {metric.meaning}."


def _cards(evaluation: Evaluation) -> Iterator[Html]:
    models = evaluation.evaluated[TEST]
    for measure in _HEADLINES:
        head, *others = (
            model.scores[measure] if measure in SCORE_METRICS else model.decisions[HALF].measures[measure]
            for model in models.values()
        )
        name = title_of(measure) if measure in SCORE_METRICS else f"{title_of(measure)} at {HALF}"
        yield _number(name, head, others)
    head, *others = (paired.share for paired in evaluation.paired.values())
    if head.value is not None:
        yield _number("paired share", head, others, "fakes above their real clip")


def _number(name: str, head: Measure, baselines: Sequence[Measure], *words: str) -> Html:
    lines = (*words, _interval(head), *(f"baseline {value_text(one)}" for one in baselines))
    small = (element("small", line) for line in lines)
    return element("div", name, element("b", value_text(head)), *small, class_="card")


def _failures(failures: Failures, figures: Figures) -> Iterator[Html]:
    if not failures.footage.rows:
        yield element("p", f"{failures.footage.why}, so face sizes and clip lengths are unknown.")
    yield drawn(figures, "slices")
    for one in failure_tables(failures).values():
        yield details(one.caption, page_table(one))


def _calibration(evaluation: Evaluation, figures: Figures) -> Iterator[Html]:
    yield drawn(figures, "reliability")
    temperature = evaluation.temperature
    if temperature is None:
        why = why_uncalibrated(evaluation.results.head.of(VAL).counts)
        yield element("p", f"The probabilities are not calibrated: {why}. Detection shows the raw score, and says so.")
    else:
        side = "overconfident" if temperature.value > 1 else "underconfident"
        if temperature.value > 0.99 * HOTTEST:
            side += " and carry almost no information"
        yield element(
            "p",
            f"On {temperature.clips} validation clips the probabilities are {side}: dividing their logits by "
            f"{temperature.value:.2f} (the temperature) calibrates them. Detection shows the calibrated probability "
            "beside the raw one; calls do not change.",
        )
        yield from (element("p", sentence, class_="notes") for sentence in calibration_harm(evaluation))
    yield table(
        f"On the test part: the expected calibration error over {BINS} bins, the mean distance between the probability "
        "of fake and the share of fakes, which is above 0 in few clips even if all is right; and the log-loss in nats.",
        ["probabilities", "error", "log-loss"],
        [[name, f"{own.error:.3f}", f"{own.log_loss:.3f}"] for name, own in evaluation.reliability.items()],
    )


def _card(evaluation: Evaluation) -> Iterator[Html]:
    for heading, sentences in short_card(evaluation).items():
        yield element("h3", heading)
        yield items(sentences)


def _interval(measure: Measure) -> str:
    if measure.value is None:
        return "undefined here"
    return "no interval" if measure.low is None else f"{measure.low:.3f} to {measure.high:.3f}"


def _tables(evaluation: Evaluation, part: str) -> Html:
    models = evaluation.evaluated[part]
    caption = "Measures of the probabilities, without a threshold. ↓: lower is better."
    tables = [table(caption, ["", *models], measure_rows(SCORE_METRICS, [model.scores for model in models.values()]))]
    for kind in (HALF, CHOSEN):
        if calls := {name: model.decisions[kind] for name, model in models.items() if kind in model.decisions}:
            thresholds = ["threshold", *(f"{call.threshold:.3f}" for call in calls.values())]
            rows = measure_rows(CALL_METRICS, [call.measures for call in calls.values()])
            tables.append(table(f"Calls at the threshold {kind}.", ["", *calls], [thresholds, *rows]))
    return element("div", *tables, class_="tables")


def _training(evaluation: Evaluation, figures: Figures) -> Iterator[Html]:
    yield drawn(figures, "training")
    if evaluation.results.config.config.get("class_weights"):
        too = " in each data set" if evaluation.results.config.config.get("data_set_weights") else ""
        weighed = f"The loss weighs both classes the same{too}"
        yield element("p", f"{weighed}; the log-loss of this report counts each clip once.")
    if VAL in evaluation.evaluated:
        chosen = ", and the threshold was chosen," if CHOSEN in evaluation.evaluated[TEST][HEAD].decisions else ""
        text = f"Training stopped{chosen} on the validation clips, so the head looks better on them than it is."
        yield element("p", text)
        yield details("Measures on the validation part", _tables(evaluation, VAL))


def _audit(evaluation: Evaluation) -> Iterator[Html]:
    audit = evaluation.results.audit
    found = "Leak audit: " if audit.findings else "Nothing that the parts share was found: "
    yield element("p", f"{found}{evaluation.results.scope}.")
    for kind in dict.fromkeys([*_KINDS, *(finding.kind for finding in audit.findings)]):
        findings = [finding for finding in audit.findings if finding.kind == kind]
        if findings:
            count = evaluation.results.findings.get(kind, len(findings))
            title = f"{_KINDS.get(kind, kind)} ({count:,})"
            more = count - min(len(findings), MOST_FINDINGS)
            rest = element("p", f"and {more:,} more") if more > 0 else ""
            block = element("div", *map(_finding, findings[:MOST_FINDINGS]), rest, class_="finding")
            yield details(title, block) if len(findings) > MANY else element("div", element("p", title), block)
    if audit.dropped:
        yield element("p", f"Clips in no part: {audit.dropped:,}.")


def _finding(finding: Finding) -> Html:
    videos = finding.videos.items()
    counted = {part: len(names) for part, names in videos} | finding.counts
    counts = ", ".join(f"{count:,} in {part}" for part, count in counted.items())
    clips = (element("li", part, ": ", _names(names, counted[part])) for part, names in videos)
    return details(element("span", element("b", finding.name), f": {counts}"), element("ul", *clips))


def _names(names: Sequence[object], count: int) -> str:
    listed = names[:MOST_NAMES]
    more = f" and {count - len(listed):,} more" if count > len(listed) else ""
    return ", ".join(map(str, listed)) + more


def _data(evaluation: Evaluation) -> Iterator[Html]:
    yield table(
        "Clips by part. Coverage is the share of a clip's frames in which a face was detected.",
        ["part", "real", "fake", "mean coverage", f"coverage under {LEAST_COVERAGE:g}"],
        ([part, *_row(counts)] for part, counts in evaluation.counts.items()),
    )


def _row(counts: PartCounts) -> Iterator[str]:
    yield f"{counts.real:,}"
    yield f"{counts.fake:,}"
    yield NOTHING if counts.coverage is None else f"{counts.coverage:.3f}"
    yield NOTHING if counts.coverage is None else f"{counts.few_faces:,}"


def _recipe(evaluation: Evaluation) -> Iterator[Html]:
    values = evaluation.results.config.entries()
    yield element("pre", "\n".join(_commands(evaluation)))
    yield _settings("Configuration of the head", values["config"])
    yield _settings(f"Profile of the features, fingerprint {values['fingerprint']}", values["profile"])
    yield _settings("Where the features come from", values.get("origin", {}))
    yield _settings("Versions", values["versions"])


def _commands(evaluation: Evaluation) -> Iterator[str]:
    results = evaluation.results
    config = dict(results.config.config)
    if "name" in config:
        config["name"] = results.name
    if "features" in config:
        config["features"] = results.config.features_folders or None
    yield repeat_command(results.verb, config)
    asked = {"run": results.folder, "resamples": evaluation.resamples, "seed": evaluation.seed}
    yield repeat_command("eval", asked)


def _settings(caption: str, values: Mapping[str, Any]) -> Html:
    return details(caption, table("", ["setting", "value"], _flat(values))) if values else Html()


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", NOTHING if value in (None, "") else str(value)
