"""Run folders: what training leaves, and how a head is brought back from it.

A run folder is written whole beside its final name and then renamed, so one that is there is finished. A head is
rebuilt from `config.json` and only numbers are loaded into it: no pickle, no code out of a file (CVE-2025-9905).
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cache.files import TEMPORARY, sync, write_text
from cache.profile import FeatureProfile, Profile, differences, fingerprint, parse_profile
from cache.schema import UserError
from cache.weights import WrongWeights, load_weights
from train.heads.architectures import HeadConfig, build_head, parse_head

if TYPE_CHECKING:
    import keras

DONE = "run.json"
CONFIG = "config.json"
WEIGHTS = "head.weights.h5"
BACKBONE_WEIGHTS = "backbone.weights.h5"
"""The tuned backbone of a run that has one, as `extract.backbones.networks.build_backbone` takes it."""
CROPS, ENSEMBLE = "crops", "ensemble"
"""The `kind` in the config of a run that judges crops, itself or by its members; a run on features has none."""
PREDICTION_COLUMNS = ("id", "label", "part", "probability", "coverage")


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, the values of its `config.json`, and what these say of features and head."""

    folder: Path
    config: dict[str, Any]
    profile: FeatureProfile
    head: HeadConfig
    size: int
    """Numbers in the features of one frame."""

    @property
    def weights(self) -> str:
        """The backbone's: "imagenet", "random", or the path of a file; a tuned one moves with the run folder."""
        named = str(self.config.get("origin", {}).get("weights", "imagenet"))
        return str(self.folder / named) if named == BACKBONE_WEIGHTS else named


def free_name(runs: Path, wished: str | None, otherwise: str) -> str:
    """Returns the name of a new run below `runs`: `wished`, refused if taken, or `otherwise` with a free number."""
    if wished is None:
        numbered = (otherwise if number == 1 else f"{otherwise}-{number}" for number in range(1, 1_000_000))
        return next(name for name in numbered if not (runs / name).exists())
    if Path(wished).name != wished or wished.startswith("."):
        raise UserError(f"--name {wished!r} is not the name of a folder; give one such as lstm-1.")
    if (runs / wished).exists():
        raise UserError(f"{runs / wished} is there already; choose another --name, or remove it.")
    return wished


def write_run(folder: Path, fill: Callable[[Path], None]) -> Path:
    """Lets `fill` write the files of a run or of an export, then makes them `folder` in one step; returns `folder`."""
    temporary = folder.with_name(f"{TEMPORARY}{os.getpid()}-{folder.name}")
    try:
        temporary.mkdir(parents=True)
        fill(temporary)
        temporary.rename(folder)
        sync(folder.parent)
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror or error}); free the disk or the name.") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def write_json(path: Path, values: object) -> Path:
    """Writes `values` as JSON, paths as text, whole or not at all; returns `path`."""
    return write_text(path, json.dumps(values, indent=1, allow_nan=False, default=str) + "\n")


def save_head(head: "keras.Model", folder: Path, weights: str = WEIGHTS) -> None:
    """Writes the file `weights`, and the whole network as `model.keras` and `model.h5` for others to load."""
    import logging

    head.save_weights(folder / weights)
    head.save(folder / "model.keras")
    # Keras advises against HDF5 at each save; here it is what was asked for.
    logger = logging.getLogger("absl")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        head.save(folder / "model.h5")
    finally:
        logger.setLevel(before)


def latest(runs: Path) -> Path:
    """Returns the folder of the run below `runs` that was finished last; a UserError if there is none."""
    finished = [path for path in runs.glob(f"*/{DONE}") if not path.parent.name.startswith(TEMPORARY)]
    done = [path for path in finished if not path.parent.is_symlink()]
    if not done:
        raise UserError(f"there is no finished run below {runs}/; run make train first, or name a run folder.")
    return max(done, key=lambda path: path.stat().st_mtime_ns).parent


def require_finished(folder: Path) -> None:
    """Raises a UserError if `folder` holds no finished run."""
    if not (folder / DONE).is_file():
        raise UserError(f"{folder} holds no finished run (there is no {DONE}); run make train, or name another run.")


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


def read_run(folder: Path) -> Run:
    """Returns the run of a head in `folder`; a UserError says what keeps it from being one."""
    config, profile = read_config(folder)
    if not isinstance(profile, FeatureProfile):
        raise UserError(f"{folder} judges crops and has no head; name a run of make train or make finetune.")
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
