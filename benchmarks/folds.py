"""python -m benchmarks.folds: how well models judge strangers' videos, on one data set, in folds of people.

Each person's footage is tested once, by models that saw that person neither as target nor as donor. All of it is
repeated with other folds and other seeds. Beside the ROC AUC stands the paired share: how often a fake scores above the
real clip that it was made from.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from base.command_line.parse import parse_flags
from base.ending import run
from base.errors import UserError
from base.files import write_csv, write_json
from base.flags import option, required
from benchmarks.fold_measures import FoldMeasure, measure
from cache.schema import REAL, TEST, TRAIN, VAL, VideoRecord
from cache.store import Store, load, open_store
from train.data.baseline import fit_baseline
from train.data.split import DROPPED, SplitConfig, owner
from train.data.training_set import gather
from train.end_to_end.finetune import FinetuneConfig, finetune
from train.fit import FitConfig, fit
from train.heads.architectures import Start
from train.runs.ensemble import EnsembleConfig, ensemble
from train.runs.folder import BASELINE, PREDICTIONS
from train.runs.predictions import predictions_of, read_predictions, write_predictions
from train.sweep.stage import SweepConfig, sweep

MODELS = ("baseline", "regression", "head", "nothing", "sweep", "finetune", "ensemble", "blends")
RESULTS = "folds.json"


@dataclass(frozen=True)
class FoldsConfig:
    """On what, which models, and how long."""

    features: Path = required("features folder, with its crops beside it for the fine-tuning")
    out: Path = option(Path("folds"), f"folder for splits and runs, which has to be new, and for {RESULTS}")
    models: tuple[str, ...] = option(
        ("baseline", "head"),
        f"what to measure, of {', '.join(MODELS)}; regression: the baseline trained on validation too; "
        "nothing: the head that starts from nothing, as published; ensemble: of head, sweep and finetune; blends: "
        "baseline and head trained on real clips and their blends alone, which the features have to hold",
    )
    weights: str | None = option(None, "the backbone's weights, for the fine-tuning")
    folds: int = option(5, "folds")
    seeds: int = option(3, "repetitions, each with folds and heads of its own seed")
    trials: int = option(32, "trials of the sweep in each fold")
    epochs: int = option(3, "epochs of the fine-tuning")
    blend: float = option(0.0, "share of the real clips that come with a blend in the fine-tuning")
    seed: int = option(0, "seed of the first repetition")


@dataclass(frozen=True)
class _Fold:
    """One fold of one repetition: the file with the parts of its videos, and the folder for its runs."""

    config: FoldsConfig
    seed: int
    split: Path
    runs: Path
    real_split: Path
    """As `split`, without any fake to train or validate on."""


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the folds, prints the table, writes it to folds.json."""
    config: FoldsConfig = parse_flags("python -m benchmarks.folds", str(__doc__), FoldsConfig, argv)
    if unknown := set(config.models) - set(MODELS):
        raise UserError(f"{unknown.pop()!r} is no model to measure; name some of {', '.join(MODELS)}.")
    store = open_store(config.features)
    everything = load(store).records
    records = [record for record in everything if not record.is_blend]
    if "blends" in config.models and len(records) == len(everything):
        raise UserError(f"{config.features} holds no blended clips; make them, or leave blends out of the models.")
    config.out.mkdir(parents=True)
    repetitions = [_repetition(config, seed, everything) for seed in range(config.seed, config.seed + config.seeds)]
    names = repetitions[0].keys()
    measures = {name: measure(records, np.array([one[name] for one in repetitions])) for name in names}
    print("\n".join(_table(measures, records, config)))
    _write(config, store, records, measures)


