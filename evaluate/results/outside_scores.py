"""Scores of another detector as a run, so that reports and comparisons take them like ours.

Such a run has no network and no baseline. Its parts are those of the data set: the test clips that have a score, or all
that have one where nobody says which are test clips.
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from base.errors import UserError
from base.files import write_csv
from base.outside.content import open_regular
from base.outside.lists import read_table
from base.outside.values import explained, shown
from base.progress import say
from cache.manifest import read_manifest
from cache.profile import ForeignProfile, fingerprint
from cache.schema import PARTS, TEST, VideoRecord
from cache.store import MANIFEST, Origin, data_set_of, is_store
from train.data.audit import Audit, audit, audit_of, shared_with_train
from train.data.blended_parts import DROPPED
from train.runs.contents import RunContents, write_run
from train.runs.folder import SCORES
from train.runs.predictions import Predictions, split_rows
from train.runs.recipe import RunConfig

NAMES = ("id", "path", "clip")
"""Columns that may name a clip, the first that there is."""
MISSING = "missing.csv"
SHOWN = 5
TRAIN_IS_NOT_THEIRS = (
    "What this detector was trained on is not known here: where train is named, it is the data set's own train part."
)


@dataclass(frozen=True)
class ScoredClips:
    """The videos of the data set called `name`, and the part of each; those of test are to have a score."""

    name: str
    records: list[VideoRecord]
    parts: list[str]


def write_scores_run(scores: Path, data: Path, folder: Path) -> Path:
    """Writes the scores in the CSV file `scores` of the data set `data` as a run; returns its folder, `folder` if free.

    `data` is a features folder, or what `features` takes. A UserError names the line that cannot be used.
    """
    contents, missing = read_scores(scores, _read_clips(data), data)

    def save(into: Path) -> RunContents:
        write_csv(into / MISSING, ["id"], [[name] for name in missing])
        return contents

    found = write_run(folder, save)
    if missing:
        say(f"{len(missing)} test clips have no score, and are not counted: {found / MISSING} lists them.")
    return found


def read_scores(scores: Path, clips: ScoredClips, data: Path) -> tuple[RunContents, list[str]]:
    """Returns the scores in `scores` as a run that is not written, and the ids of test clips that have none.

    `data` is where the clips are from. A UserError names the line that cannot be used.
    """
    table, unknown = _read_table(scores, clips.records)
    tested = [one.id for one, part in zip(clips.records, clips.parts, strict=True) if part == TEST]
    if not any(name in table for name in tested):
        raise UserError(f"{scores} has no score of the {len(tested)} test clips of {data}; name clips as it does.")
    missing = [name for name in tested if name not in table]
    return _contents(scores, data, clips, table, list(_notes(scores, missing, len(tested), unknown))), missing


def _read_clips(data: Path) -> ScoredClips:
    """Returns the clips of a data set; all are test clips where none has that part."""
    if is_store(data):
        name, records = data_set_of(data), [one for one in read_manifest(data / MANIFEST) if not one.is_blend]
    else:
        from extract.readers.layouts import read_dataset

        found = read_dataset(data)
        name, records = found.name, found.records
    official = any(record.part == TEST for record in records)
    return ScoredClips(name, records, [(record.part or DROPPED) if official else TEST for record in records])


def _read_table(path: Path, records: Sequence[VideoRecord]) -> tuple[dict[str, float], list[str]]:
    """Returns the probability of fake by id, and the names that are of no clip; clips without a number are left out."""
    paths = Counter(record.path for record in records)
    known = {record.path: record.id for record in records if paths[record.path] == 1}
    known |= {record.id: record.id for record in records}
    table = read_table(path, ("probability",))
    column = next((name for name in NAMES if name in table.columns), None)
    if column is None:
        raise UserError(f"{path} has no column that names clips; give one of {', '.join(NAMES)} beside probability.")
    scores: dict[str, float] = {}
    unknown: list[str] = []
    for line, values in table.rows:
        name, text = known.get(values[column].strip()), values["probability"].strip()
        if name is None:
            unknown.append(values[column])
        elif name in scores:
            raise UserError(f"{path}, line {line}: {shown(name)} has a score already; keep one of the two lines.")
        elif text:
            scores[name] = _probability(text, f"{path}, line {line}")
    return scores, unknown


def _probability(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise UserError(f"{where}: {shown(text)} is no probability of fake from 0 to 1; correct it, or leave it empty.")
    return value


def _notes(scores: Path, missing: Sequence[str], tested: int, unknown: Sequence[str]) -> Iterator[str]:
    yield TRAIN_IS_NOT_THEIRS
    if missing:
        yield f"{len(missing):,} of {tested:,} test clips have no score, and are not counted: {_some(missing)}."
    if unknown:
        lines = f"{len(unknown):,} line{'s' * (len(unknown) > 1)} of {scores.name}"
        yield f"Left out, since no clip of the data set is called so: {lines}, {_some(unknown)}."


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _contents(
    scores: Path, data: Path, clips: ScoredClips, table: Mapping[str, float], notes: list[str]
) -> RunContents:
    used = [part if one.id in table else DROPPED for one, part in zip(clips.records, clips.parts, strict=True)]
    rows = [row for row, part in enumerate(used) if part in PARTS]
    records = [clips.records[row] for row in rows]
    unknown = np.full(len(rows), np.nan)
    return RunContents(
        config=_config(scores, data, clips),
        split=split_rows(clips.records, used),
        audit=_audit(clips, used, notes),
        history={"epoch": np.zeros(0), "loss": np.zeros(0)},
        predictions=Predictions(
            [record.id for record in records],
            np.array([record.label for record in records], np.int64),
            np.array([used[row] for row in rows], str),
            np.array([table[record.id] for record in records]),
            coverage=unknown,
            distances=unknown,
        ),
        baseline=None,
        seconds=None,
    )


def _audit(clips: ScoredClips, used: Sequence[str], notes: list[str]) -> Audit:
    """Returns what the data set's own parts share, also those of clips without a score."""
    # Nobody looked into the files, so that none equals another.
    findings = audit(clips.records, clips.parts, [record.id for record in clips.records])
    tested = [record.id for record, part in zip(clips.records, used, strict=True) if part == TEST]
    kind = "official" if any(record.part == TEST for record in clips.records) else "none"
    found = audit_of(kind, list(used).count(DROPPED), notes, findings)
    return replace(found, shared=shared_with_train(findings, tested))


def _config(scores: Path, data: Path, clips: ScoredClips) -> RunConfig[ForeignProfile]:
    with explained(scores, "CSV", "give a file with the columns id and probability"), open_regular(scores) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()  # pyright: ignore[reportArgumentType]
    made_by = re.sub(r"[^A-Za-z0-9._-]+", "-", scores.stem).strip("-._")[:40] or "scores"
    profile = ForeignProfile(made_by, 1, digest)
    return RunConfig(
        kind=SCORES,
        command="eval",
        about=f"Scores of another detector, out of {scores.name}",
        config={"scores": str(scores), "data": str(data)},
        profile=profile,
        fingerprint=fingerprint(profile),
        origin=Origin(data=clips.name),
    )
