"""The stage: runs with the same test clips -> which one is better, how sure that is, and a page."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base.commands import flag
from base.files import make_folder, require_writable, write_json, write_text, writing
from base.flags import option, required
from base.progress import doing, say
from cache.store import is_store, open_store, require_rows
from evaluate.compare.comparison_page import comparison_page, comparison_tables
from evaluate.compare.conclusions import baseline_sentences, kind_sentences, left_out, sentences, warnings
from evaluate.compare.numbers import Comparison, Model, as_json, compare_results
from evaluate.page.figures import Interval, Scores, intervals_figure, roc_figure
from evaluate.page.pictures import saved
from evaluate.page.repeat import compare_command
from evaluate.page.tables import write_tables
from evaluate.report.stage import require_resamples
from evaluate.results.read import read_results
from evaluate.stats.bootstrap import ends
from evaluate.stats.metrics import CHANCE, RESAMPLES, THRESHOLD
from train.data.split import SplitConfig, split_choices
from train.fit import FitConfig, fit
from train.heads.architectures import HeadConfig
from train.runs.folder import require_finished

MOST_CURVES, MOST_NAME = 4, 120
"""Most runs in a figure, and most bytes in the name of a folder that is made of theirs."""
COMPARISONS = Path("comparisons")
PAGE, NUMBERS = "compare.html", "comparison.json"


@dataclass(frozen=True)
class CompareConfig:
    """What to compare, and how the intervals are drawn."""

    runs: tuple[Path, ...] = required(
        "run folders with the same test clips, as A,B; for a features folder a head is trained on it first"
    )
    out: Path | None = option(None, "folder to write (default: comparisons/ and the names of the runs)")
    chosen: bool = option(False, f"use the thresholds chosen on validation instead of {THRESHOLD}")
    resamples: int = option(RESAMPLES, "resamples behind each 95 % interval")
    seed: int = option(0, "seed of the bootstrap, and of the first head that is trained")
    seeds: int = option(1, "for features folders: heads to train on each, joined as an ensemble")
    head: str = option(HeadConfig.head, "for features folders: the temporal head")
    split: str = option(SplitConfig.kind, "for features folders: the split", choices=split_choices)
    runs_folder: Path | None = option(
        None, "for features folders: where the trained runs go (default: runs/ in the folder to write)"
    )


def compare(config: CompareConfig) -> Path:
    """Compares runs and returns the path of the page; tables, figures and numbers are beside it.

    Raises a UserError that says why the runs cannot be compared.
    """
    require_resamples(config.resamples, config.seed)
    require_writable(config.out or COMPARISONS, f"choose another {flag('out')}")
    require_writable(_runs_folder(config), f"choose another {flag('runs_folder')}")
    for folder in config.runs:
        _require_usable(folder)
    folders = [_trained(folder, config) for folder in config.runs]
    with doing("comparing"):
        comparison = compare_results(list(map(read_results, folders)), config.chosen, config.resamples, config.seed)
    for sentence in left_out(comparison):
        say(sentence)
    folder = config.out or COMPARISONS / _name([model.name for model in comparison.models])
    with writing(folder, f"free it, or give another {flag('out')}"), doing("writing the page"):
        make_folder(folder / "figures")
        numbers = as_json(comparison) | {
            "sentences": [line for pair in comparison.pairs for line in sentences(pair, comparison)],
            "baselines": list(baseline_sentences(comparison)),
            "kinds": list(kind_sentences(comparison)),
            "warnings": list(warnings(comparison)),
        }
        write_json(folder / NUMBERS, numbers)
        write_tables(folder / "tables", comparison_tables(comparison))
        drawings = _figures(comparison)
        figures = {name: saved(figure, folder / "figures" / name, caption) for name, caption, figure in drawings}
        return write_text(folder / PAGE, comparison_page(comparison, figures, _repeat(config, folders)))


def _require_usable(folder: Path) -> None:
    """Raises a UserError if `folder` is neither a run nor features, before a head is trained on another one."""
    if is_store(folder):
        require_rows(open_store(folder))
    else:
        require_finished(folder)


def _trained(folder: Path, config: CompareConfig) -> Path:
    """Returns `folder` if it is a run, else the run of a head trained on the features in it."""
    if not is_store(folder):
        return folder
    return fit(
        FitConfig(
            features=folder,
            runs=_runs_folder(config),
            head=config.head,
            split=config.split,
            seed=config.seed,
            seeds=config.seeds,
        )
    )


def _runs_folder(config: CompareConfig) -> Path:
    """Returns where runs go that are trained here: not runs/, whose newest run is the one that detection takes."""
    return config.runs_folder or (config.out or COMPARISONS) / "runs"


def _name(names: list[str]) -> str:
    joined = "-vs-".join(re.sub(r"[^\w.-]+", "-", name).strip("-.") for name in names).encode()
    # File systems count bytes.
    shown = joined if len(joined) <= MOST_NAME else joined[: MOST_NAME - 20]
    return shown.decode(errors="ignore") + f"-and-{len(names)}-runs" * (shown is not joined)


def _repeat(config: CompareConfig, folders: list[Path]) -> str:
    """Returns the command that repeats the comparison, with the runs that were trained for it."""
    drawing = {"resamples": config.resamples, "seed": config.seed} | ({"chosen": True} if config.chosen else {})
    return compare_command(folders, drawing)


def _figures(comparison: Comparison) -> Iterator[tuple[str, str, Any]]:
    """Yields name, caption and figure."""
    labels = comparison.models[0].clips.labels
    if labels.min() == labels.max():
        return
    first = comparison.models[:MOST_CURVES]
    curves = [
        Scores(model.name, labels, model.clips.probabilities, model.results.people(model.clips)) for model in first
    ]
    more = f" The first {MOST_CURVES} of {len(comparison.models)}." if len(comparison.models) > MOST_CURVES else ""
    yield "roc", f"ROC curves on the common test clips.{more}", roc_figure(curves)
    rows = list(map(_interval, comparison.models))
    caption = "ROC AUC of each run with its 95 % interval over people, and that of its baseline."
    yield "runs", caption, intervals_figure("ROC AUC", rows, CHANCE, f"ROC AUC ({CHANCE}: chance)")
    for name, title in (("roc_auc", "ROC AUC"), ("accuracy", "accuracy")):
        rows = [Interval(f"{pair.first}\nminus {pair.second}", pair.over_people[name]) for pair in comparison.pairs]
        caption = f"Differences in {title}. If the interval crosses the dotted line, either run may be the better one."
        if not all(ends(row.measure) for row in rows):
            caption += " A point without a line has no interval: people are too few, or the runs say the same."
        figure = intervals_figure(f"Difference in {title}", rows, 0.0, "difference (0: equally good)")
        yield f"difference-{name.replace('_', '-')}", caption, figure


def _interval(model: Model) -> Interval:
    """A row of the figure that shows each run's ROC AUC."""
    area = model.over_people["roc_auc"]
    more = model.difference and model.difference.over_people["roc_auc"].value
    return Interval(model.name, area, None if more is None or area.value is None else area.value - more)
