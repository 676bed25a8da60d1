"""The stage: one head by every protocol -> a table of how much each flatters it, with what leaks beside each number."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from cache.cli import option, start_keras
from cache.files import write_text
from cache.schema import TEST, TRAIN, UserError
from cache.store import Contents, load, open_store, require_profile
from evaluate.page.figures import Interval, inline_svg, intervals_figure, save
from evaluate.page.markup import Html, element, items, measured, page, section, table
from evaluate.page.tables import Table, readable, write_tables
from evaluate.report.caveats import leaks
from evaluate.report.stage import require_resamples
from evaluate.results.measures import DECISION_NAMES, SCORE_NAMES, shown
from evaluate.results.read import read_results
from evaluate.stats.bootstrap import Measure, ends
from evaluate.stats.metrics import evaluate
from train.data.split import SplitConfig, SplitKind, owner
from train.data.training_set import newest_features
from train.fit import FitConfig, fit
from train.heads.architectures import HeadConfig
from train.runs.folder import CONFIG, ENSEMBLE
from train.runs.load import load_head, read_config, read_run
from train.runs.predictions import predictions_of, write_predictions

PAGE, NUMBERS = "protocols.html", "protocols.json"
SPLITS: tuple[SplitKind, ...] = ("official", "identity", "random")
COLUMNS = ("roc_auc", "accuracy", "f1_fake", "f1_real", "kappa")


@dataclass(frozen=True)
class ProtocolsConfig:
    """Which head on which features, and the data sets to cross to."""

    features: Path | None = option(None, "features folder (default: the one below data/ that was extracted last)")
    others: tuple[Path, ...] = option((), "features folders of other data sets, made with the same profile, as A,B")
    out: Path = option(Path("protocols"), "folder to write; each protocol's run goes below it")
    head: str = option(HeadConfig.head, "temporal head")
    seed: int = option(0, "seed of the first head and of the bootstrap")
    seeds: int = option(1, "heads to train by each protocol, joined as an ensemble")
    split_seed: int = option(SplitConfig.seed, "seed of the splits")
    resamples: int = option(2000, "bootstrap resamples behind each 95 % interval")


@dataclass(frozen=True)
class Protocol:
    """How a head did by one protocol; `reason` says why there are no numbers, `findings` what the test clips share."""

    name: str
    trained: int
    real: int
    fake: int
    people: int
    over_clips: dict[str, Measure]
    over_people: dict[str, Measure]
    baseline: Measure | None
    findings: list[str]
    reason: str = ""


def protocols(config: ProtocolsConfig) -> Path:
    """Trains and tests by every protocol and returns the path of the page; tables and numbers lie beside it.

    A UserError says what cannot be trained on, or which data set was extracted in another way.
    """
    require_resamples(config.resamples, config.seed)
    features = config.features or newest_features(Path("data"))
    others = [_other(folder, features) for folder in config.others]
    found: list[Protocol] = []
    runs: list[tuple[str, Path]] = []
    for split in SPLITS:
        try:
            run = fit(_fit_config(config, features, split))
        except UserError as error:
            found.append(Protocol(split, 0, 0, 0, 0, {}, {}, None, [], str(error)))
            continue
        runs.append((split, run))
        found.append(_within(split, run, config))
    if runs:
        split, run = runs[0]
        trained = _trained_checksums(run, features)
        names = _names(others)
        found += [_across(split, run, trained, *other, config) for other in zip(names, others, strict=True)]
    try:
        return _write(config, features, found)
    except OSError as error:
        raise UserError(f"{config.out} cannot be written ({error.strerror}); give another --out.") from None


def _fit_config(config: ProtocolsConfig, features: Path, split: SplitKind) -> FitConfig:
    given = FitConfig(features=features, runs=config.out / "runs", head=config.head, split=split)
    return replace(given, seed=config.seed, seeds=config.seeds, split_seed=config.split_seed)


def _other(folder: Path, features: Path) -> Contents:
    """Returns the clips of another data set, refused where its features were made in another way."""
    store = open_store(folder)
    require_profile(store, open_store(features).profile)
    return load(store)


def _within(split: str, run: Path, config: ProtocolsConfig) -> Protocol:
    results = read_results(run)
    clips, baseline = results.head.of(TEST), results.baseline.of(TEST)
    people = results.people(clips)
    given = (clips.labels, clips.probabilities, 0.5, config.resamples, config.seed)
    fakes = int(clips.labels.sum())
    return Protocol(
        split,
        len(results.head.of(TRAIN).ids),
        len(clips.ids) - fakes,
        fakes,
        len(np.unique(people)),
        evaluate(*given),
        evaluate(*given, groups=people),
        evaluate(baseline.labels, baseline.probabilities, 0.5, config.resamples, config.seed)["roc_auc"],
        list(leaks(results)),
    )


def _trained_checksums(run: Path, features: Path) -> set[str]:
    """Returns the checksums of the features that `run` was trained on."""
    trained = set(read_results(run).head.of(TRAIN).ids)
    contents = load(open_store(features))
    return {
        checksum for record, checksum in zip(contents.records, contents.checksums, strict=True) if record.id in trained
    }


def _names(others: Sequence[Contents]) -> list[str]:
    """Returns a name for each data set, that of its folder, numbered where two have the same."""
    names: list[str] = []
    for other in others:
        name, number = other.store.folder.resolve().parent.name, 1
        while (name if number == 1 else f"{name}-{number}") in names:
            number += 1
        names.append(name if number == 1 else f"{name}-{number}")
    return names


def _across(split: str, run: Path, trained: set[str], name: str, other: Contents, config: ProtocolsConfig) -> Protocol:
    """Returns how `run` does on all clips of another data set, and writes what it says of them."""
    start_keras()
    probabilities = _predict(run, other)
    predictions = predictions_of(other.records, [TEST] * len(other.records), probabilities, other.status)
    write_predictions(config.out / f"on-{name}.csv", predictions)
    people = np.unique([owner(record) for record in other.records], return_inverse=True)[1]
    given = (other.labels, probabilities, 0.5, config.resamples, config.seed)
    fakes, same = int(other.labels.sum()), sum(checksum in trained for checksum in other.checksums)
    findings = [f"{same} of {len(other.records)} test clips have the very content of a clip in train."] if same else []
    return Protocol(
        f"trained by {split}, tested on {name}",
        len(read_results(run).head.of(TRAIN).ids),
        len(other.records) - fakes,
        fakes,
        len(np.unique(people)),
        evaluate(*given),
        evaluate(*given, groups=people),
        None,
        findings,
    )


def _predict(run: Path, contents: Contents) -> np.ndarray:
    """Returns the probability of fake, float64 (N,), that a run or an ensemble of runs on features gives each clip."""
    from train.data.batches import Clips
    from train.heads.training import predict
    from train.runs.ensemble import read_mixture

    config, _ = read_config(run)
    if config.get("kind") == ENSEMBLE:
        members, mixture = read_mixture(config.get("ensemble"), run / CONFIG)
        return mixture(np.array([_predict(member, contents) for member in members]))
    head = load_head(read_run(run), contents.store.profile)  # pyright: ignore[reportArgumentType]
    clips = Clips(contents.arrays, contents.mask, contents.labels)
    return predict(head, clips, np.arange(len(contents.records))).astype(np.float64)


def _write(config: ProtocolsConfig, features: Path, found: Sequence[Protocol]) -> Path:
    config.out.mkdir(parents=True, exist_ok=True)
    told = {"features": str(features), "head": config.head, "protocols": [asdict(one) for one in found]}
    write_text(config.out / NUMBERS, json.dumps(told, indent=1, allow_nan=False) + "\n")
    tables = {"protocols": protocols_table(found)}
    write_tables(config.out / "tables", tables)
    figure = ""
    rows = [
        Interval(one.name, area.value, ends(area), ends(one.over_people["roc_auc"]))
        for one in found
        if one.over_clips and (area := one.over_clips["roc_auc"]).value is not None
    ]
    if rows:
        drawn = intervals_figure("ROC AUC by protocol", rows, 0.5, "ROC AUC (0.5: chance)")
        (config.out / "figures").mkdir(exist_ok=True)
        save(drawn, config.out / "figures" / "protocols")
        caption = "The same head by each protocol."
        figure = element("figure", Html(inline_svg(drawn, "protocols", caption)), element("figcaption", caption))
    return write_text(config.out / PAGE, readable(_page(config, features, found, figure)))


def protocols_table(found: Sequence[Protocol]) -> Table:
    """Returns the protocols side by side."""
    names = SCORE_NAMES | DECISION_NAMES
    return Table(
        "One head by each protocol; calls at 0.5, 95 % intervals over clips, for the ROC AUC over people as well.",
        ["protocol", "trained on", "real", "fake", "people", *(names[name] for name in COLUMNS),
         "ROC AUC over people", "baseline's ROC AUC", "what the test clips share with train"],
        [list(_row(one)) for one in found],
    )  # fmt: skip


def _row(one: Protocol) -> Iterator[str]:
    yield one.name
    if one.reason:
        yield from ["–"] * (len(COLUMNS) + 6)
        yield one.reason
        return
    yield from (f"{count:,}" for count in (one.trained, one.real, one.fake, one.people))
    yield from (shown(one.over_clips[name]) for name in COLUMNS)
    yield shown(one.over_people["roc_auc"])
    yield "–" if one.baseline is None else shown(one.baseline)
    yield " ".join(one.findings) or "nothing that the audit knows of"


def _page(config: ProtocolsConfig, features: Path, found: Sequence[Protocol], figure: object) -> str:
    told = protocols_table(found)
    return page(
        "Reelcheck protocols",
        element("h1", f"{config.head} by each protocol"),
        element(
            "p",
            "The same head, trained and tested in different ways. Where the test clips share people or footage with "
            "train, the number is about known people; the identity split and another data set are nearer to use.",
            class_="lead",
        ),
        section("Side by side", table(told.caption, told.columns, [list(map(measured, row)) for row in told.rows])),
        section("What leaks", items(f"{one.name}: {text}" for one in found for text in one.findings or ["nothing."])),
        section("Figure", figure),
        section("How to repeat this", element("pre", _command(config, features))),
    )


def _command(config: ProtocolsConfig, features: Path) -> str:
    others = f" --others {','.join(map(str, config.others))}" if config.others else ""
    return (
        f"python -m evaluate protocols --features {features}{others} --head {config.head} --seed {config.seed} "
        f"--seeds {config.seeds} --split-seed {config.split_seed} --resamples {config.resamples}"
    )
