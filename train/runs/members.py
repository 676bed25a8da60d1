"""An ensemble's members: where they lie now, and that they are still the runs that were joined."""

import hashlib
import json
from pathlib import Path
from typing import Any

from cache.commands import command
from cache.schema import UserError
from train.runs.folder import CONFIG, DONE, ENSEMBLE, is_finished
from train.runs.recipe import Done, read_object, read_recipe
from train.runs.saved_weights import checksums


def run_digest(folder: Path) -> str:
    """Returns 12 hex digits that tell the run in `folder` from others: of its configuration and its weights.

    The weights count by the checksums that were written with them. A UserError says what cannot be read.
    """
    weights = read_object(folder / DONE, Done).get("weights") or checksums(folder)
    values = json.dumps([read_recipe(folder), weights], sort_keys=True)
    return hashlib.sha256(values.encode()).hexdigest()[:12]


def read_joined(folder: Path) -> dict[str, Any]:
    """Returns what `read_recipe` does; the members of an ensemble are where they lie now.

    They are looked for where they lay, and beside the ensemble, should all have been moved together. One that is gone
    keeps its old place. A UserError names another run in the place of one, at any depth. Ensembles of earlier versions
    do not say which runs they were joined from, so theirs are taken as they are.
    """
    recipe = read_recipe(folder)
    joined: dict[str, Any] = recipe.get("ensemble") or {}
    digests, members = joined.get("digests"), joined.get("members", [])
    if recipe.get("kind") != ENSEMBLE or not digests:
        return recipe
    if len(digests) != len(members):
        raise UserError(f"{folder / CONFIG} has {len(digests)} digests of {len(members)} members; join the runs again.")
    places = [str(_find(folder, Path(member), digest)) for member, digest in zip(members, digests, strict=True)]
    return recipe | {"ensemble": joined | {"members": places}}


def _find(folder: Path, member: Path, digest: str) -> Path:
    """Returns where the `member` of the ensemble in `folder` lies; a UserError if another run is there instead."""
    places = dict.fromkeys((member, folder.resolve().parent / member.name))
    found = {place: run_digest(place) for place in places if is_finished(place)}
    for place, its_digest in found.items():
        if its_digest == digest:
            read_joined(place)  # a member's own members
            return place
    for place, its_digest in found.items():
        raise UserError(
            f"{folder} was joined from the run {digest} in {member}, and in {place} there is another one now, "
            f"{its_digest}; put the first back, or join again with {command('ensemble', members='...')}."
        )
    return member
