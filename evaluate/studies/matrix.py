"""Several data sets crossed: heads trained on each, on all but one and on all, each judging the test part of every one.

A data set is split by itself, officially where it has a test part, else by person, so that all heads judge the same
clips. The heads are ordinary runs; their splits are files that `train` takes again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from base.commands import flag
from base.errors import UserError
from base.files import make_folder, write_csv, writing
from base.progress import say
from cache.contents import Contents
from cache.schema import TEST
from evaluate.report.caveats import leak_sentences, people_caveats
from evaluate.results.kinds import Kind, kinds_of_run
from evaluate.results.read import Results, read_results
from evaluate.results.versus_baseline import baseline_of
from evaluate.stats.bootstrap import Measure
from evaluate.stats.metrics import THRESHOLD, evaluate
from evaluate.stats.pairs import PairedShare
from train.data.audit import shared_with_train
from train.data.blended_parts import DROPPED
from train.data.split import Split, split
from train.data.training_set import DataConfig, TrainingSet, audited, load_features, people_note
from train.fit import FitConfig, check, fit_on
from train.runs.folder import free_name
from train.runs.predictions import Predictions

ALL = "all"


@dataclass(frozen=True)
class Cell:
    """What a head `trained` on some data sets, on so many `clips`, says of the test part of one; `inside` if of those.

    `real`, `fake` and `people` count the test clips, `measures` have calls at 0.5, `baseline` is the ROC AUC of its
    logistic regression, `unlike` the share of test clips that are too unlike the training clips to be judged, None if
    not known. `warnings` say what the test clips share with train, and what else has to be known, `kinds` how well each
    kind of fake is found.
    """

    trained: str
    tested: str
    inside: bool
    clips: int
    real: int
    fake: int
    people: int
    measures: dict[str, Measure]
    baseline: float | None
    paired: PairedShare
    unlike: float | None
    warnings: list[str]
    kinds: list[Kind]


@dataclass(frozen=True)
class Matrix:
    """All cells, row by row, the `splits` of the data sets by name, and `notes` on all of them."""

    cells: list[Cell]
    splits: dict[str, str]
    notes: list[str]

    @property
    def rows(self) -> list[str]:
        """What heads were trained on."""
        return list(dict.fromkeys(cell.trained for cell in self.cells))

    @property
    def columns(self) -> list[str]:
        """The data sets that they were tested on."""
        return list(dict.fromkeys(cell.tested for cell in self.cells))


def cross(config: FitConfig, others: Sequence[Path], resamples: int) -> Matrix:
    """Trains by `config` on each group of its data sets and tests on all of them, and on `others`.

    The runs go below `config.runs`, and the files with their splits beside it. Raises a UserError that names a data set
    which cannot be split, or features that do not go together.
    """
    check(config)
    folders = config.features if isinstance(config.features, tuple) else ()
    contents = load_features(DataConfig((*folders, *others), config.same_people))
    divided = [_split(contents, number, config, number < len(folders)) for number in range(len(contents.stores))]
    parts = np.full(len(contents.records), DROPPED, object)
    for number, one in enumerate(divided):
        parts[contents.data_sets == number] = one.parts
    names = [store.data_set for store in contents.stores]
    cells: list[Cell] = []
    for name, group in _groups(names[: len(folders)]).items():
        say(f"Training on {name}:")
        own = np.isin(contents.data_sets, group) | (parts == TEST)
        training_set = audited(
            contents, Split("csv", np.where(own, parts, DROPPED).tolist(), []), config.data_set_weights
        )
        run = fit_on(training_set, _fit_config(config, name, training_set))
        cells += _row(name, [names[one] for one in group], read_results(run), training_set, resamples)
    notes = [*dict.fromkeys(note for one in divided for note in one.notes), people_note(config.same_people)]
    return Matrix(cells, {name: one.kind for name, one in zip(names, divided, strict=True)}, notes)


def _split(contents: Contents, number: int, config: FitConfig, trained: bool) -> Split:
    """Returns the split of one data set; all videos of one that is not trained on are tested."""
    records = [one for one, own in zip(contents.records, contents.data_sets, strict=True) if own == number]
    name = contents.stores[number].data_set
    if not trained:
        return Split("tested whole", [DROPPED if record.is_blend else TEST for record in records], [])
    try:
        divided = split(records, config.split_config)
    except UserError as error:
        raise UserError(f"{name} cannot be trained and tested on: {error}") from None
    return replace(divided, notes=[f"{name}: {note}" for note in divided.notes])


def _groups(names: Sequence[str]) -> dict[str, list[int]]:
    """Returns what heads are trained on, by name: each of the data sets, all but one of three or more, and all.

    >>> _groups(["a", "b", "c"])["all but b"]
    [0, 2]
    """
    every = range(len(names))
    without = {f"all but {name}": [one for one in every if one != out] for out, name in enumerate(names)}
    return {name: [one] for one, name in enumerate(names)} | (without if len(names) > 2 else {}) | {ALL: [*every]}


def _fit_config(config: FitConfig, name: str, training_set: TrainingSet) -> FitConfig:
    """Returns the settings that repeat the training on the group `name`, whose parts it writes as a file."""
    runs = config.runs
    with writing(runs.parent, f"give another {flag('out')}"):
        ids = (record.id for record in training_set.contents.records)
        rows = zip(ids, training_set.split.parts, strict=True)
        path = write_csv(make_folder(runs.parent / "splits") / f"{name}.csv", ["id", "part"], list(rows))
    own = free_name(runs, None, f"on-{name}".replace(" ", "-"))
    return replace(config, name=own, split="csv", split_csv=path, val=0.0)


def _row(
    name: str, inside: Sequence[str], results: Results, training_set: TrainingSet, resamples: int
) -> Iterator[Cell]:
    """Yields what the head of `results` says of the test clips of each data set; it was trained on those `inside`."""
    test = results.head.of(TEST)
    owners = [one.partition("/")[0] for one in test.ids]
    for store in training_set.contents.stores:
        rows = np.flatnonzero([owner == store.data_set for owner in owners])
        yield Cell(
            trained=name,
            tested=store.data_set,
            inside=store.data_set in inside,
            clips=len(training_set.train),
            **_measured(test.rows(rows), results, training_set, resamples),
        )


def _measured(clips: Predictions, results: Results, training_set: TrainingSet, resamples: int) -> dict[str, Any]:
    """Returns the fields of a cell that follow from its `clips`."""
    baseline = baseline_of(results, clips)
    assert baseline, "it was trained just now"
    people, fakes, seed = results.people(clips), int(clips.labels.sum()), 0
    known = clips.distances[~np.isnan(clips.distances)]
    shared = shared_with_train(training_set.findings, clips.ids)
    return {
        "real": len(clips.ids) - fakes,
        "fake": fakes,
        "people": len(np.unique(people)),
        "measures": evaluate(clips.labels, clips.probabilities, THRESHOLD, resamples, seed, people),
        "baseline": evaluate(baseline.labels, baseline.probabilities, resamples=0)["roc_auc"].value,
        "paired": results.paired_share(clips, resamples, seed),
        "unlike": float((known > 1).mean()) if len(known) else None,
        "warnings": [
            *leak_sentences(shared, len(clips.ids)),
            *people_caveats(len(np.unique(people)), results.unnamed(clips), len(clips.ids)),
        ],
        "kinds": kinds_of_run(results, clips, clips.probabilities >= THRESHOLD, resamples, seed),
    }
