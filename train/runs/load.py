"""A run's network brought back from its folder.

It is rebuilt from `config.json` and only numbers are loaded into it: no pickle, no code out of a file (CVE-2025-9905).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cache.profile import FeatureProfile, Profile, differences, fingerprint, parse_profile
from cache.schema import UserError
from cache.weights import WrongWeights, load_weights
from train.heads.architectures import HeadConfig, build_head, parse_head
from train.runs.folder import BACKBONE_WEIGHTS, CONFIG, CROPS, ENSEMBLE, WEIGHTS, require_finished

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
        named = str(self.config.get("origin", {}).get("weights", "imagenet"))
        return str(self.folder / named) if named == BACKBONE_WEIGHTS else named


def read_config(folder: Path) -> tuple[dict[str, Any], Profile]:
    """Returns the config of the run in `folder` and the profile of what it judges; a UserError if it has none."""
    require_finished(folder)
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        profile, named = parse_profile(json.dumps(config["profile"]), "its profile"), config["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError, UserError) as error:
        raise UserError(f"{path} does not describe a run ({error}); train the run again.") from None
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
        joined = config.get("kind") == ENSEMBLE and not Path(named).is_dir()
        named = named.split(" and ") if joined else [named]
    return [Path(str(folder)) for folder in named if folder] if isinstance(named, list) else []


def read_run(folder: Path) -> Run:
    """Returns the run of a head in `folder`; a UserError says why it is none."""
    config, profile = read_config(folder)
    if not isinstance(profile, FeatureProfile):
        raise UserError(f"{folder} judges crops and has no head; name a run of train or finetune.")
    path, size = folder / CONFIG, config.get("size")
    head: Any = config.get("head")
    if not isinstance(size, int) or size < 1:
        raise UserError(f"{path} has no feature size ({size!r}); train the run again.")
    return Run(folder, config, profile, parse_head(head, str(path)), size)


def load_head(run: Run, profile: FeatureProfile) -> "keras.Model":
    """Returns the run's head, for features made with `profile`; a UserError where it was trained on others."""
    if run.profile != profile:
        raise UserError(
            f"{run.folder} was trained on features made with {differences(run.profile, profile)}; "
            "use a run of these features, or extract the ones that it was trained on."
        )
    head = build_head(run.head, run.size)
    path = run.folder / WEIGHTS
    try:
        load_weights(head, path)
    except WrongWeights as error:
        raise UserError(f"{path} does not hold the weights of the run's head ({error}); train it again.") from None
    return head
