"""The stage: one head by every protocol -> how good it looks by each, with what leaks into each test part."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from base.commands import flag
from base.errors import Unreadable, UserError
from base.files import Unwritable, require_writable, writing
from base.flags import option
from base.keras_start import choose_backend, start_keras
from cache.contents import Contents, load
from cache.manifest import read_manifest
from cache.schema import TEST, TRAIN
from cache.store import open_store, require_profile
from evaluate.report.caveats import leaks, people_caveats, run_warnings
from evaluate.report.stage import require_resamples
from evaluate.results.kinds import kinds_of_run
from evaluate.results.read import read_results
from evaluate.results.unlike import sentence_on_all, sentence_on_each
from evaluate.results.versus_baseline import baseline_of, head_minus_baseline
from evaluate.stats.metrics import RESAMPLES, THRESHOLD, evaluate
from evaluate.studies.matrix import cross
from evaluate.studies.matrix_page import write_matrix
from evaluate.studies.protocols_page import NUMBERS, PAGE, Protocol, write_protocols
from train.data.neighbours import Neighbours
from train.data.split import SplitConfig, owner, split_choices
from train.data.training_set import Features, features_folders
from train.fit import FitConfig, as_in_fit, check, fit
from train.heads.architectures import HeadConfig
from train.runs.folder import ENSEMBLE
from train.runs.load import load_head_in
from train.runs.neighbours_file import read_neighbours
from train.runs.predictions import predictions_of, write_predictions
from train.runs.recipe import read_config, read_joined

SPLITS = ("official", "identity", "random")


@dataclass(frozen=True)
class ProtocolsConfig:
    """Which head on which features, and which other data sets to test it on."""

    features: Features | None = option(
        None,
        "features folder (default: the one below data/ that was extracted last), or those of several data sets, which "
        "are crossed: trained on each, on all but one and on all, tested on each",
    )
    others: tuple[Path, ...] = option((), "features folders of other data sets to test on, of the same profile, as A,B")
    out: Path = option(Path("protocols"), "folder to write; the runs go below it")
    head: str = option(HeadConfig.head, "temporal head")
    seed: int = option(0, "seed of the first head and of the bootstrap")
    seeds: int = option(1, "heads to train by each protocol; several are joined as an ensemble")
    split_seed: int = option(SplitConfig.seed, "seed of the splits")
    resamples: int = option(RESAMPLES, "resamples behind each 95 % interval")
    split: str = option(SplitConfig.kind, "of several data sets: how each is split", choices=split_choices)
    scores: tuple[Path, ...] = option((), "of several data sets: scores of other detectors, CSV files as for eval")
    same_people: Path | None = as_in_fit("same_people")
    data_set_weights: bool = as_in_fit("data_set_weights")


def protocols(config: ProtocolsConfig) -> Path:
    """Trains and tests by every protocol and returns the path of the page; tables and numbers are beside it.

    Raises a UserError if nothing can be trained, or if another data set was extracted with another profile.
    """
    require_resamples(config.resamples, config.seed)
    choose_backend()
    require_writable(config.out, f"choose another {flag('out')}")
    features, *more = features_folders(config.features)
    if more:
        return _crossed(config, (features, *more))
    if config.scores or config.same_people:
        both = f"{flag('scores')} and {flag('same_people')}"
        raise UserError(f"{both} are for several data sets, and there is one; leave them out.")
    for split in SPLITS:
        check(_fit_config(config, features, split))
    others = [_other(folder, features) for folder in config.others]
    names = file_names(others)
    for name in names:
        require_writable(config.out / f"on-{name}", "rename the data set's folder")
    outcomes: list[Protocol] = []
    runs: list[tuple[str, Path]] = []
    for split in SPLITS:
        try:
            run = fit(_fit_config(config, features, split))
        except (Unwritable, Unreadable):
            raise
        except UserError as error:
            outcomes.append(Protocol(split, 0, 0, 0, 0, {}, None, [], str(error)))
            continue
        runs.append((split, run))
        outcomes.append(_within(split, run, config))
    if not runs:
        reasons = "; ".join(f"{one.name}: {one.reason.removesuffix('.')}" for one in outcomes)
        raise UserError(f"no protocol could be trained on {features} ({reasons}).")
    split, run = runs[0]
    trained = _trained_checksums(run, features)
    outcomes += [_across(split, run, trained, *other, config) for other in zip(names, others, strict=True)]
    with writing(config.out, f"give another {flag('out')}"):
        return write_protocols(config.out, outcomes, _settings(config, features))


def _crossed(config: ProtocolsConfig, features: tuple[Path, ...]) -> Path:
    fit_config = replace(
        _fit_config(config, features, config.split),
        same_people=config.same_people,
        data_set_weights=config.data_set_weights,
    )
    found = cross(fit_config, config.others, config.scores, config.resamples)
    with writing(config.out, f"give another {flag('out')}"):
        return write_matrix(config.out, found, NUMBERS, _settings(config, features), PAGE)


def _fit_config(config: ProtocolsConfig, features: Features, split: str) -> FitConfig:
    fit_config = FitConfig(features=features, runs=config.out / "runs", head=config.head, split=split)
    return replace(fit_config, seed=config.seed, seeds=config.seeds, split_seed=config.split_seed)


def _other(folder: Path, features: Path) -> Contents:
    """Returns the clips of another data set; refuses features made with another profile."""
    store = open_store(folder)
    require_profile(store, open_store(features).profile)
    # Blended clips are there to train on, not to test on.
    return load(store, [record for record in read_manifest(store.manifest) if not record.is_blend])


def _within(split: str, run: Path, config: ProtocolsConfig) -> Protocol:
    results = read_results(run)
    clips = results.head.of(TEST)
    baseline = baseline_of(results, clips)
    assert baseline, "it was trained just now"
    people, findings = results.people(clips), list(leaks(results))
    scores = (clips.labels, clips.probabilities, THRESHOLD, config.resamples, config.seed)
    fakes = int(clips.labels.sum())
    return Protocol(
        split,
        len(results.head.of(TRAIN).ids),
        len(clips.ids) - fakes,
        fakes,
        len(np.unique(people)),
        evaluate(*scores, people),
        evaluate(clips.labels, baseline.probabilities, *scores[2:], people)["roc_auc"],
        findings,
        difference=head_minus_baseline(clips, baseline, people, config.resamples, config.seed),
        warnings=[text for text in run_warnings(results) if text not in findings],
        kinds=kinds_of_run(results, clips, clips.probabilities >= THRESHOLD, config.resamples, config.seed),
    )


def _trained_checksums(run: Path, features: Path) -> set[str]:
    """Returns the checksums of the features that `run` was trained on."""
    trained = set(read_results(run).head.of(TRAIN).ids)
    contents = load(open_store(features))
    return {
        checksum for record, checksum in zip(contents.records, contents.checksums, strict=True) if record.id in trained
    }


def file_names(others: Sequence[Contents]) -> list[str]:
    """Returns the name of each data set's folder, numbered if two have the same, or would have where case is none."""
    names: dict[str, str] = {}
    for other in others:
        name = other.stores[0].data_set
        numbered = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
        free = next(one for one in numbered if one.casefold() not in names)
        names[free.casefold()] = free
    return list(names.values())


