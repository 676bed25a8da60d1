"""The stage: a features folder -> one trained head in a run folder, with its split, its audit and its predictions."""

import dataclasses
import datetime
import importlib.metadata
import json
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cache.command import option, start_keras
from cache.files import write_csv
from cache.profile import FeatureProfile
from cache.schema import PARTS, TRAIN, VAL, UserError, coverage_of
from cache.store import MANIFEST, Contents, load, open_store
from train.audit import Finding, audit, summary
from train.head import HEADS, HeadConfig, require_buildable
from train.runs import CONFIG, DONE, PREDICTION_COLUMNS, free_name, save_head, write_json, write_run
from train.split import DROPPED, Split, SplitConfig, SplitKind, split

if TYPE_CHECKING:
    import keras

    from train.learn import History, LearnConfig

PACKAGES = ("keras", "tensorflow", "numpy", "scikit-learn", "h5py", "opencv-python-headless", "av")


@dataclass(frozen=True)
class FitConfig:
    """What to train, on what, and how."""

    features: Path | None = option(None, "features folder (default: the one below data/ that was extracted last)")
    runs: Path = option(Path("runs"), "where the run folder goes")
    name: str | None = option(None, "name of the run folder (default: head, backbone and split)")
    split: SplitKind = option(SplitConfig.kind, "who is tested on: the data set's list, other people, chance, a file")
    split_csv: Path | None = option(None, "for the split csv: a file with the columns id and part")
    split_seed: int = option(SplitConfig.seed, "seed of the split")
    val: float = option(SplitConfig.val, "share that validates, taken out of train by person")
    head: str = option(HeadConfig.head, "temporal head, one of " + ", ".join(HEADS))
    units: int = option(HeadConfig.units, "units of the recurrent layer")
    dropout: float = option(HeadConfig.dropout, "share of the clip's vector that is dropped in training")
    dense: int = option(HeadConfig.dense, "units of the dense layer")
    learning_rate: float = option(1e-3, "Adam's learning rate")
    batch: int = option(32, "clips a batch")
    epochs: int = option(100, "epochs at most")
    patience: int = option(10, "epochs without a lower validation loss after which training stops")
    fixed_epochs: int = option(20, "epochs where there is no validation part")
    class_weights: bool = option(True, "let real and fake weigh the same, however many there are of each")
    seed: int = option(0, "seed of weights, dropout and order")

    @property
    def split_config(self) -> SplitConfig:
        """The fields that decide the split."""
        return SplitConfig(self.split, self.split_seed, self.val, self.split_csv)

    @property
    def head_config(self) -> HeadConfig:
        """The fields that decide the network."""
        return HeadConfig(self.head, self.units, self.dropout, self.dense)

    @property
    def learn_config(self) -> "LearnConfig":
        """The fields that decide the training."""
        from train.learn import LearnConfig

        names = [field.name for field in dataclasses.fields(LearnConfig)]
        return LearnConfig(**{name: getattr(self, name) for name in names})


@dataclass(frozen=True, eq=False)
class _Trained:
    """What goes into the run folder; `probabilities` and `baseline` float (R,) belong to the clips `rows`."""

    head: "keras.Model"
    history: "History"
    rows: np.ndarray
    probabilities: np.ndarray
    baseline: np.ndarray
    seconds: float


def fit(config: FitConfig) -> Path:
    """Trains one head as `config` says; returns its run folder. A UserError says what it cannot be trained on."""
    _check(config)
    contents = _load(config.features or newest_features(Path("data")))
    profile = contents.store.profile
    assert isinstance(profile, FeatureProfile)
    name = free_name(config.runs, config.name, f"{config.head}-{profile.backbone}-{config.split}")
    parted = split(contents.records, config.split_config)
    findings = audit(contents.records, parted.parts, contents.checksums)
    _describe(contents, parted, findings)
    trained = _train(config, contents, np.array(parted.parts))

    def fill(folder: Path) -> None:
        _write_split(folder, contents, parted, findings)
        _write_trained(folder, contents, np.array(parted.parts), trained)
        write_json(folder / CONFIG, _recipe(config, contents))
        created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        write_json(folder / DONE, {"created": created, "seconds": round(trained.seconds, 3)})

    print(_outcome(trained))
    return write_run(config.runs / name, fill)


def newest_features(data: Path) -> Path:
    """Returns the features folder below `data` that extraction looked at last; a UserError if there is none."""
    found = list(data.glob(f"*/features-*/{MANIFEST}"))
    if not found:
        raise UserError(f"there are no features below {data}/; run make features DATA=..., or give FEATURES=folder.")
    return max(found, key=lambda path: path.stat().st_mtime_ns).parent


