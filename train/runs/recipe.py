"""`config.json` of a run: what may stand in it. It is read here and nowhere else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from base.errors import UserError
from base.outside.content import NO_FILE, WrongContent, read_json
from base.outside.values import Between, PathText, WrongValue, parse
from cache.profile import Profile, Tap, profile_of
from cache.store import Origin
from train.runs.folder import CONFIG, require_finished
from train.runs.replay import Replay

MOST_FEATURES = 16_384
"""Numbers in the features of one frame; the widest backbone has 2048."""


@dataclass(frozen=True)
class Done:
    """What `run.json` holds. `weights` has the checksum of each weights file; runs made before have none."""

    created: str
    seconds: Annotated[float, Between(0, 1e12)] | None = None
    weights: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Members:
    """An ensemble's members, which runs they were (earlier versions do not say), and how their probabilities mix."""

    kind: str
    members: list[PathText] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    weights: list[Annotated[float, Between(-1e6, 1e6)]] = field(default_factory=list)
    intercept: Annotated[float, Between(-1e6, 1e6)] = 0.0


@dataclass(frozen=True)
class _Profile:
    """What a report shows of a profile. Who judges by it reads the settings strictly, by `cache.profile`."""

    backbone: str = ""
    weights: str = ""
    taps: list[Tap] = field(default_factory=list)
    crops: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Recipe:
    """The entries that have a meaning; any others are only shown."""

    config: dict[str, Any]
    profile: _Profile
    fingerprint: str
    versions: dict[str, str]
    kind: str | None = None
    command: str | None = None
    about: str = ""
    source: str = ""
    features: list[PathText] | str | None = None
    origin: Origin = Origin()
    head: Any = None
    size: Annotated[int, Between(1, MOST_FEATURES)] | None = None
    network: Any = None
    ensemble: _Members | None = None
    replay: Replay | None = None


def read_recipe(folder: Path) -> dict[str, Any]:
    """Returns the values of the run's `config.json`, of the types of its schema; a UserError says what is wrong."""
    require_finished(folder)
    return read_object(folder / CONFIG, _Recipe)


def read_profile(folder: Path, recipe: Mapping[str, Any]) -> Profile:
    """Returns the profile in the run's `recipe`; a UserError says what is wrong with it."""
    try:
        return profile_of(recipe["profile"])
    except WrongValue as error:
        raise UserError(f"{folder / CONFIG}: its profile {error}; train the run again to write it.") from None


def read_object(path: Path, schema: type) -> dict[str, Any]:
    """Returns the object in the JSON file `path`, whose values are those of the dataclass `schema`, and maybe others.

    A UserError says what is missing or wrong.
    """
    try:
        values = read_json(path)
        parse(schema, values, extra=True)
    except NO_FILE:
        raise UserError(f"{path} is missing; train the run again to write it.") from None
    except WrongContent as error:
        raise UserError(f"{path} cannot be read as JSON ({error}); train the run again to write it.") from None
    except WrongValue as error:
        raise UserError(f"{path} {error}; train the run again to write it.") from None
    return values