def _across(split: str, run: Path, trained: set[str], name: str, other: Contents, config: ProtocolsConfig) -> Protocol:
    """Returns the results of `run` on all clips of another data set, and writes its predictions."""
    start_keras()
    probabilities, neighbours = _predict(run, other), _neighbours(run)
    far = neighbours and neighbours.distances(other.arrays, other.mask)
    distances = far and far.mean
    predictions = predictions_of(other.records, [TEST] * len(other.records), probabilities, other.seen, distances)
    write_predictions(config.out / f"on-{name}.csv", predictions)
    people = np.unique([owner(record) for record in other.records], return_inverse=True)[1]
    unnamed = sum(not record.target for record in other.records)
    scores = (other.labels, probabilities, THRESHOLD, config.resamples, config.seed)
    fakes, same = int(other.labels.sum()), sum(checksum in trained for checksum in other.checksums)
    findings = [f"{same} of {len(other.records)} test clips have the same content as a clip in train."] if same else []
    return Protocol(
        f"trained by {split}, tested on {name}",
        len(read_results(run).head.of(TRAIN).ids),
        len(other.records) - fakes,
        fakes,
        len(np.unique(people)),
        evaluate(*scores, people),
        None,
        findings,
        warnings=[
            *people_caveats(len(np.unique(people)), unnamed, len(other.records)),
            *([sentence_on_each(far.mean), sentence_on_all(neighbours, far.points)] if neighbours and far else []),
            "Only identical files were looked for: whether both data sets show the same people is unknown.",
        ],
    )


def _neighbours(run: Path) -> Neighbours | None:
    """Returns the training clips of the run, or of the first member of an ensemble, which learned from the same."""
    members = read_config(run).members
    return read_neighbours(members[0] if members else run)


def _predict(run: Path, contents: Contents) -> np.ndarray:
    """Returns each clip's probability of fake, float64 (N,), by a run on features or an ensemble of such runs."""
    from train.data.clips import Clips
    from train.heads.training import predict
    from train.runs.ensemble import mixed

    config = read_config(run)
    if config.kind == ENSEMBLE:
        joined = read_joined(run, config)
        return mixed(joined, np.array([_predict(member, contents) for member in joined.members]))
    head = load_head_in(run, config, contents.profile)
    clips = Clips(contents.arrays, contents.mask, contents.labels)
    return predict(head, clips, np.arange(len(contents.records))).astype(np.float64)


def _settings(config: ProtocolsConfig, features: Features) -> dict[str, Any]:
    """Returns the flags that repeat the protocols; the folder to write is left to the user."""
    left_out = {"out"} if isinstance(features, tuple) else {"out", "split", "scores", "same_people", "data_set_weights"}
    values = {field.name: getattr(config, field.name) for field in fields(config) if field.name not in left_out}
    return values | {"features": features, "others": config.others}