def _check(config: FitConfig) -> None:
    require_buildable(config.head_config)
    least = min(config.batch, config.epochs, config.patience, config.fixed_epochs)
    if least < 1 or not 0 < config.learning_rate < 10 or min(config.seed, config.split_seed) < 0:
        raise UserError(
            "batch, epochs, patience and fixed-epochs have to be 1 or above, the learning rate between 0 and 10, "
            "seeds 0 or above; mend the flag."
        )


def _load(folder: Path) -> Contents:
    store = open_store(folder)
    if not isinstance(store.profile, FeatureProfile):
        raise UserError(f"{folder} holds crops, not features; give a features folder as FEATURES=....")
    contents = load(store)
    if not contents.records:
        raise UserError(f"{folder} holds no extracted video; run make features DATA=... first.")
    if contents.missing:
        print(f"{len(contents.missing)} videos of the manifest are not extracted yet; this run goes without them.")
    return contents


def _describe(contents: Contents, parted: Split, findings: list[Finding]) -> None:
    print(f"{contents.store.folder}: {len(contents.records)} videos")
    print(f"  {'part':<8}{'real':>6}{'fake':>6}")
    for part in (*PARTS, DROPPED):
        labels = contents.labels[np.array(parted.parts) == part]
        if labels.size or part != DROPPED:
            print(f"  {part:<8}{(labels == 0).sum():>6}{(labels == 1).sum():>6}")
    print(summary(findings))
    for note in parted.notes:
        print(note)


def _train(config: FitConfig, contents: Contents, parts: np.ndarray) -> _Trained:
    start_keras()
    from train.baseline import baseline_probabilities
    from train.batches import Clips
    from train.learn import learn, predict

    clips = Clips(contents.arrays, contents.mask, contents.labels)
    train, val, rows = (np.flatnonzero(np.isin(parts, names)) for names in ([TRAIN], [VAL], PARTS))
    start = time.perf_counter()
    # First, for it says in a sentence what is wrong with features that are no numbers.
    baseline = baseline_probabilities(clips, train, rows)
    head, history = learn(config.head_config, config.learn_config, clips, train, val)
    return _Trained(head, history, rows, predict(head, clips, rows), baseline, time.perf_counter() - start)


def _outcome(trained: _Trained) -> str:
    losses = trained.history.get("val_loss")
    stopped = f"{len(trained.history['loss'])} epochs in {trained.seconds:.1f} s"
    if losses is None:
        return f"{stopped}; no validation part, the last weights are kept."
    best = int(np.argmin(losses))
    return f"{stopped}; the weights of epoch {best + 1} are kept (validation loss {losses[best]:.4f})."


def _write_split(folder: Path, contents: Contents, parted: Split, findings: list[Finding]) -> None:
    columns = ("id", "label", "part", "target", "donor", "source")
    rows = [
        (record.id, record.label, part, record.target, record.donor, record.source)
        for record, part in zip(contents.records, parted.parts, strict=True)
    ]
    write_csv(folder / "split.csv", columns, rows)
    found = [dataclasses.asdict(finding) for finding in findings]
    told = {"split": parted.kind, "dropped": parted.parts.count(DROPPED), "notes": parted.notes, "findings": found}
    write_json(folder / "audit.json", told)


def _write_trained(folder: Path, contents: Contents, parts: np.ndarray, trained: _Trained) -> None:
    columns = list(trained.history)
    epochs = zip(*trained.history.values(), strict=True)
    write_csv(folder / "history.csv", ["epoch", *columns], [(i, *losses) for i, losses in enumerate(epochs, 1)])
    coverage = coverage_of(contents.status)
    for name, probabilities in (("predictions.csv", trained.probabilities), ("baseline.csv", trained.baseline)):
        rows = [
            (contents.records[row].id, contents.records[row].label, parts[row], float(probability), coverage[row])
            for row, probability in zip(trained.rows, probabilities, strict=True)
        ]
        write_csv(folder / name, PREDICTION_COLUMNS, rows)
    save_head(trained.head, folder)


def _recipe(config: FitConfig, contents: Contents) -> dict[str, Any]:
    """Returns everything needed to repeat the run, and to rebuild its head."""
    store = contents.store
    return {
        "config": dataclasses.asdict(config),
        "features": store.folder,
        "head": dataclasses.asdict(config.head_config),
        "size": contents.arrays.shape[2],
        "profile": dataclasses.asdict(store.profile),
        "fingerprint": store.fingerprint,
        "origin": _origin(store.folder),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
    }


def _origin(folder: Path) -> dict[str, str]:
    """Returns where extraction found videos and weights; nothing where the features came without that."""
    try:
        return json.loads((folder / "origin.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
