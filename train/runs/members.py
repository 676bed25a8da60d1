"""An ensemble's members: where they lie now, and that they are still the runs that were joined."""

import contextlib
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from base.commands import command
from base.errors import Unreadable, UserError
from cache.profile import Profile
from train.runs.folder import CONFIG, DONE, ENSEMBLE, is_finished
from train.runs.recipe import Done, RunConfig, read_object, read_recipe
from train.runs.saved_weights import checksums

MOST_NESTED = 3
"""Ensembles of ensembles of ensembles are judged, and no deeper ones."""


def run_digest(folder: Path) -> str:
    """Returns 12 hex digits that tell the run in `folder` from others: of its configuration and its weights.

    The weights count by the checksums that were written with them. A UserError says what cannot be read.
    """
    weights = read_object(folder / DONE, Done).weights or checksums(folder)
    # What the file says to the letter, so that another version, which knows more or fewer entries, finds the same.
    values = json.dumps([read_object(folder / CONFIG, dict[str, Any]), weights], sort_keys=True)
    return hashlib.sha256(values.encode()).hexdigest()[:12]


def read_config(folder: Path, depth: int = 0) -> RunConfig[Profile]:
    """Returns what `read_recipe` does; the members of an ensemble are where they lie now.

    They are looked for where they lay, and beside the ensemble, should all have been moved together. One that is gone
    keeps its old place. A UserError names another run in the place of one, at any depth. Ensembles of earlier versions
    do not say which runs they were joined from, so theirs are taken as they are.
    """
    config = read_recipe(folder)
    joined = config.ensemble
    if config.kind != ENSEMBLE or not joined or not joined.digests or depth > MOST_NESTED:
        return config  # whoever judges by one that is too deep refuses it
    members, digests = joined.members, joined.digests
    if len(digests) != len(members):
        raise UserError(f"{folder / CONFIG} has {len(digests)} digests of {len(members)} members; join the runs again.")
    pairs = list(zip(members, digests, strict=True))
    places = {pair: _find(folder, *pair, depth) for pair in dict.fromkeys(pairs)}
    return replace(config, ensemble=replace(joined, members=[places[pair] for pair in pairs]))


def _find(folder: Path, member: Path, digest: str, depth: int) -> Path:
    """Returns where the `member` of the ensemble in `folder` lies; a UserError if another run is there instead."""
    places = dict.fromkeys((member, folder.resolve().parent / member.name))
    found: dict[Path, str] = {}
    for place in places:
        with contextlib.suppress(Unreadable):  # it may lie in the other; else whoever opens the member says so
            if is_finished(place):
                found[place] = run_digest(place)
    for place, its_digest in found.items():
        if its_digest == digest:
            read_config(place, depth + 1)  # a member's own members
            return place
    for place, its_digest in found.items():
        raise UserError(
            f"{folder} was joined from the run {digest} in {member}, and in {place} there is another one now, "
            f"{its_digest}; put the first back, or join again with {command('ensemble', members='...')}."
        )
    return member
