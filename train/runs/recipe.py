"""`config.json` of a run as a type: every stage that makes a run writes one, and whoever opens a run is given it.

That of an ensemble names its members: where they lie now, and only if they are still the runs that were joined.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

from msgspec import Meta

from base.commands import command
from base.errors import Unreadable, UserError
from base.outside.content import checksum
from base.outside.values import explained, parse, read_json, refuse_unknown
from cache.profile import MOST_FEATURES, CropProfile, FeatureProfile, ForeignProfile, Profile, fingerprint, profile_type
from cache.store import Origin
from train.heads.architectures import HeadConfig
from train.runs.folder import AGAIN, CONFIG, CROPS, DONE, ENSEMBLE, NEIGHBOURS, is_finished, require_finished
from train.runs.replay import Replay

MOST_WIDTH = 256
MOST_MEMBERS = 1000
MOST_NESTED = 3
"""Ensembles of ensembles of ensembles are judged, and no deeper ones."""
EnsembleKind = Literal["average", "weighted", "stacked"]
T = TypeVar("T")
Judged = TypeVar("Judged", bound=Profile, covariant=True)


@dataclass(frozen=True)
class Done:
    """What `run.json` holds. `weights` has the checksum of each weights file; runs made before have none."""

    created: str
    seconds: Annotated[float, Meta(ge=0, le=1e12)] | None = None
    weights: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cnn3dShape:
    """The shape of the 3D network: `width` channels in the first stage, up to four times as many in the last."""

    width: Annotated[int, Meta(ge=1, le=MOST_WIDTH)] = 16
    dropout: Annotated[float, Meta(ge=0, lt=1)] = 0.3


@dataclass(frozen=True)
class Joined:
    """How an ensemble's members mix, where they are, and which runs they were; earlier versions do not say the last."""

    kind: EnsembleKind
    weights: list[Annotated[float, Meta(ge=-1e6, le=1e6)]] = field(default_factory=list)
    intercept: Annotated[float, Meta(ge=-1e6, le=1e6)] = 0.0
    members: list[Path] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class DataSet:
    """One of several data sets of a run: its name, which begins its clips' ids, its features and their fingerprint."""

    name: str
    features: Path
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class RunConfig(Generic[Judged]):
    """Everything needed to repeat a run and to rebuild its network.

    `config` are the settings of the command that made it, `profile` says what it judges, `features` where the features
    of its clips lay, or `data_sets` where those of several did, `size` how many numbers those of one frame are,
    `source` and `tuned_from` which run and backbone it started from. `head`, `network` or `ensemble` is what judges;
    `kind` is that of a run with one of the last two, or by the published recipe. A field without a value has no entry
    in the file.
    """

    kind: str | None = None
    command: str | None = None
    about: str = ""
    source: str = ""
    config: dict[str, Any]
    features: list[Path] | str | None = None
    data_sets: list[DataSet] = field(default_factory=list)
    head: HeadConfig | None = None
    size: Annotated[int, Meta(ge=1, le=MOST_FEATURES)] | None = None
    network: Cnn3dShape | None = None
    ensemble: Joined | None = None
    tuned_from: str = ""
    profile: Judged
    fingerprint: str
    origin: Origin = Origin()
    replay: Replay | None = None
    baseline: Any = None
    trial: Any = None
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def features_folders(self) -> list[Path]:
        """The features folders: one, one of each data set, or those of an ensemble's members."""
        if isinstance(self.features, str):
            # Ensembles used to write their folders as one text.
            joined = self.kind == ENSEMBLE and not os.path.isdir(self.features)  # noqa: PTH112 - a name that cannot be is none
            return [Path(name) for name in (self.features.split(" and ") if joined else [self.features]) if name]
        return self.features or [one.features for one in self.data_sets]

    @property
    def folders_of_clips(self) -> list[Path]:
        """A features folder of each data set: an ensemble's members may have several, made of the same crops."""
        return [one.features for one in self.data_sets] or self.features_folders[:1]

    @property
    def members(self) -> list[Path]:
        """The folders of an ensemble's members; none of another run."""
        return self.ensemble.members if self.kind == ENSEMBLE and self.ensemble else []

    @property
    def backbone(self) -> str:
        """The name of the backbone, "" for a run on crops."""
        return "" if isinstance(self.profile, CropProfile) else self.profile.backbone

    @property
    def data_set(self) -> str:
        """The name of the data set that the run was trained on, or of several; "" if that is not known."""
        if self.data_sets:
            return ", ".join(one.name for one in self.data_sets)
        return self.features_folders[0].parent.name if self.features_folders else Path(self.origin.data).name

    def entries(self) -> dict[str, Any]:
        """Returns the object that `CONFIG` holds."""
        own = [one.name for one in dataclasses.fields(self) if getattr(self, one.name) not in (one.default, [])]
        values = dataclasses.asdict(self) | {"origin": self.origin.entries()}
        return json.loads(json.dumps({name: values[name] for name in own}, default=str))


