"""Several data sets crossed: heads trained on each, on all but one and on all, each judging the test part of every one.

A data set is split by itself, officially where it has a test part, else by person, so that all heads judge the same
clips. The heads are ordinary runs; their splits are files that `train` takes again.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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
from evaluate.report.caveats import config_warnings, leak_sentences, people_caveats
from evaluate.results.kinds import Kind, kinds_of_run
from evaluate.results.outside_scores import ScoredClips, read_scores
from evaluate.results.read import Results, read_results
from evaluate.results.versus_baseline import baseline_of
from evaluate.stats.bootstrap import Measure
from evaluate.stats.metrics import THRESHOLD, evaluate
from evaluate.stats.pairs import PairedShare
from train.data.audit import Finding, shared_with_train
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

    Of another detector nobody knows the clips that it was trained on.

    `real`, `fake` and `people` count the test clips, `measures` have calls at 0.5, `baseline` is the ROC AUC of its
    logistic regression, `unlike` the share of test clips that are too unlike the training clips to be judged, None if
    not known. `warnings` say what the test clips share with train, and what else has to be known, `kinds` how well each
    kind of fake is found.
    """

    trained: str
    tested: str
    inside: bool
    clips: int | None
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


def cross(config: FitConfig, others: Sequence[Path], scores: Sequence[Path], resamples: int) -> Matrix:
    """Trains by `config` on each group of its data sets and tests on all of them, and on `others`.

    The `scores` of other detectors, CSV files, are rows as well. The runs go below `config.runs`, and the files with
    their splits beside it. Raises a UserError that names a data set which cannot be split, features that do not go
    together, or a line of scores that cannot be used.
    """
    check(config)
    folders = config.features if isinstance(config.features, tuple) else ()
    contents = load_features(DataConfig((*folders, *others), config.same_people))
    divided = [_split(contents, number, config, number < len(folders)) for number in range(len(contents.stores))]
    parts = np.full(len(contents.records), DROPPED, object)
    for number, one in enumerate(divided):
        parts[contents.data_sets == number] = one.parts
    names = [store.data_set for store in contents.stores]
    clips, cells = ScoredClips("", contents.records, parts.tolist()), []
    doubts: dict[str, None] = {}
    outside = {file: read_scores(file, clips, file) for file in scores}
    for name, group in _groups(names[: len(folders)]).items():
        say(f"Training on {name}:")
        own = np.isin(contents.data_sets, group) | (parts == TEST)
        training_set = audited(
            contents, Split("csv", np.where(own, parts, DROPPED).tolist(), []), config.data_set_weights
        )
        run = fit_on(training_set, _fit_config(config, name, training_set))
        results = read_results(run)
        doubts.update(dict.fromkeys(config_warnings(results.config)))
        row = _Row(name, [names[one] for one in group], results, len(training_set.train))
        cells += _cells(row, names, training_set.findings, resamples)
    for file, (found, missing) in outside.items():
        row = _Row(f"scores of {file.stem}", [], Results(**vars(found), folder=file), None, missing)
        cells += _cells(row, names, [], resamples)
    notes = [*doubts, *(note for one in divided for note in one.notes), people_note(config.same_people)]
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
    every, together = range(len(names)), ALL if ALL not in names else f"{ALL} of these"
    without = {f"all but {name}": [one for one in every if one != out] for out, name in enumerate(names)}
    return {name: [one] for one, name in enumerate(names)} | (without if len(names) > 2 else {}) | {together: [*every]}


def _fit_config(config: FitConfig, name: str, training_set: TrainingSet) -> FitConfig:
    """Returns the settings that repeat the training on the group `name`, whose parts it writes as a file."""
    runs = config.runs
    with writing(runs.parent, f"give another {flag('out')}"):
        ids = (record.id for record in training_set.contents.records)
        rows = zip(ids, training_set.split.parts, strict=True)
        path = write_csv(make_folder(runs.parent / "splits") / f"{name}.csv", ["id", "part"], list(rows))
    own = free_name(runs, None, f"on-{name}".replace(" ", "-"))
    return replace(config, name=own, split="csv", split_csv=path, val=0.0)


@dataclass(frozen=True, eq=False)
class _Row:
    """A detector: its results, the data sets `inside` that it was trained on, and on how many of their clips.

    The test clips that are `missing` have no score.
    """

    name: str
    inside: Sequence[str]
    results: Results
    trained: int | None
    missing: Sequence[str] = ()


def _cells(row: _Row, names: Sequence[str], findings: Sequence[Finding], resamples: int) -> Iterator[Cell]:
    """Yields what a detector says of the test clips of each of the data sets `names`, as far as it judged any."""
    test = row.results.head.of(TEST)
    owners = [_owner(one) for one in test.ids]
    missing = Counter(map(_owner, row.missing))
    for name in names:
        clips = test.rows(np.flatnonzero([owner == name for owner in owners]))
        if not clips.ids:
            continue
        measured = _measured(clips, row.results, shared_with_train(findings, clips.ids), resamples)
        if missing[name]:
            measured["warnings"].insert(0, f"{missing[name]:,} test clips have no score, and are not counted.")
        yield Cell(row.name, name, name in row.inside, row.trained, **measured)


def _owner(name: str) -> str:
    """Returns the data set of the clip called `name`."""
    return name.partition("/")[0]


def _measured(clips: Predictions, results: Results, shared: Mapping[str, int], resamples: int) -> dict[str, Any]:
    """Returns the fields of a cell that follow from its `clips`, of which so many are `shared` with train."""
    baseline, people, fakes = baseline_of(results, clips), results.people(clips), int(clips.labels.sum())
    known = clips.distances[~np.isnan(clips.distances)]
    return {
        "real": len(clips.ids) - fakes,
        "fake": fakes,
        "people": len(np.unique(people)),
        "measures": evaluate(clips.labels, clips.probabilities, THRESHOLD, resamples, groups=people),
        "baseline": baseline and evaluate(clips.labels, baseline.probabilities, resamples=0)["roc_auc"].value,
        "paired": results.paired_share(clips, resamples, seed=0),
        "unlike": float((known > 1).mean()) if len(known) else None,
        "warnings": [
            *leak_sentences(shared, len(clips.ids)),
            *people_caveats(len(np.unique(people)), results.unnamed(clips), len(clips.ids)),
        ],
        "kinds": kinds_of_run(results, clips, clips.probabilities >= THRESHOLD, resamples, seed=0),
    }
