"""The split: a part (train, val, test or dropped) for each video, and notes about how it came about."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from base.commands import command, flag
from base.errors import UserError
from base.outside.lists import read_table
from base.outside.values import shown
from cache.schema import FAKE, PARTS, REAL, TEST, TRAIN, VAL, VideoRecord, is_blend_id
from train.data.blended_parts import DROPPED, dropped_blends, place_blends
from train.data.kinds import choose_kinds
from train.data.people import assign_people

RANDOM_TEST = 0.2
"""Share of the videos that the random split puts into test, as published."""


@dataclass(frozen=True)
class SplitConfig:
    """How to split. `val` is the desired share of validation: of all videos for `identity`, else of train.

    `test` is the desired share of test for `identity`; the other kinds know theirs. `auto` is the best that the data
    set allows: see `split`. Of fakes, train and validation have those of `kinds` alone, or all but those of
    `leave_out_kind`, which then are the only ones of test: see `train.data.kinds`.
    """

    kind: str = "auto"
    seed: int = 42
    val: float = 0.15
    csv: Path | None = None
    test: float = 0.15
    kinds: tuple[str, ...] = ()
    leave_out_kind: str = ""


@dataclass(frozen=True)
class Split:
    """`parts` holds train, val, test or dropped for each video; `notes` are sentences for readers of the results.

    `kind` is never auto.
    """

    kind: str
    parts: list[str]
    notes: list[str]


def split(records: Sequence[VideoRecord], config: SplitConfig) -> Split:
    """Returns the part of each of `records`; raises a UserError if train would lack one of the classes.

    `official` takes the data set's own parts; `identity` keeps every person, target or donor, within one part;
    `random` is stratified 80/20; `csv` takes the user's parts; `auto` is csv if there is a file, else official if the
    data set has a test part, else identity if it says who is shown, else random. If that gives no validation part,
    whole targets move from train to val. Blended clips change nothing about the videos: they train with their real clip
    or not at all.
    """
    if not 0 <= config.val <= 0.5:
        raise UserError(f"{flag('val', config.val)} is not a share from 0 to 0.5; give one, such as {SplitConfig.val}.")
    if not 0 < config.test <= 0.5:
        raise UserError(f"{flag('test', config.test)} is no share up to 0.5; give one, such as {SplitConfig.test}.")
    require_both_classes([record.label for record in records], "the features hold")
    videos = [record for record in records if not record.is_blend]
    if len({video.label for video in videos}) < 2:
        # Validation without fakes would call everything real.
        config = replace(config, val=0.0)
    config, parts, notes = _divided(videos, config)
    parts, more = choose_kinds(videos, parts, config.kinds, config.leave_out_kind)
    notes += more
    if VAL not in parts and config.kind != "identity":
        parts, more = _carve_validation(videos, parts, config)
        notes += more
    if len(videos) < len(records):
        unwanted = dropped_blends(config.csv) if config.kind == "csv" and config.csv else frozenset()
        parts, more = place_blends(records, dict(zip((video.id for video in videos), parts, strict=True)), unwanted)
        notes += more
    if VAL not in parts:
        notes.append("There is no validation part, so training runs a fixed number of epochs.")
    train_labels = [record.label for record, part in zip(records, parts, strict=True) if part == TRAIN]
    require_both_classes(train_labels, f"the train part of the {config.kind} split holds")
    return Split(config.kind, parts, notes)


def _divided(
    videos: Sequence[VideoRecord], config: SplitConfig, *sentences: str
) -> tuple[SplitConfig, list[str], list[str]]:
    """Returns `config` with the kind that auto stands for, the parts, and the notes on them after `sentences`."""
    if config.kind != "auto":
        parts, notes = SPLITS[config.kind](videos, config)
        return config, parts, [*sentences, *notes]
    if config.csv:
        return _divided(videos, replace(config, kind="csv"))
    if any(video.part == TEST for video in videos):
        meaning = "the data set's own test part; it may show people who are in train too"
        return _divided(videos, replace(config, kind="official"), f"The split is official: {meaning}.")
    why = "nothing says who is shown"
    if any(video.target for video in videos):
        meaning = "by person, since the data set has no test part: nobody is in two of train, validation and test"
        try:
            return _divided(videos, replace(config, kind="identity"), f"The split is identity: {meaning}.")
        except UserError:
            why = "there are too few people to divide"
    meaning = f"since the data set has no test part and {why}; people may be in both train and test"
    return _divided(videos, replace(config, kind="random"), f"The split is random, {meaning}.")


def require_both_classes(labels: Sequence[int], where: str) -> None:
    """Raises a UserError that begins with `where` if `labels` lack one of the classes."""
    counts = Counter(labels)
    if not (counts[REAL] and counts[FAKE]):
        raise UserError(
            f"{where} {counts[REAL]} real and {counts[FAKE]} fake videos, and a head cannot learn from one class; "
            f"add videos of the other class, choose another {flag('split')}, or make fakes out of the real ones with "
            f"{command('features', data='...', blends=2)}."
        )


def owner(record: VideoRecord) -> str:
    """Returns whose footage `record` is: its target. Unknown targets go by their source video."""
    # No reader makes a name with a tab.
    return record.target or f"unknown\t{record.source or record.id}"


def _official(records: Sequence[VideoRecord], _: SplitConfig) -> tuple[list[str], list[str]]:
    parts = [record.part if record.part in PARTS else DROPPED for record in records]
    if TEST not in parts:
        raise UserError(
            "the manifest names no official test video, so there is no official split; put the data set's test list "
            "beside its folders (a CSV file needs the column part) and extract again, or use "
            f"{flag('split', 'identity')}."
        )
    return parts, list(_official_notes(parts))


def _official_notes(parts: list[str]) -> Iterator[str]:
    if VAL in parts:
        yield "Validation is the data set's own part; the wished share is ignored."
    if dropped := parts.count(DROPPED):
        yield f"{dropped} of {len(parts)} videos are dropped: the data set assigns them no official part."


def _random(records: Sequence[VideoRecord], config: SplitConfig) -> tuple[list[str], list[str]]:
    from sklearn.model_selection import train_test_split

    labels = [record.label for record in records]
    rows = range(len(records))
    try:
        _, test_rows = train_test_split(rows, test_size=RANDOM_TEST, random_state=config.seed, stratify=labels)
    except ValueError:
        counts = Counter(labels)
        raise UserError(
            f"{counts[REAL]} real and {counts[FAKE]} fake videos are too few for a stratified 80/20 split; "
            f"extract more, or give your own parts with {flag('split', 'csv')}."
        ) from None
    chosen = set(test_rows)
    return [TEST if row in chosen else TRAIN for row in rows], []


def _identity(records: Sequence[VideoRecord], config: SplitConfig) -> tuple[list[str], list[str]]:
    people = [frozenset((owner(record), record.donor or owner(record))) for record in records]
    labels = [record.label for record in records]
    for names in ([TRAIN, TEST, VAL], [TRAIN, TEST]) if config.val else ([TRAIN, TEST],):
        rest = 1 - config.test - (config.val if VAL in names else 0)
        numbers = assign_people(people, labels, [rest, config.test, config.val][: len(names)], config.seed)
        if numbers is not None:
            parts = [names[number] if number >= 0 else DROPPED for number in numbers]
            notes = _identity_notes(records, parts, VAL in names or not config.val)
            return parts, list(notes)
    raise UserError(
        f"the {len(frozenset().union(*people))} people of these {len(records)} videos cannot be divided so that train "
        f"and test both have real and fake videos; extract videos of more people, or use another {flag('split')}."
    )


def _identity_notes(records: Sequence[VideoRecord], parts: list[str], as_wished: bool) -> Iterator[str]:
    if unknown := sum(not record.target for record in records):
        yield (
            f"The people in {unknown} of {len(records)} videos are unknown. Each such video counts as a person of its "
            "own, together with the fakes made from it, so a person may still be in more than one part."
        )
    if not as_wished:
        yield "There are too few people for both classes in three parts, so there are only train and test."
    if dropped := parts.count(DROPPED):
        yield f"{dropped} of {len(parts)} videos are dropped because their target and donor are in different parts."


def _csv(records: Sequence[VideoRecord], config: SplitConfig) -> tuple[list[str], list[str]]:
    if config.csv is None:
        raise UserError(
            f"{flag('split', 'csv')} needs a file: give {flag('split_csv', '...')} with the columns id and part."
        )
    named = _read_parts(config.csv, {record.id for record in records})
    parts = [named.get(record.id, DROPPED) for record in records]
    dropped = parts.count(DROPPED)
    notes = [f"{dropped} of {len(parts)} videos are dropped: {config.csv.name} gives them no part."] if dropped else []
    if TEST not in parts:
        notes.append(f"{config.csv.name} names no test video, so this run cannot be evaluated.")
    return parts, notes


def _read_parts(path: Path, known: set[str]) -> dict[str, str]:
    """Returns the part of each video in the CSV file `path`; other columns are ignored."""
    parts: dict[str, str] = {}
    for line, values in read_table(path, ("id", "part")).rows:
        if not is_blend_id(values["id"]):  # place_blends sees to those
            _check_row(values, f"{path}, line {line}", known, parts)
            parts[values["id"]] = values["part"]
    return parts


def _check_row(values: dict[str, str], where: str, known: set[str], seen: dict[str, str]) -> None:
    name, part = values["id"], values["part"]
    if name not in known:
        raise UserError(
            f"{where}: {shown(name)} is not among the extracted videos; remove the line, or extract the video."
        )
    if name in seen:
        raise UserError(f"{where}: {shown(name)} appears a second time; keep one of the two lines.")
    if part not in (*PARTS, DROPPED):
        raise UserError(f"{where}: the part {shown(part)} is none of {', '.join((*PARTS, DROPPED))}; correct the line.")


def _carve_validation(
    records: Sequence[VideoRecord], parts: list[str], config: SplitConfig
) -> tuple[list[str], list[str]]:
    """Returns `parts` with whole targets moved from train to val, and notes; unchanged parts where that is impossible.

    Donors may end up in both parts, because otherwise hardly any fake would remain; the audit names them.
    """
    rows = [row for row, part in enumerate(parts) if part == TRAIN]
    if not (config.val and rows):
        return parts, []
    people = [frozenset([owner(records[row])]) for row in rows]
    labels = [records[row].label for row in rows]
    both = len(set(labels)) > 1
    numbers = assign_people(people, labels, [1 - config.val, config.val], config.seed) if both else None
    if numbers is None:
        return parts, ["Train has too few people with both classes to spare any for validation."]
    carved = list(parts)
    for row, number in zip(rows, numbers, strict=True):
        carved[row] = VAL if number == 1 else TRAIN
    return carved, []


SPLITS: dict[str, Callable[[Sequence[VideoRecord], SplitConfig], tuple[list[str], list[str]]]] = {
    "official": _official,
    "identity": _identity,
    "random": _random,
    "csv": _csv,
}
"""What divides the videos into parts; returns the part of each, and notes."""


def split_choices() -> list[str]:
    """Returns what the flag for a split may be."""
    return ["auto", *SPLITS]