def read_recipe(folder: Path) -> RunConfig[Profile]:
    """Returns what the run in `folder` says of itself; a UserError says what is missing, wrong or does not belong."""
    require_finished(folder)
    path = folder / CONFIG
    values = read_object(path, dict[str, Any])
    kind = profile_type(values.get("profile"))
    with explained(path, "JSON", AGAIN):
        config = parse(RunConfig[kind], values)
        for part in ("profile", "head", "network"):
            refuse_unknown(getattr(config, part), values.get(part), part)
    wrong = (kind is FeatureProfile) == (config.kind in (CROPS, ENSEMBLE)) and kind is not ForeignProfile
    if wrong or fingerprint(config.profile) != config.fingerprint:
        raise UserError(
            f"{path} has a profile that does not belong to it (fingerprint {config.fingerprint}); train the run again."
        )
    return config


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
    found: dict[Path, str] = {}
    for place in dict.fromkeys((member, folder.resolve().parent / member.name)):
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


def read_joined(folder: Path, config: RunConfig[Profile], depth: int = 1) -> Joined:
    """Returns how the ensemble in `folder`, whose `config` was read, joins its members.

    A UserError says that it has none, or itself or too many others as members of its members.
    """
    joined = config.ensemble
    if joined is None or not 1 <= len(joined.members) == len(joined.weights) <= MOST_MEMBERS:
        raise UserError(f"{folder / CONFIG} does not describe an ensemble; join the runs again.")
    if depth > MOST_NESTED:
        raise UserError(f"{folder} is in an ensemble of ensembles of ensembles, maybe of itself; join its runs again.")
    for member in dict.fromkeys(joined.members):
        if (its_config := read_config(member)).kind == ENSEMBLE:
            read_joined(member, its_config, depth + 1)
    return joined


def run_digest(folder: Path) -> str:
    """Returns 12 hex digits that tell the run in `folder` from others: of its configuration and its weights.

    The weights count by the checksums that were written with them. A UserError says what cannot be read.
    """
    weights = read_object(folder / DONE, Done).weights or checksums(folder)
    # What the file says to the letter, so that another version, which knows more or fewer entries, finds the same.
    values = json.dumps([read_object(folder / CONFIG, dict[str, Any]), weights], sort_keys=True)
    return hashlib.sha256(values.encode()).hexdigest()[:12]


def checksums(folder: Path) -> dict[str, str]:
    """Returns the checksum of each file of numbers that verdicts rest on in `folder`, by name."""
    files = [*sorted(folder.glob("*.weights.h5")), folder / NEIGHBOURS]
    return {path.name: checksum(path) for path in files if path.is_file()}


def read_object(path: Path, kind: type[T]) -> T:
    """Returns the JSON file `path` of a run as `kind`; a UserError says what is missing or wrong."""
    with explained(path, "JSON", AGAIN):
        return parse(kind, read_json(path))
