"""`config.json` of a run as a type: every stage that makes a run writes one, and whoever opens a run is given it."""

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

from msgspec import Meta

from base.errors import UserError
from base.outside.content import NO_FILE, WrongContent, read_json
from base.outside.values import WrongValue, parse, refuse_unknown
from cache.profile import CropProfile, FeatureProfile, Profile, fingerprint, profile_type
from cache.store import Origin
from train.heads.architectures import HeadConfig
from train.runs.folder import CONFIG, CROPS, ENSEMBLE, require_finished
from train.runs.replay import Replay

MOST_FEATURES = 16_384
"""Numbers in the features of one frame; the widest backbone has 2048."""
MOST_WIDTH = 256
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


@dataclass(frozen=True, kw_only=True)
class RunConfig(Generic[Judged]):
    """Everything needed to repeat a run and to rebuild its network.

    `config` are the settings of the command that made it, `profile` says what it judges, `features` where the features
    of its clips lay, `size` how many numbers those of one frame are, `source` and `tuned_from` which run and backbone
    it started from. `head`, `network` or `ensemble` is what judges; `kind` is that of a run with one of the last two,
    or by the published recipe. A field without a value has no entry in the file.
    """

    kind: str | None = None
    command: str | None = None
    about: str = ""
    source: str = ""
    config: dict[str, Any]
    features: list[Path] | str | None = None
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
        """The features folders: one, or those of an ensemble's members."""
        if isinstance(self.features, str):
            # Ensembles used to write their folders as one text.
            joined = self.kind == ENSEMBLE and not os.path.isdir(self.features)  # noqa: PTH112 - a name that cannot be is none
            return [Path(name) for name in (self.features.split(" and ") if joined else [self.features]) if name]
        return self.features or []

    @property
    def members(self) -> list[Path]:
        """The folders of an ensemble's members; none of another run."""
        return self.ensemble.members if self.kind == ENSEMBLE and self.ensemble else []

    @property
    def backbone(self) -> str:
        """The name of the backbone, "" for a run on crops."""
        return self.profile.backbone if isinstance(self.profile, FeatureProfile) else ""

    @property
    def data_set(self) -> str:
        """The name of the data set that the run was trained on, "" if that is not known."""
        return self.features_folders[0].parent.name if self.features_folders else Path(self.origin.data).name

    def entries(self) -> dict[str, Any]:
        """Returns the object that `CONFIG` holds."""
        own = [one.name for one in dataclasses.fields(self) if getattr(self, one.name) != one.default]
        values = dataclasses.asdict(self) | {"origin": self.origin.entries()}
        return json.loads(json.dumps({name: values[name] for name in own}, default=str))


def read_recipe(folder: Path) -> RunConfig[Profile]:
    """Returns what the run in `folder` says of itself; a UserError says what is missing, wrong or does not belong."""
    require_finished(folder)
    path = folder / CONFIG
    values = read_object(path, dict[str, Any])
    of_features = profile_type(values.get("profile")) is FeatureProfile
    with _naming(path):
        config = parse(RunConfig[FeatureProfile] if of_features else RunConfig[CropProfile], values)
        for part in ("profile", "head", "network"):
            refuse_unknown(getattr(config, part), values.get(part), part)
    if of_features == (config.kind in (CROPS, ENSEMBLE)) or fingerprint(config.profile) != config.fingerprint:
        raise UserError(
            f"{path} has a profile that does not belong to it (fingerprint {config.fingerprint}); train the run again."
        )
    return config


def read_object(path: Path, kind: type[T]) -> T:
    """Returns the JSON file `path` of a run as `kind`; a UserError says what is missing or wrong."""
    with _naming(path):
        return parse(kind, read_json(path))


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turns what is raised about the content of `path` into a UserError."""
    try:
        yield
    except NO_FILE:
        raise UserError(f"{path} is missing; train the run again to write it.") from None
    except WrongContent as error:
        raise UserError(f"{path} cannot be read as JSON ({error}); train the run again to write it.") from None
    except WrongValue as error:
        raise UserError(f"{path} {error}; train the run again to write it.") from None
