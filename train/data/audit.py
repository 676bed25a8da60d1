"""The leak audit: people, source videos and files that are in more than one part of a split."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cache.schema import FAKE, PARTS, VideoRecord

FindingKind = Literal["identity", "source", "duplicate"]


@dataclass(frozen=True)
class Finding:
    """Something that is in more than one part, or twice in one: `videos` holds the ids that show it, by part."""

    kind: FindingKind
    name: str
    parts: list[str]
    videos: dict[str, list[str]]


def audit(records: Sequence[VideoRecord], parts: Sequence[str], checksums: Sequence[str]) -> list[Finding]:
    """Returns what the parts share, by kind and name.

    That is each person, target or donor, in more than one part; each source video (of a fake; a real one is its own) in
    more than one; and each set of videos with equal `checksums` of their features, in one part or more. Dropped videos
    count for nothing.
    """
    used = [row for row, part in enumerate(parts) if part in PARTS]
    part_of = {records[row].id: parts[row] for row in used}
    people = _group((name, records[row].id) for row in used for name in records[row].people)
    sources = _group((_source(records[row]), records[row].id) for row in used)
    contents = _group((checksums[row], records[row].id) for row in used).values()
    doubles = {ids[0]: ids for ids in contents if len(ids) > 1}
    return [
        *_crossing("identity", people, part_of),
        *_crossing("source", sources, part_of),
        *(_finding("duplicate", name, doubles[name], part_of) for name in sorted(doubles)),
    ]


def summary(findings: Sequence[Finding]) -> str:
    """Returns what is in more than one part as text for the terminal: a line a kind, with the first names."""
    crossing = [finding for finding in findings if len(finding.parts) > 1]
    lines = [f"  {title}: {_names(crossing, kind)}" for kind, title in _TITLES.items() if _names(crossing, kind)]
    if within := len(findings) - len(crossing):
        lines.append(f"  sets of equal videos within one part: {within}")
    return "\n".join(["leak audit, in more than one part:", *lines] if lines else ["leak audit: nothing is shared."])


_TITLES = {"identity": "people", "source": "source videos", "duplicate": "equal videos, by the first of each"}
SHOWN = 8
"""Names of a kind that the terminal gets; the run folder has them all."""


def _names(findings: Sequence[Finding], kind: str) -> str:
    names = [finding.name for finding in findings if finding.kind == kind]
    more = f", and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{len(names)} ({', '.join(names[:SHOWN])}{more})" if names else ""


def _source(record: VideoRecord) -> str:
    return record.source if record.label == FAKE else record.id


def _group(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Returns the ids by name, in order; what has no name is left out."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name, video in pairs:
        if name:
            groups[name].append(video)
    return groups


def _crossing(kind: FindingKind, groups: Mapping[str, list[str]], part_of: Mapping[str, str]) -> Iterator[Finding]:
    for name in sorted(groups):
        if len({part_of[video] for video in groups[name]}) > 1:
            yield _finding(kind, name, groups[name], part_of)


def _finding(kind: FindingKind, name: str, ids: list[str], part_of: Mapping[str, str]) -> Finding:
    videos = {part: [video for video in ids if part_of[video] == part] for part in PARTS}
    present = {part: found for part, found in videos.items() if found}
    return Finding(kind, name, list(present), present)
