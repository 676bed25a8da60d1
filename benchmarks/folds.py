"""python -m benchmarks.folds: how well heads tell strangers' videos apart, on one data set, in five folds.

Each person's footage is tested once, by models that saw that person neither as target nor as donor. Out-of-fold
probabilities are pooled; intervals are bootstrap percentiles over clips.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cache.cli import option, parse_flags, required, run
from cache.files import write_csv, write_text
from cache.schema import TEST, TRAIN, VAL, VideoRecord
from cache.store import load, open_store
from evaluate.stats.bootstrap import Measure
from evaluate.stats.metrics import evaluate
from train.data.split import owner
from train.end_to_end.finetune import FinetuneConfig, finetune
from train.fit import FitConfig, fit
from train.runs.ensemble import EnsembleConfig, ensemble
from train.runs.folder import BASELINE, PREDICTIONS
from train.runs.predictions import read_predictions
from train.sweep.stage import SweepConfig, sweep


@dataclass(frozen=True)
class FoldsConfig:
    """On what, and how long."""

    features: Path = required("features folder, with its crops beside it for the fine-tuning")
    out: Path = option(Path("folds"), "folder for splits and runs, which has to be new, and for folds.json")
    weights: str | None = option(None, "the backbone's weights, for the fine-tuning")
    folds: int = option(5, "folds")
    seeds: int = option(5, "seeds of the published head that are joined")
    trials: int = option(32, "trials of the sweep in each fold")
    epochs: int = option(3, "epochs of the fine-tuning")
    seed: int = option(0, "seed of the folds")


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the folds, prints the table, writes it to folds.json."""
    config: FoldsConfig = parse_flags("python -m benchmarks.folds", str(__doc__), FoldsConfig, argv)
    records = load(open_store(config.features)).records
    config.out.mkdir(parents=True)
    found: dict[str, list[np.ndarray]] = {}
    labels: list[np.ndarray] = []
    for number, parts in enumerate(fold_parts(records, config.folds, config.seed)):
        path = config.out / f"fold{number}.csv"
        write_csv(path, ("id", "part"), [(r.id, part) for r, part in zip(records, parts, strict=True) if part])
        folders = _train(config, path, config.out / f"fold{number}")
        tested = {name: read_predictions(file).of(TEST) for name, file in folders.items()}
        for name, clips in tested.items():
            found.setdefault(name, []).append(clips.probabilities)
        labels.append(tested["published head"].labels)
    measures = {
        name: evaluate(np.concatenate(labels), np.concatenate(values))["roc_auc"] for name, values in found.items()
    }
    print("\n".join(_table(measures, np.concatenate(labels))))
    values = {name: [measure.value, measure.low, measure.high] for name, measure in measures.items()}
    told = {"data": config.features.parent.name, "clips": len(np.concatenate(labels)), "roc_auc": values}
    write_text(config.out / "folds.json", json.dumps(told, indent=1) + "\n")


def fold_parts(records: Sequence[VideoRecord], folds: int, seed: int) -> list[list[str]]:
    """Returns for each fold the part of each video, "" where it is left out.

    A fold tests what its people own, trains on what shows none of them, and validates on a share of that by person.
    Owners with fakes and without are dealt out in turn, so that each fold has its share of both.
    """
    random, owners = np.random.default_rng(seed), sorted({owner(record) for record in records})
    fakes = {owner(record) for record in records if record.label}
    dealt = {}
    for group in ([name for name in owners if name in fakes], [name for name in owners if name not in fakes]):
        dealt |= {name: place % folds for place, name in enumerate(random.permutation(group))}
    return [_parts(records, dealt, fold, folds) for fold in range(folds)]


def _parts(records: Sequence[VideoRecord], dealt: dict[str, int], fold: int, folds: int) -> list[str]:
    parts = []
    for record in records:
        own = dealt[owner(record)]
        if own == fold:
            parts.append(TEST)
        elif record.donor in dealt and dealt[record.donor] == fold:
            parts.append("")
        else:
            parts.append(VAL if own == (fold + 1) % folds else TRAIN)
    return parts


def _train(config: FoldsConfig, split: Path, runs: Path) -> dict[str, Path]:
    """Returns the predictions of each kind of model trained on the fold."""
    published = fit(
        FitConfig(config.features, runs, "published", "csv", split, seeds=config.seeds)
        if config.seeds > 1
        else FitConfig(config.features, runs, "published-seed0", "csv", split)
    )
    first = runs / "published-seed0"
    swept = SweepConfig(
        config.features, runs / "sweeps", runs, trials=config.trials, heads=("lstm", "attention", "mean"),
        units=(64,), split="csv", split_csv=split, best=1,
    )  # fmt: skip
    sweep(swept)
    tuned = finetune(FinetuneConfig(run=first, runs=runs, name="tuned", epochs=config.epochs, weights=config.weights))
    joined = ensemble(EnsembleConfig((published, runs / "best", tuned), runs, "joined"))
    return {
        "logistic baseline": first / BASELINE,
        "published head": first / PREDICTIONS,
        f"published head, {config.seeds} seeds": published / PREDICTIONS,
        "best of the sweep": runs / "best" / PREDICTIONS,
        "fine-tuned": tuned / PREDICTIONS,
        "ensemble of the last three": joined / PREDICTIONS,
    }


def _table(measures: dict[str, Measure], labels: np.ndarray) -> list[str]:
    lines = [f"{len(labels)} clips, {labels.sum()} fake", f"{'model':<32}{'ROC AUC':>8}  95 % interval"]
    for name, found in measures.items():
        lines.append(f"{name:<32}{found.value:>8.3f}  {found.low:.3f} to {found.high:.3f}")
    return lines


if __name__ == "__main__":
    run(main)
