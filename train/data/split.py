"""Who trains, who validates, who tests: a part for each video, and sentences about what that took."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cache.schema import FAKE, PARTS, REAL, TEST, TRAIN, VAL, UserError, VideoRecord
from train.data.people import assign_people

DROPPED = "dropped"
SplitKind = Literal["official", "identity", "random", "csv"]

IDENTITY_TEST = 0.15
"""Share of the kept videos that the identity split aims to test on."""
RANDOM_TEST = 0.2
"""Share of the videos that the random split tests on, as published."""


@dataclass(frozen=True)
class SplitConfig:
    """How to split. `val` is the wished share of validation, of all videos for `identity`, else of train."""

    kind: SplitKind = "official"
    seed: int = 42
    val: float = 0.15
    csv: Path | None = None


@dataclass(frozen=True)
class Split:
    """`parts` holds train, val, test or dropped for each video; `notes` what a reader of the results should know."""

    kind: SplitKind
    parts: list[str]
    notes: list[str]


def split(records: Sequence[VideoRecord], config: SplitConfig) -> Split:
    """Returns the part of each of `records`; a UserError where train would be left without one of the classes.

    `official` is the data set's own parts; `identity` leaves no person, target or donor, in two parts; `random` is
    stratified 80/20; `csv` the user's own. Where that gives no validation, whole targets are taken out of train for it.
    """
    if not 0 <= config.val <= 0.5:
        raise UserError(f"--val {config.val:g} is not a share from 0 to 0.5; give one, such as 0.15.")
    require_both_classes([record.label for record in records], "the features hold")
    parts, notes = _SPLITS[config.kind](records, config)
    if VAL not in parts and config.kind != "identity":
        parts, more = _carve_validation(records, parts, config)
        notes += more
    if VAL not in parts:
        notes.append("There is no validation part, so training stops after a fixed number of epochs.")
    trained = [record.label for record, part in zip(records, parts, strict=True) if part == TRAIN]
    require_both_classes(trained, f"the train part of the {config.kind} split holds")
    return Split(config.kind, parts, notes)


def require_both_classes(labels: Sequence[int], where: str) -> None:
    """Raises a UserError that begins with `where` if one of the classes is absent from `labels`."""
    counts = Counter(labels)
    if not (counts[REAL] and counts[FAKE]):
        raise UserError(
            f"{where} {counts[REAL]} real and {counts[FAKE]} fake videos, and a head cannot learn from one class; "
            "add videos of the other, or split them another way with --split."
        )


def owner(record: VideoRecord) -> str:
    """Returns whose footage `record` is: its target, or where that is not known, a name for it and all made from it."""
    # A tab is in no name that a reader makes.
    return record.target or f"unknown\t{record.source or record.id}"


def _official(records: Sequence[VideoRecord], _: SplitConfig) -> tuple[list[str], list[str]]:
    parts = [record.part if record.part in PARTS else DROPPED for record in records]
    if TEST not in parts:
        raise UserError(
            "the manifest names no official test video, so there is no official split; "
            "put the data set's test list beside its folders and extract again, or use --split identity."
        )
    return parts, list(_official_notes(parts))


def _official_notes(parts: list[str]) -> Iterator[str]:
    if VAL in parts:
        yield "Validation is the data set's own part, whatever its share."
    if dropped := parts.count(DROPPED):
        yield f"{dropped} of {len(parts)} videos are dropped: the data set gives them no official part."


def _random(records: Sequence[VideoRecord], config: SplitConfig) -> tuple[list[str], list[str]]:
    from sklearn.model_selection import train_test_split

    labels = [record.label for record in records]
    rows = range(len(records))
    try:
        _, tested = train_test_split(rows, test_size=RANDOM_TEST, random_state=config.seed, stratify=labels)
    except ValueError:
        counts = Counter(labels)
        raise UserError(
            f"{counts[REAL]} real and {counts[FAKE]} fake videos are too few for a stratified 80/20 split; "
            "extract more, or give your own with --split csv."
        ) from None
    chosen = set(tested)
    return [TEST if row in chosen else TRAIN for row in rows], []


def _identity(records: Sequence[VideoRecord], config: SplitConfig) -> tuple[list[str], list[str]]:
    people = [frozenset((owner(record), record.donor or owner(record))) for record in records]
    labels = [record.label for record in records]
    for names in ([TRAIN, TEST, VAL], [TRAIN, TEST]) if config.val else ([TRAIN, TEST],):
        rest = 1 - IDENTITY_TEST - (config.val if VAL in names else 0)
        found = assign_people(people, labels, [rest, IDENTITY_TEST, config.val][: len(names)], config.seed)
        if found is not None:
            parts = [names[part] if part >= 0 else DROPPED for part in found]
            notes = _identity_notes(records, parts, VAL in names or not config.val)
            return parts, list(notes)
    raise UserError(
        f"the {len(frozenset().union(*people))} people of these {len(records)} videos cannot be divided so that train "
        "and test both have real and fake videos; extract videos of more people, or use another --split."
    )


def _identity_notes(records: Sequence[VideoRecord], parts: list[str], as_wished: bool) -> Iterator[str]:
    if unknown := sum(not record.target for record in records):
        yield (
            f"Who is in {unknown} of {len(records)} videos is not known: each counts as somebody else, together with "
            "the fakes made from it, so people may be in more than one part after all."
        )
    if not as_wished:
        yield "There are too few people for three parts with both classes in each, so there are only train and test."
    if dropped := parts.count(DROPPED):
        yield f"{dropped} of {len(parts)} videos are dropped because their target and donor fall in different parts."


def _csv(records: Sequence[VideoRecord], config: SplitConfig) -> tuple[list[str], list[str]]:
    if config.csv is None:
        raise UserError("--split csv needs the file: give --split-csv FILE with the columns id and part.")
    named = _read_parts(config.csv, {record.id for record in records})
    parts = [named.get(record.id, DROPPED) for record in records]
    dropped = parts.count(DROPPED)
    notes = [f"{dropped} of {len(parts)} videos are dropped: {config.csv.name} gives them no part."] if dropped else []
    if TEST not in parts:
        notes.append(f"{config.csv.name} names no test video, so this run cannot be evaluated.")
    return parts, notes


def _read_parts(path: Path, known: set[str]) -> dict[str, str]:
    """Returns the part of each video that the CSV file `path` names; its other columns are left alone."""
    parts: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if missing := [name for name in ("id", "part") if name not in (reader.fieldnames or ())]:
                raise UserError(f"{path} has no column {missing[0]}; it needs the columns id and part.")
            for values in reader:
                _check_row(values, f"{path}, line {reader.line_num}", known, parts)
                parts[values["id"]] = values["part"]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as CSV ({error}); give a file with the columns id and part.") from None
    return parts


def _check_row(values: dict[str, str], where: str, known: set[str], seen: dict[str, str]) -> None:
    name, part = values["id"], values["part"]
    if name not in known:
        raise UserError(f"{where}: {name!r} is not among the extracted videos; take the line out, or extract it.")
    if name in seen:
        raise UserError(f"{where}: {name!r} is there a second time; keep one of the two lines.")
    if part not in (*PARTS, DROPPED):
        raise UserError(f"{where}: the part {part!r} is none of train, val, test, dropped; mend the line.")


def _carve_validation(
    records: Sequence[VideoRecord], parts: list[str], config: SplitConfig
) -> tuple[list[str], list[str]]:
    """Returns `parts` with whole targets moved from train to val, never from test; as they were where that cannot be.

    Donors may then be in both, or hardly a fake would be left; the audit names them.
    """
    rows = [row for row, part in enumerate(parts) if part == TRAIN]
    if not (config.val and rows):
        return parts, []
    people = [frozenset([owner(records[row])]) for row in rows]
    labels = [records[row].label for row in rows]
    found = assign_people(people, labels, [1 - config.val, config.val], config.seed)
    if found is None:
        return parts, ["No target can leave train for validation without taking one of the classes along."]
    carved = list(parts)
    for row, part in zip(rows, found, strict=True):
        carved[row] = VAL if part == 1 else TRAIN
    return carved, []


_SPLITS = {"official": _official, "identity": _identity, "random": _random, "csv": _csv}
