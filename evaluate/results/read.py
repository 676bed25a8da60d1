"""A finished run folder as evaluation reads it: its files, without the network."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from base.errors import passing_over_damage
from cache.schema import FAKE, PARTS, TEST, TRAIN, VAL
from evaluate.stats.calibration import LEAST_OF_CLASS, Temperature, fit_temperature
from evaluate.stats.pairs import PairedShare, paired_share, source_rows
from train.data.audit import scope
from train.runs.contents import RunContents, read_contents
from train.runs.folder import ENSEMBLE, PREDICTIONS, SCORES, require_finished
from train.runs.predictions import Predictions, read_predictions

REPORT, METRICS = "report", "metrics.json"
"""The folder of a run's report in its own, and the file there with every number."""
PUBLISHED = "published"
"""The `kind` in the config of a run by the published recipe."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Results(RunContents):
    """Everything that a report needs of the run in `folder`."""

    folder: Path

    @property
    def head(self) -> Predictions:
        """What the run's own network says, of the same clips as `baseline`."""
        return self.predictions

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self.folder.resolve().name

    @property
    def judge(self) -> str:
        """What judges: the run's head, or another detector."""
        return "detector" if self.config.kind == SCORES else "head"

    @property
    def verb(self) -> str:
        """The command that makes a run like this one."""
        kind = self.config.kind
        return self.config.command or (kind if kind in (ENSEMBLE, PUBLISHED) else "train")

    @property
    def findings(self) -> dict[str, int]:
        """How many findings of each kind the leak audit has; a run lists the first of them only."""
        counted = self.audit.counts or Counter(finding.kind for finding in self.audit.findings)
        return {kind: count for kind, count in counted.items() if count}

    @property
    def scope(self) -> str:
        """What the leak audit looked for, and what could not be."""
        if self.config.kind == SCORES:
            return "people and sources of the data set's own parts were looked for, and no files compared"
        rows = [row for row in self.split.values() if row.part in PARTS]
        return scope([row.target for row in rows], [row.source for row in rows if row.label == FAKE])

    def people(self, clips: Predictions) -> np.ndarray:
        """Returns whose footage each of `clips` is, int64 (N,): equal numbers stand for the same person."""
        return np.unique([self.split[name].owner for name in clips.ids], return_inverse=True)[1]

    def shared(self, kind: str) -> int:
        """Returns how many test clips the audit's findings of `kind` connect with train."""
        if kind in self.audit.shared:
            return self.audit.shared[kind]
        findings = [finding for finding in self.audit.findings if finding.kind == kind]
        crossing = [finding.videos.get(TEST, []) for finding in findings if TRAIN in finding.parts]
        return len({name for names in crossing for name in names} & set(self.head.of(TEST).ids))

    def unnamed(self, clips: Predictions) -> int:
        """Returns of how many of `clips` the split does not say who is in them; each counts as a person of its own."""
        return sum(not self.split[name].target for name in clips.ids)

    def paired_share(self, clips: Predictions, resamples: int, seed: int) -> PairedShare:
        """Returns how often a fake of `clips` scores above the real clip that it was made from."""
        sources = source_rows(clips.ids, [self.split[name].source for name in clips.ids])
        return paired_share(clips.labels, clips.probabilities, sources, self.people(clips), resamples, seed)


def read_results(folder: Path) -> Results:
    """Returns the run in `folder`; a UserError names what is missing, damaged or does not fit the rest."""
    return Results(**vars(read_contents(folder)), folder=folder)


def read_member(folder: Path, clips: Predictions) -> Predictions | None:
    """Returns the predictions of the run in `folder` for `clips`, in its own order; None if it lacks them."""
    with passing_over_damage():
        require_finished(folder)
        predictions = read_predictions(folder / PREDICTIONS).of(TEST)
        return predictions if sorted(predictions.ids) == sorted(clips.ids) else None
    return None


def find_temperature(predictions: Predictions) -> Temperature | None:
    """Returns the temperature of `predictions`, fitted on their validation part; None if that is too small."""
    validation = predictions.of(VAL)
    if min(validation.counts) < LEAST_OF_CLASS:
        return None
    return fit_temperature(validation.labels, validation.probabilities)


def why_uncalibrated(counts: tuple[int, int]) -> str:
    """Returns why no temperature was fitted on validation clips of which `counts` says how many are real and fake."""
    had = "no validation clips" if not any(counts) else f"{counts[0]} real and {counts[1]} fake validation clips"
    return f"there are {had}, and at least {LEAST_OF_CLASS} of each are needed to calibrate"
