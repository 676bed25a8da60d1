"""The stage: a run folder -> `report/`: metrics.json, figures, tables, model card and a self-contained report.html."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from base.commands import flag
from base.errors import UserError
from base.files import make_folder, replace_with, require_writable, write_json, write_text, writing
from base.flags import option
from base.progress import doing
from base.text import printable
from cache.schema import TEST
from evaluate.page.figures import (
    Interval,
    Scores,
    confusion_figure,
    histogram_figure,
    intervals_figure,
    pr_figure,
    reliability_figure,
    roc_figure,
)
from evaluate.page.pictures import clips_figure, saved
from evaluate.page.tables import readable, write_tables
from evaluate.page.training_figures import training_figure
from evaluate.report.caveats import notes
from evaluate.report.first_screen import summary
from evaluate.report.model_card import as_markdown, model_card
from evaluate.report.report_tables import report_tables, wrong_caption
from evaluate.report.sections import report_page
from evaluate.results.footage import find_footage
from evaluate.results.measures import BASELINE, CHOSEN, HALF, HEAD, Evaluation, as_json, evaluate_results
from evaluate.results.outside_scores import write_scores_run
from evaluate.results.read import METRICS, REPORT, Results, read_results
from evaluate.results.slices import Failures, find_failures
from evaluate.stats.metrics import RESAMPLES
from evaluate.stats.weighted import title_of
from train.runs.folder import latest
from train.runs.predictions import Predictions

DRAWN = ("roc_auc", "pr_auc", "accuracy", "balanced_accuracy", "f1_fake", "f1_real", "kappa")
SCORES = Path("scores")
MOST_ROWS = 6
"""Slices of a kind that are drawn."""


@dataclass(frozen=True)
class ReportConfig:
    """Which run to report on, and how its intervals are drawn."""

    run: Path | None = option(None, "run folder (default: the newest finished one below runs/)")
    resamples: int = option(RESAMPLES, "resamples behind each 95 % interval")
    seed: int = option(0, "seed of the bootstrap")
    scores: Path | None = option(
        None, "report on another detector: CSV file with the columns id (or path) and probability, of fake"
    )
    data: Path | None = option(None, "with scores: the data set that they are of, or a features folder of it")
    out: Path | None = option(None, "with scores: the run folder to write them into (default: scores/ and their name)")


def write_report(config: ReportConfig) -> Path:
    """Writes the report of a finished run into its folder `report`, the page last; returns the page's path.

    Raises a UserError that says what the run folder lacks, or which line of a file is wrong.
    """
    require_resamples(config.resamples, config.seed)
    run = _scores_run(config) if config.scores else config.run or latest(Path("runs"))
    results, folder = read_results(run), run / REPORT
    require_writable(folder, "make it writable, or report on a copy of the run")
    with doing("measuring"):
        evaluation = evaluate_results(results, config.resamples, config.seed)
    with writing(folder, "free it or its disk and run again"), doing("writing the report"):
        make_folder(folder / "figures")
        texts = {"summary": list(summary(evaluation)), "notes": list(notes(evaluation))}
        write_json(folder / METRICS, as_json(evaluation) | texts)
        failures = find_failures(evaluation.results, find_footage(evaluation.results), config.seed)
        drawings = (*_figures(evaluation), *_intervals(evaluation, failures))
        figures = {name: saved(figure, folder / "figures" / name, caption) for name, caption, figure in drawings}
        _save_sheet(failures, folder / "figures")
        write_tables(folder / "tables", report_tables(evaluation, failures))
        card = as_markdown(evaluation.results.name, model_card(evaluation))
        write_text(folder / "model-card.md", readable(card))
        return write_text(folder / "report.html", report_page(evaluation, failures, figures))


def _scores_run(config: ReportConfig) -> Path:
    """Returns the run that it makes of the scores of another detector."""
    assert config.scores
    if config.data is None or config.run is not None:
        raise UserError(
            f"{flag('scores', config.scores)} needs the data set that they are of, {flag('data', '...')}, and no run."
        )
    folder = config.out or SCORES / config.scores.stem
    require_writable(folder.parent, f"choose another {flag('out')}")
    return write_scores_run(config.scores, config.data, folder)


def require_resamples(resamples: int, seed: int) -> None:
    """Raises a UserError for numbers that a bootstrap cannot use."""
    if resamples < 1:
        raise UserError(f"{flag('resamples', resamples)} gives no interval; give 1 or more, such as 2000.")
    if seed < 0:
        raise UserError(f"{flag('seed', seed)} is below 0; give 0 or above.")


def _save_sheet(failures: Failures, folder: Path) -> None:
    """Saves a contact sheet of the most confident mistakes, if their crops were kept."""
    ids = failures.clips.ids
    pictures = [(row, failures.footage.pictures(ids[row])) for row in failures.wrong]
    kept = [
        (f"{wrong_caption(failures, row)} {printable(ids[row])}", crops) for row, crops in pictures if crops is not None
    ]
    if kept:
        replace_with(folder / "most-wrong.png", lambda file: clips_figure(kept).savefig(file, dpi=100, format="png"))


def _figures(evaluation: Evaluation) -> Iterator[tuple[str, str, Figure]]:
    """Yields name, caption (plain text without markup) and figure."""
    results, head, counts = evaluation.results, evaluation.evaluated[TEST][HEAD], evaluation.counts[TEST]
    models = [
        _scores(name, own.of(TEST), results)
        for name, own in ((results.judge, results.head), (BASELINE, results.baseline))
        if own is not None
    ]
    names = " and ".join([results.judge] + ["baseline"] * len(models[1:]))
    if counts.real and counts.fake:
        caption = f"ROC curves of {names} on the test part, the {results.judge}'s with its 95 % band over people."
        yield "roc", caption, roc_figure(models)
        yield "pr", f"Precision and recall of {names} on the test part.", pr_figure(models)
    for kind, name in ((HALF, "confusion"), (CHOSEN, "confusion-chosen")):
        if calls := head.decisions.get(kind):
            title = f"Threshold {calls.threshold:.2f}" + (", chosen on validation" if kind == CHOSEN else "")
            caption = f"Confusion matrix of the {results.judge} on the test part. {title}."
            yield name, caption, confusion_figure(calls.confusion, title)
    thresholds = sorted({calls.threshold for calls in head.decisions.values()})
    caption = f"Probabilities that the {results.judge} gives to real and to fake test clips."
    yield "histogram", caption, histogram_figure(models[0], thresholds)
    bins = {name: reliability.bins for name, reliability in evaluation.reliability.items()}
    caption = "Share of fakes by probability, with 95 % intervals. On the dotted line the probabilities are calibrated."
    yield "reliability", caption, reliability_figure(bins)
    if any(np.isfinite(results.history.get(loss, ())).any() for loss in ("loss", "val_loss")):
        caption = "Loss by epoch, and the epoch of the lowest validation loss where there is one."
        yield "training", caption, training_figure(results.history)


def _intervals(evaluation: Evaluation, failures: Failures) -> Iterator[tuple[str, str, Figure]]:
    """Yields the forest plots: of the measures between 0 and 1, and of the accuracy by slice."""
    models = [one.scores | one.decisions[HALF].measures for one in evaluation.evaluated[TEST].values()]
    rows = [Interval(title_of(name), models[0][name], models[1][name].value if models[1:] else None) for name in DRAWN]
    judge = evaluation.results.judge
    too = ", and its baseline's" if models[1:] else ""
    caption = f"The {judge}'s main measures with 95 % intervals over people, calls at {HALF}{too}."
    yield "measures", caption, intervals_figure("Measures on the test part", rows, None, "value")
    rows = [
        Interval(f"{slicing.key}: {printable(one.name)} ({one.real + one.fake:,})"[:48], one.measures["accuracy"])
        for slicing in failures.slicings
        for one in slicing.slices[:MOST_ROWS]
    ]
    caption = f"Accuracy at {HALF} on parts of the test clips, with the number of clips; the tables below have more."
    yield (
        "slices",
        caption,
        intervals_figure("Accuracy on parts of the test clips", rows, None, "accuracy", inches=0.24),
    )


def _scores(name: str, clips: Predictions, results: Results) -> Scores:
    return Scores(name, clips.labels, clips.probabilities, results.people(clips))
