"""The leak audit: people, source videos and files that are in more than one part of a split.

What nobody knows cannot be looked for: `scope` says so, and stands wherever the result does.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

from msgspec import Meta

from base.commands import command
from base.errors import UserError
from cache.schema import FAKE, PARTS, REAL, TEST, TRAIN, VideoRecord

LEAST_OF_ONE = 5
"""Clips of a person or source, all of one class, from which on it is named."""
MOST_FINDINGS, MOST_NAMES = 200, 20
"""Findings of a kind, and clips of a finding in each part, that a run lists. The split file has everybody's clips."""


@dataclass(frozen=True)
class Finding:
    """A person, source video or file content in several parts, or twice in one; `videos` lists the ids by part.

    A run lists some of the ids, and in `counts` says how many there are.
    """

    kind: str
    name: str
    parts: list[str]
    videos: dict[str, list[str]]
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Audit:
    """What a run keeps of its split and of the findings: some of each kind with some of their clips, and counts of all.

    `counts` says how many there are of a kind, `crossing` how many of all are in several parts, and `shared` how many
    test clips those of a kind connect with train. Audits of earlier versions list all findings and count nothing.
    """

    split: str
    dropped: Annotated[int, Meta(ge=0, le=10**9)]
    notes: list[str]
    findings: list[Finding]
    counts: dict[str, int] = field(default_factory=dict)
    crossing: int | None = None
    shared: dict[str, int] = field(default_factory=dict)


def audit(records: Sequence[VideoRecord], parts: Sequence[str], checksums: Sequence[str]) -> list[Finding]:
    """Returns what the parts share, sorted by kind and name.

    A finding is a person (target or donor) in more than one part, a source video in more than one part, or a set of
    videos with equal `checksums` of their features, in any number of parts. The source of a fake is the video it was
    made from; a real video is its own source. Dropped videos are ignored. Raises a UserError if a real and a fake video
    have equal checksums.
    """
    used = [row for row, part in enumerate(parts) if part in PARTS]
    part_of = {records[row].id: parts[row] for row in used}
    people = _group((name, records[row].id) for row in used for name in records[row].people)
    sources = _group((_source(records[row]), records[row].id) for row in used)
    contents = _group((checksums[row], records[row].id) for row in used).values()
    duplicates = {ids[0]: ids for ids in contents if len(ids) > 1}
    _require_one_label(duplicates.values(), {records[row].id: records[row].label for row in used})
    return [
        *_crossing("identity", people, part_of),
        *_crossing("source", sources, part_of),
        *(_finding("duplicate", name, duplicates[name], part_of) for name in sorted(duplicates)),
    ]


def audit_of(split: str, dropped: int, notes: list[str], findings: Sequence[Finding]) -> Audit:
    """Returns what a run keeps of `findings`, all those of its split."""
    kinds = {kind: [finding for finding in findings if finding.kind == kind] for kind in _TITLES}
    return Audit(
        split,
        dropped,
        notes,
        [_cut(finding) for some in kinds.values() for finding in some[:MOST_FINDINGS]],
        {kind: len(some) for kind, some in kinds.items()},
        sum(len(finding.parts) > 1 for finding in findings),
        shared_with_train(findings),
    )


def shared_with_train(findings: Sequence[Finding], clips: Collection[str] | None = None) -> dict[str, int]:
    """Returns how many test clips, or of those `clips`, the `findings` of each kind connect with train."""
    shared: dict[str, set[str]] = {kind: set() for kind in _TITLES}
    for one in findings:
        if TRAIN in one.parts:
            shared[one.kind].update(one.videos.get(TEST, ()))
    return {kind: len(names if clips is None else names.intersection(clips)) for kind, names in shared.items()}


def _cut(finding: Finding) -> Finding:
    videos = {part: names[:MOST_NAMES] for part, names in finding.videos.items()}
    return replace(finding, videos=videos, counts={part: len(names) for part, names in finding.videos.items()})


def scope(people: Sequence[str], sources: Sequence[str]) -> str:
    """Returns what an audit looked for, and what could not be, from the `people` of all clips and `sources` of fakes.

    >>> scope(["", "", ""], [""])
    'people and sources unknown; only identical files were looked for'
    """
    known = {"people": people, "sources": sources}
    unknown = {name: names.count("") for name, names in known.items() if "" in names}
    none = [name for name, count in unknown.items() if count == len(known[name])]
    some = [f"{name} of {count:,} of {len(known[name]):,} clips" for name, count in unknown.items() if name not in none]
    known_ones = [name for name in known if name not in none]
    files = f"{', '.join(known_ones)} and identical files" if known_ones else "only identical files"
    return f"{' and '.join([*none, *some])} unknown; {files} were looked for" if unknown else f"{files} were looked for"