def fold_parts(records: Sequence[VideoRecord], folds: int, seed: int) -> list[list[str]]:
    """Returns for each fold the part of each video, "" where it is left out.

    A fold tests the footage of its people, trains on clips that show none of them, and validates on a share of those,
    by person. Owners with fakes and without are dealt out in turn, so that each fold has its share of both.
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


def _repetition(config: FoldsConfig, seed: int, everything: Sequence[VideoRecord]) -> dict[str, np.ndarray]:
    """Returns by model the probability of fake, float (N,), of each video, from the fold that tested it."""
    records = [record for record in everything if not record.is_blend]
    judged: dict[str, dict[str, float]] = {}
    for number, parts in enumerate(fold_parts(records, config.folds, seed)):
        fold = _write_splits(config, seed, number, everything, dict(zip([r.id for r in records], parts, strict=True)))
        for model in (model for model in MODELS if model in config.models):
            for name, file in _TRAIN[model](fold).items():
                tested = read_predictions(file).of(TEST)
                judged.setdefault(name, {}).update(zip(tested.ids, tested.probabilities.tolist(), strict=True))
    return {name: np.array([values[record.id] for record in records]) for name, values in judged.items()}


def _write_splits(
    config: FoldsConfig, seed: int, number: int, everything: Sequence[VideoRecord], parts: dict[str, str]
) -> _Fold:
    """Writes the parts of one fold with its fakes and no blends, and without its fakes but with their blends."""
    folder = config.out / f"seed{seed}"
    folder.mkdir(exist_ok=True)
    fold = _Fold(
        config, seed, folder / f"fold{number}.csv", folder / f"fold{number}", folder / f"fold{number}-real.csv"
    )
    named = [(record.id, DROPPED if record.is_blend else parts[record.id] or DROPPED) for record in everything]
    write_csv(fold.split, ("id", "part"), named)
    real = [
        (record.id, parts[record.id] if parts[record.id] == TEST else TRAIN)
        for record in everything
        if not record.is_blend and (parts[record.id] == TEST or (record.label == REAL and parts[record.id]))
    ]
    write_csv(fold.real_split, ("id", "part"), real)
    return fold


def _head(fold: _Fold, name: str = "head", real: bool = False, start: Start = FitConfig.start) -> Path:
    """Returns the run of a head, trained if it is not there; with `real`, on real clips and their blends."""
    folder, split = fold.runs / name, fold.real_split if real else fold.split
    if folder.exists():
        return folder
    # Nothing to validate on without fakes.
    val = 0.0 if real else FitConfig.val
    config = FitConfig(fold.config.features, fold.runs, name, "csv", split, val=val, start=start, seed=fold.seed)
    return fit(config)


def _regression(fold: _Fold) -> Path:
    """Returns the predictions of a baseline that also learns from the validation part."""
    training_set = gather(fold.config.features, SplitConfig("csv", val=0.0, csv=fold.split))
    contents, rows = training_set.contents, training_set.used
    owners = [owner(record) for record in contents.records]
    baseline = fit_baseline(training_set.clips, training_set.rows(TRAIN, VAL), owners)
    records, parts = [contents.records[row] for row in rows], training_set.parts[rows].tolist()
    fold.runs.mkdir(exist_ok=True)
    predictions = predictions_of(records, parts, baseline.probabilities(rows), contents.seen[rows])
    return write_predictions(fold.runs / "regression.csv", predictions)


def _sweep(fold: _Fold) -> Path:
    config, best = fold.config, fold.runs / "best"
    if not best.exists():
        sweep(SweepConfig(
            config.features, fold.runs / "sweeps", fold.runs, trials=config.trials, heads=("lstm", "attention", "mean"),
            units=(64,), split="csv", split_csv=fold.split, best=1, seed=fold.seed,
        ))  # fmt: skip
    return best


def _finetune(fold: _Fold) -> Path:
    config, folder = fold.config, fold.runs / "tuned"
    if folder.exists():
        return folder
    return finetune(FinetuneConfig(
        run=_head(fold), runs=fold.runs, name="tuned", epochs=config.epochs, weights=config.weights, blend=config.blend,
        seed=fold.seed,
    ))  # fmt: skip


def _ensemble(fold: _Fold) -> Path:
    return ensemble(EnsembleConfig((_head(fold), _sweep(fold), _finetune(fold)), fold.runs, "joined"))


def _blends(fold: _Fold) -> dict[str, Path]:
    folder = _head(fold, "blends", real=True)
    return {"baseline, blends only": folder / BASELINE, "head, blends only": folder / PREDICTIONS}


_TRAIN: dict[str, Callable[[_Fold], dict[str, Path]]] = {
    "baseline": lambda fold: {"logistic baseline": _head(fold) / BASELINE},
    "regression": lambda fold: {"baseline, validation too": _regression(fold)},
    "head": lambda fold: {"head": _head(fold) / PREDICTIONS},
    "nothing": lambda fold: {"head from nothing": _head(fold, "nothing", start="nothing") / PREDICTIONS},
    "sweep": lambda fold: {"best of the sweep": _sweep(fold) / PREDICTIONS},
    "finetune": lambda fold: {"head, fine-tuned": _finetune(fold) / PREDICTIONS},
    "ensemble": lambda fold: {"ensemble of the last three": _ensemble(fold) / PREDICTIONS},
    "blends": _blends,
}
"""How each model is trained on a fold: the files of predictions by name."""


def _table(
    measures: dict[str, dict[str, FoldMeasure]], records: Sequence[VideoRecord], config: FoldsConfig
) -> list[str]:
    fakes = sum(record.label for record in records)
    lines = [
        f"{len(records)} clips, {fakes} fake; {config.folds} folds, mean of {config.seeds} repetitions; "
        "intervals of 95 % over clips, then over people",
        f"{'model':<28}{'ROC AUC':>8}{'':>36}{'fake above its real clip':>24}",
    ]
    for name, found in measures.items():
        columns = [_text(found[kind]) for kind in ("roc_auc", "paired_share")]
        lines.append(f"{name:<28}{columns[0]:<44}{columns[1]}")
    return lines


def _text(found: FoldMeasure) -> str:
    def ends(low: float | None, high: float | None) -> str:
        return "none" if low is None or high is None else f"{low:.2f} to {high:.2f}"

    one, other = found.over_clips, found.over_people
    value = "undefined" if one.value is None else f"{one.value:.3f}"
    return f"{value:>8}  {ends(one.low, one.high)} ({ends(other.low, other.high)})"


def _write(
    config: FoldsConfig, store: Store, records: Sequence[VideoRecord], measures: dict[str, dict[str, FoldMeasure]]
) -> None:
    document = {
        "data": config.features.resolve().parent.name,
        "clips": len(records),
        "fakes": sum(record.label for record in records),
        "people": len({owner(record) for record in records}),
        "profile": asdict(store.profile),
        "folds": config.folds,
        "seeds": config.seeds,
        "models": {name: {kind: asdict(value) for kind, value in found.items()} for name, found in measures.items()},
    }
    write_json(config.out / RESULTS, document)


if __name__ == "__main__":
    run(main)
