"""A run's network brought back from its folder.

It is rebuilt from `config.json` and only numbers are loaded into it: no pickle, no code out of a file (CVE-2025-9905).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from base.errors import UserError
from cache.profile import FeatureProfile, Profile, differences, fingerprint
from train.heads.architectures import HeadConfig, build_head, least_bytes, parse_head
from train.runs.folder import BACKBONE_WEIGHTS, CONFIG, CROPS, ENSEMBLE, WEIGHTS
from train.runs.members import read_joined
from train.runs.recipe import read_profile
from train.runs.saved_weights import load_saved, require_intact

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Run:
    """A finished run of a head: its folder, the values of its `config.json`, and the features and head they name."""

    folder: Path
    config: dict[str, Any]
    profile: FeatureProfile
    head: HeadConfig
    size: int
    """Numbers in the features of one frame."""

    @property
    def weights(self) -> str:
        """The backbone's: "imagenet", "random", or the path of a file. A tuned backbone lies in the run folder."""
        # The profile decides; where a file lay is a hint, followed only to a file that the profile has the hash of.
        word = self.profile.weights.partition(":")[0]
        if word in ("imagenet", "random"):
            return word
        named = self.config.get("origin", {}).get("weights", "imagenet")
        return str(self.folder / named) if named == BACKBONE_WEIGHTS else named


def read_config(folder: Path) -> tuple[dict[str, Any], Profile]:
    """Returns the config of the run in `folder` and the profile of what it judges; a UserError if it has none."""
    config = read_joined(folder)
    profile = read_profile(folder, config)
    path, named = folder / CONFIG, config["fingerprint"]
    if (
        isinstance(profile, FeatureProfile) == (config.get("kind") in (CROPS, ENSEMBLE))
        or fingerprint(profile) != named
    ):
        raise UserError(f"{path} has a profile that does not belong to it (fingerprint {named}); train the run again.")
    return config, profile


def features_folders(config: Mapping[str, Any]) -> list[Path]:
    """Returns the features folders that a run's `config` names: one, or those of an ensemble's members."""
    named = config.get("features")
    if isinstance(named, str):
        # Ensembles used to write their folders as one text.
        joined = config.get("kind") == ENSEMBLE and not os.path.isdir(named)  # noqa: PTH112 - a name that cannot be is none
        named = named.split(" and ") if joined else [named]
    return [Path(str(folder)) for folder in named if folder] if isinstance(named, list) else []


def data_set_name(config: Mapping[str, Any]) -> str:
    """Returns the name of the data set that a run's `config` was trained on, "" if it does not say."""
    features = features_folders(config)
    return features[0].parent.name if features else Path(config.get("origin", {}).get("data", "")).name


def read_run(folder: Path) -> Run:
    """Returns the run of a head in `folder`; a UserError says why it is none."""
    config, profile = read_config(folder)
    if not isinstance(profile, FeatureProfile):
        raise UserError(f"{folder} judges crops and has no head; name a run of train or finetune.")
    path, size = folder / CONFIG, config.get("size")
    head: Any = config.get("head")
    if size is None:
        raise UserError(f"{path} has no feature size ({size!r}); train the run again.")
    return Run(folder, config, profile, parse_head(head, str(path)), size)


def load_head(run: Run, profile: FeatureProfile) -> "keras.Model":
    """Returns the run's head, for features made with `profile`; a UserError where it was trained on others."""
    if run.profile != profile:
        raise UserError(
            f"{run.folder} was trained on features made with {differences(run.profile, profile)}; "
            "use a run of these features, or extract the ones that it was trained on."
        )
    require_head(run)
    head = build_head(run.head, run.size)
    load_saved(head, run.folder / WEIGHTS, run.config.get("replay"))
    return head


def require_head(run: Run) -> None:
    """Raises a UserError if the file of the head's weights is not what was written; builds no network."""
    require_intact(run.folder / WEIGHTS, least_bytes(run.head, run.size))
