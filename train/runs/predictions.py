"""The tables of a run folder, one CSV row a clip. They are read strictly: a number one row off looks like any other."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta

from base.commands import flag
from base.errors import UserError
from base.files import write_csv
from base.outside.values import explained, read_records, shown
from cache.schema import FAKE, PARTS, REAL, Label, Name, Seen, VideoRecord, is_blend_id
from train.data.split import DROPPED
from train.runs.folder import AGAIN

Share = Annotated[float, Meta(ge=0, le=1)]


@dataclass(frozen=True)
class _Prediction:
    id: Name
    label: Label
    part: Annotated[str, Meta(pattern=rf"\A({'|'.join(PARTS)})\Z")]
    probability: Share
    coverage: Share | Literal[""]
    distance: Annotated[float, Meta(ge=0)] | Literal[""] = ""


PREDICTION_COLUMNS = [field.name for field in fields(_Prediction)]


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model says of N clips: `labels` int64 (N,), `probabilities` of fake and `coverage` float64 (N,) in [0, 1].

    `parts` holds train, val or test for each clip; `coverage` the share of the clip's frames with a detected face, NaN
    if unknown.
    `distances` float64 (N,) say how far each lies from the training clips, see `train.data.neighbours`; NaN if unknown.
    """

    ids: list[str]
    labels: np.ndarray
    parts: np.ndarray
    probabilities: np.ndarray
    coverage: np.ndarray
    distances: np.ndarray

    @property
    def counts(self) -> tuple[int, int]:
        """How many of the clips are real, and how many are fake."""
        return int((self.labels == REAL).sum()), int((self.labels == FAKE).sum())

    def of(self, part: str) -> "Predictions":
        """Returns the clips of `part`, in the same order."""
        return self.rows(np.flatnonzero(self.parts == part))

    def of_videos(self) -> "Predictions":
        """Returns all clips but the blended ones, in the same order."""
        return self.rows(np.flatnonzero([not is_blend_id(name) for name in self.ids]))

    def rows(self, rows: np.ndarray) -> "Predictions":
        """Returns the clips with these numbers, int64 (R,), in their order."""
        columns = (self.labels, self.parts, self.probabilities, self.coverage, self.distances)
        return Predictions([self.ids[row] for row in rows], *(column[rows] for column in columns))


def predictions_of(
    records: Sequence[VideoRecord],
    parts: Sequence[str],
    probabilities: np.ndarray,
    seen: Seen,
    distances: np.ndarray | None = None,
) -> Predictions:
    """Returns the predictions for N clips from probabilities of fake (N,), `distances` and what is seen in them."""
    return Predictions(
        [record.id for record in records],
        np.array([record.label for record in records], np.int64),
        np.array(parts, str),
        np.asarray(probabilities, np.float64),
        seen.coverage,
        np.full(len(records), np.nan) if distances is None else distances,
    )


def write_predictions(path: Path, predictions: Predictions) -> Path:
    """Writes the predictions file `path`; returns it. A UserError names the first clip whose probability is none."""
    for name, probability in zip(predictions.ids, predictions.probabilities, strict=True):
        if not np.isfinite(probability):
            raise UserError(
                f"the network gives {name} the probability {probability}, so its weights are of no use; train it again "
                f"with a lower {flag('learning_rate')}."
            )
    columns = (predictions.labels, predictions.parts, predictions.probabilities)
    may_lack = (
        ["" if np.isnan(value) else value for value in column.tolist()]
        for column in (predictions.coverage, predictions.distances)
    )
    rows = zip(predictions.ids, *(column.tolist() for column in columns), *may_lack, strict=True)
    return write_csv(path, PREDICTION_COLUMNS, rows)


def read_predictions(path: Path) -> Predictions:
    """Returns the rows of the predictions file `path`; a UserError names the line that cannot be one."""
    with explained(path, "CSV", AGAIN):
        rows = read_records(path, _Prediction).values()
    return Predictions(
        [row.id for row in rows],
        np.array([row.label for row in rows], np.int64),
        np.array([row.part for row in rows], str),
        np.array([row.probability for row in rows], np.float64),
        np.array([np.nan if row.coverage == "" else row.coverage for row in rows], np.float64),
        np.array([np.nan if row.distance == "" else row.distance for row in rows], np.float64),
    )


@dataclass(frozen=True)
class SplitRow:
    """What a split file says of a clip: `part` is train, val, test or dropped; people and kind may be unknown, ""."""

    id: Name
    label: Label
    part: Annotated[str, Meta(pattern=rf"\A({'|'.join(PARTS)}|{DROPPED})\Z")]
    target: str = ""
    donor: str = ""
    source: str = ""
    kind: str = ""

    @property
    def owner(self) -> str:
        """Whose footage it is: its target; where unknown, what it was made from, or the clip itself."""
        return self.target or self.source or self.id


def split_rows(records: Sequence[VideoRecord], parts: Sequence[str]) -> dict[str, SplitRow]:
    """Returns the rows of a split file, by clip."""
    return {
        record.id: SplitRow(record.id, record.label, part, record.target, record.donor, record.source, record.kind)
        for record, part in zip(records, parts, strict=True)
    }


def write_split(path: Path, split: Mapping[str, SplitRow]) -> Path:
    """Writes the split file `path`; returns it."""
    return write_csv(path, [field.name for field in fields(SplitRow)], (astuple(row) for row in split.values()))


def read_split(path: Path) -> dict[str, SplitRow]:
    """Returns the clips of the split file `path` by id; a UserError names the line that cannot be one."""
    with explained(path, "CSV", AGAIN):
        return read_records(path, SplitRow)


def require_split(predictions: Predictions, split: Mapping[str, SplitRow], path: Path) -> None:
    """Raises a UserError if the predictions in the file `path` are not those of the clips of `split`, one each."""
    expected = {name: (row.label, row.part) for name, row in split.items() if row.part != DROPPED}
    for name, label, part in zip(predictions.ids, predictions.labels.tolist(), predictions.parts.tolist(), strict=True):
        if name not in expected:
            raise UserError(
                f"{path} has the clip {shown(name)}, which the run's split does not use; train the run again."
            )
        if (label, part) != expected[name]:
            raise UserError(
                f"{path} has {shown(name)} with label {label} in {part}, but the run's split has label "
                f"{expected[name][0]} in {expected[name][1]}; one of the two was changed: train the run again."
            )
    if missing := sorted(expected.keys() - set(predictions.ids)):
        raise UserError(
            f"{path} lacks {len(missing)} clips of the run's split, {shown(missing[0])} first; train again."
        )