def one_class_notes(records: Sequence[VideoRecord], parts: Sequence[str]) -> Iterator[str]:
    """Yields the sentence that names the people and sources with many clips, all of one class, where there are any."""
    used = [record for record, part in zip(records, parts, strict=True) if part in PARTS]
    groups: dict[str, list[int]] = defaultdict(list)
    for record in used:
        for name in {record.target, record.source or record.id} - {""}:
            groups[name].append(record.label)
    alone = {name: labels for name, labels in groups.items() if len(labels) >= LEAST_OF_ONE and len(set(labels)) == 1}
    if alone:
        first = sorted(alone, key=lambda name: -len(alone[name]))[:TWINS]
        named = [f"{name}: {len(alone[name])} {'fake' if alone[name][0] == FAKE else 'real'}" for name in first]
        more = [f"{len(alone) - TWINS} more"] if len(alone) > TWINS else []
        yield (
            f"One class only have {'; '.join([*named, *more])}. A head can tell these clips by who or what they show, "
            "so the numbers may be about that: balance them or leave them out."
        )


def summary(findings: Sequence[Finding], records: Sequence[VideoRecord]) -> str:
    """Returns the findings that cross parts as text for the terminal: one line per kind, with the first names."""
    crossing = [finding for finding in findings if len(finding.parts) > 1]
    looked = scope([one.target for one in records], [one.source for one in records if one.label == FAKE])
    lines = [f"  {title}: {_names(crossing, kind)}" for kind, title in _TITLES.items() if _names(crossing, kind)]
    if within := _names([finding for finding in findings if len(finding.parts) == 1], "duplicate"):
        lines.append(f"  identical videos within one part: {within}")
    return "\n".join(
        [f"leak audit ({looked}), found in more than one part:", *lines]
        if lines
        else [f"leak audit: nothing that the parts share was found ({looked})."]
    )


_TITLES = {"identity": "people", "source": "source videos", "duplicate": "identical videos"}
SHOWN = 8
"""How many names of a kind the terminal shows; the run folder lists all."""
TWINS = 3
"""How many names of one set of equal videos the terminal shows."""


def _require_one_label(duplicates: Iterable[list[str]], labels: Mapping[str, int]) -> None:
    for ids in duplicates:
        if len({labels[name] for name in ids}) > 1:
            one, other = (next(name for name in ids if labels[name] == label) for label in (REAL, FAKE))
            raise UserError(
                f"{one} (real) and {other} (fake) are the same clip, so one of the labels is wrong; correct it or "
                f"remove one of the two, and extract again with {command('features', data='...')}."
            )


def _names(findings: Sequence[Finding], kind: str) -> str:
    names = [_title(finding) for finding in findings if finding.kind == kind]
    more = f", and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{len(names)} ({', '.join(names[:SHOWN])}{more})" if names else ""


def _title(finding: Finding) -> str:
    """Returns the name of what is shared; of equal videos, as many as fit."""
    if finding.kind != "duplicate":
        return finding.name
    ids = [name for names in finding.videos.values() for name in names]
    return " = ".join([*ids[:TWINS], *([f"{len(ids) - TWINS} more"] if len(ids) > TWINS else [])])


def _source(record: VideoRecord) -> str:
    return record.source if record.label == FAKE else record.id


def _group(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Returns the ids by name, in order; pairs without a name are left out."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name, video in pairs:
        if name:
            groups[name].append(video)
    return groups


def _crossing(kind: str, groups: Mapping[str, list[str]], part_of: Mapping[str, str]) -> Iterator[Finding]:
    for name in sorted(groups):
        if len({part_of[video] for video in groups[name]}) > 1:
            yield _finding(kind, name, groups[name], part_of)


def _finding(kind: str, name: str, ids: list[str], part_of: Mapping[str, str]) -> Finding:
    videos = {part: [video for video in ids if part_of[video] == part] for part in PARTS}
    present = {part: names for part, names in videos.items() if names}
    return Finding(kind, name, list(present), present)
