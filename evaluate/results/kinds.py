"""How well fakes of each kind are found: a mean over kinds hides the one that nothing finds."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cache.schema import FAKE, REAL, TRAIN
from evaluate.page.tables import NOTHING, Cell, Table
from evaluate.results.read import Results
from evaluate.stats.bootstrap import Measure, share
from evaluate.stats.metrics import evaluate
from evaluate.stats.pairs import UNKNOWN, paired_share, source_rows
from train.runs.predictions import Predictions

UNNAMED = "kind unknown"
MOST_KINDS = 30
"""Kinds that are measured, those with the most fakes: each has a bootstrap of its own."""


@dataclass(frozen=True)
class Kind:
    """The fakes of one kind among the test clips: how many, of which so many were `called` fake.

    `trained` counts those of train, None where each fold has others. `found` is the share called fake, `roc_auc` that
    of these fakes against all real clips, `paired` how often one scores above its real counterpart.
    """

    name: str
    trained: int | None
    fakes: int
    called: int
    found: Measure
    roc_auc: Measure
    paired: Measure


@dataclass(frozen=True, eq=False)
class Judged:
    """N clips and how they were judged: arrays (N,), `sources` the rows of the real clips that fakes were made from."""

    labels: np.ndarray
    probabilities: np.ndarray
    called: np.ndarray
    sources: np.ndarray
    people: np.ndarray

    def only(self, rows: np.ndarray) -> "Judged":
        """Returns the clips `rows`; a source that is not among them is unknown."""
        place = np.full(len(self.labels) + 1, UNKNOWN)  # the last is that of UNKNOWN
        place[rows] = np.arange(len(rows))
        own = (self.labels[rows], self.probabilities[rows], self.called[rows])
        return Judged(*own, place[self.sources[rows]], self.people[rows])


def kinds_of_run(results: Results, clips: Predictions, called: np.ndarray, resamples: int, seed: int) -> list[Kind]:
    """Returns the kinds of fakes among `clips` of the run, `called` fake or not, bool (N,); none if none is named."""
    split = results.split
    trained = Counter(row.kind or UNNAMED for row in split.values() if row.part == TRAIN and row.label == FAKE)
    sources = source_rows(clips.ids, [split[name].source for name in clips.ids])
    judged = Judged(clips.labels, clips.probabilities, called, sources, results.people(clips))
    return measure_kinds([split[name].kind for name in clips.ids], judged, trained, resamples, seed)


def measure_kinds(
    kinds: Sequence[str], clips: Judged, trained: Counter[str] | None, resamples: int, seed: int
) -> list[Kind]:
    """Returns what is measured of each of the `kinds` of N clips, "" where unknown, the most frequent first."""
    if not any(kinds):
        return []
    names = np.array([kind or UNNAMED for kind in kinds], object)
    fake = clips.labels == FAKE
    counted = Counter(names[fake].tolist()).most_common(MOST_KINDS)
    return [
        _kind(
            name,
            clips.only(np.flatnonzero(~fake | (names == name))),
            None if trained is None else trained[name],
            resamples,
            seed,
        )
        for name, _ in counted
    ]


def _kind(name: str, clips: Judged, trained: int | None, resamples: int, seed: int) -> Kind:
    own = clips.labels == FAKE
    scores = (clips.labels, clips.probabilities)
    area = Measure(None, None, None)
    if (clips.labels == REAL).any():
        area = evaluate(*scores, resamples=resamples, seed=seed, groups=clips.people)["roc_auc"]
    return Kind(
        name,
        trained,
        int(own.sum()),
        int(clips.called[own].sum()),
        share(clips.called[own].astype(np.float64), clips.people[own], resamples, seed),
        area,
        paired_share(*scores, clips.sources, clips.people, resamples, seed).share,
    )


def kinds_sentence(kinds: Sequence[Kind]) -> str:
    """Returns "Found 31 of 40 of Deepfakes, 9 of 40 of NeuralTextures (none in train)."; "" without kinds."""
    unseen = " (none in train)"
    found = (f"{one.called:,} of {one.fakes:,} of {one.name}{unseen * (one.trained == 0)}" for one in kinds)
    return f"Found {', '.join(found)}." if kinds else ""


KINDS = "By kind of fake, with 95 % intervals over people. ROC AUC is against all real clips."
COLUMNS = ("fakes in train", "fakes", "called fake", "share called fake", "ROC AUC", "paired share")


def kinds_table(kinds: Sequence[Kind], caption: str = KINDS) -> Table:
    """Returns a row for each kind of fake."""
    return Table(caption, ["kind", *COLUMNS], [[one.name, *_cells(one)] for one in kinds])


def kinds_by(what: str, kinds: Mapping[str, Sequence[Kind]]) -> dict[str, Table]:
    """Returns the table "kinds": a row for each kind in each of several results by name, which are a `what` each.

    There is none where no kind is named.
    """
    rows = [[one.name, name, *_cells(one)] for name, own in kinds.items() for one in own]
    # The same kind in all results, side by side.
    return {"kinds": Table(KINDS, ["kind", what, *COLUMNS], sorted(rows, key=lambda row: str(row[0])))} if rows else {}


def _cells(one: Kind) -> Iterator[Cell]:
    yield NOTHING if one.trained is None else f"{one.trained:,}"
    yield from (f"{one.fakes:,}", f"{one.called:,}", one.found, one.roc_auc, one.paired)
