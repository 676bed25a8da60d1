"""Data sets whose folders say everything: each is a table of branches, and one function reads them all."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cache.schema import VideoRecord
from extract.readers.dataset import make_record
from extract.readers.found import Found

ANY = r"(?:[^/]+/)*"
"""Any folders in between, none included."""
NAME = r"[^/]+"
HOLDERS = frozenset({"videos", "frames", "images"})
"""Folders that say what kind of files they hold, and nothing of the clips."""
ASIDE = frozenset({"masks", "mask", "landmarks"})
"""Folders beside the clips, as FaceForensics++ and DeepfakeBench have them, with pictures that show no face."""


@dataclass(frozen=True)
class Branch:
    """Clips of `label` whose path below the data set's folder, without a file's suffix, fits the expression `path`.

    The case of letters makes no difference. The others are what is known of such a clip, with the groups of `path` in
    braces; "" where a group that they name is not there.
    """

    label: int
    path: str
    target: str = "{target}"
    donor: str = "{donor}"
    source: str = ""
    kind: str = "{kind}"
    part: str = "{part}"


def read_branches(
    found: Found, branches: Sequence[Branch], dropped: frozenset[str] = HOLDERS, only: str = ""
) -> list[VideoRecord]:
    """Returns the clips of `found` that fit one of `branches`, the first that they fit.

    The folders `dropped` are left out of an id, so that it stays the same whatever form a clip has. With `only`, a
    clip is read if the group `level` of its path is that.
    """
    expressions = [(branch, re.compile(branch.path, re.IGNORECASE)) for branch in branches]
    records = []
    for clip in found.clips:
        inside = clip.relative_to(found.base)
        path = inside.as_posix() if clip in found.numbered else inside.with_suffix("").as_posix()
        if ASIDE & {part.lower() for part in inside.parts}:
            continue
        for branch, expression in expressions:
            if match := expression.fullmatch(path):
                if not only or match["level"].lower() == only:
                    name = "/".join(part for part in inside.parts if part.lower() not in dropped)
                    records.append(_record(found.root, clip, name, branch, match))
                break
    return records


def _record(root: Path, clip: Path, name: str, branch: Branch, match: re.Match[str]) -> VideoRecord:
    groups = match.groupdict()
    details = {field: _filled(getattr(branch, field), groups) for field in ("target", "donor", "source", "part")}
    return make_record(root, clip, branch.label, name, kind=_kind(_filled(branch.kind, groups)), **details)


def _filled(template: str, groups: dict[str, str | None]) -> str:
    """Returns `template` with the `groups` that it names; "" if one of them is not there."""
    named = re.findall(r"\{(\w+)\}", template)
    return template.format(**groups) if all(groups.get(name) for name in named) else ""


def _kind(folders: str) -> str:
    """Returns the method that `folders` name, such as "FaceSwap/SimSwap", without those that name none."""
    parts = [part for part in folders.split("/") if part.lower() not in HOLDERS and not re.fullmatch(r"id\d+", part)]
    return "/".join(filter(None, parts))
