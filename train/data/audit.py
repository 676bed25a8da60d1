"""The leak audit: people, source videos and files that are in more than one part of a split."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

from msgspec import Meta

from cache.schema import FAKE, PARTS, TEST, TRAIN, VideoRecord

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
    made from; a real video is its own source. Dropped videos are ignored.
    """
    used = [row for row, part in enumerate(parts) if part in PARTS]
    part_of = {records[row].id: parts[row] for row in used}
    people = _group((name, records[row].id) for row in used for name in records[row].people)
    sources = _group((_source(records[row]), records[row].id) for row in used)
    contents = _group((checksums[row], records[row].id) for row in used).values()
    duplicates = {ids[0]: ids for ids in contents if len(ids) > 1}
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
        {
            kind: len({name for one in some if TRAIN in one.parts for name in one.videos.get(TEST, ())})
            for kind, some in kinds.items()
        },
    )


def _cut(finding: Finding) -> Finding:
    videos = {part: names[:MOST_NAMES] for part, names in finding.videos.items()}
    return replace(finding, videos=videos, counts={part: len(names) for part, names in finding.videos.items()})


def summary(findings: Sequence[Finding]) -> str:
    """Returns the findings that cross parts as text for the terminal: one line per kind, with the first names."""
    crossing = [finding for finding in findings if len(finding.parts) > 1]
    lines = [f"  {title}: {_names(crossing, kind)}" for kind, title in _TITLES.items() if _names(crossing, kind)]
    if within := _names([finding for finding in findings if len(finding.parts) == 1], "duplicate"):
        lines.append(f"  identical videos within one part: {within}")
    return "\n".join(
        ["leak audit, found in more than one part:", *lines] if lines else ["leak audit: the parts share nothing."]
    )


_TITLES = {"identity": "people", "source": "source videos", "duplicate": "identical videos"}
SHOWN = 8
"""How many names of a kind the terminal shows; the run folder lists all."""
TWINS = 3
"""How many names of one set of equal videos the terminal shows."""


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
