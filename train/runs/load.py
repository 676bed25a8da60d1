"""A run's network brought back from its folder.

It is rebuilt from `config.json` and only numbers are loaded into it: no pickle, no code out of a file (CVE-2025-9905).
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from base.errors import UserError
from base.keras_start import start_keras
from base.outside.content import WrongContent, checksum, require_regular
from cache.profile import FeatureProfile, Profile, crops_of, differences, network_of
from cache.weights import WrongWeights, load_weights
from train.heads.architectures import HeadConfig, build_head, require_buildable, weight_shapes
from train.runs.folder import BACKBONE_WEIGHTS, CONFIG, DONE, WEIGHTS
from train.runs.recipe import Done, RunConfig, read_config, read_object
from train.runs.replay import Replay

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Run:
    """A finished run of a head: its folder, its `config`, and the features and head that this names."""

    folder: Path
    config: RunConfig[Profile]
    profile: FeatureProfile
    """How the features are made; of those that another program made, there is no such run."""
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
        named = self.config.origin.weights or "imagenet"
        return str(self.folder / named) if named == BACKBONE_WEIGHTS else named


def read_run(folder: Path) -> Run:
    """Returns the run of a head in `folder`; a UserError says why it is none."""
    return run_of(folder, read_config(folder))


def run_of(folder: Path, config: RunConfig[Profile]) -> Run:
    """Returns the run of a head in `folder`, whose `config` was read; a UserError says why it is none."""
    if not isinstance(config.profile, FeatureProfile):
        crops_of(config.profile)  # refuses features that nothing here can make
        raise UserError(f"{folder} judges crops and has no head; name a run of train or finetune.")
    return Run(folder, config, config.profile, *_head_of(folder, config))


def _head_of(folder: Path, config: RunConfig[Profile]) -> tuple[HeadConfig, int]:
    path, head, size = folder / CONFIG, config.head, config.size
    if head is None or size is None:
        raise UserError(f"{path} has no {'feature size' if head else 'head'}; train the run again.")
    try:
        require_buildable(head)
    except UserError as error:
        raise UserError(f"{path} describes no head that this version knows ({error}); train the run again.") from None
    return head, size


def load_head(run: Run, profile: FeatureProfile) -> "keras.Model":
    """Returns the run's head, for features made with `profile`; a UserError where it was trained on others."""
    return load_head_in(run.folder, run.config, profile)


def load_head_in(folder: Path, config: RunConfig[Profile], profile: Profile) -> "keras.Model":
    """Returns the same of the run in `folder`, also for features that another program made."""
    if network_of(config.profile) != network_of(profile):
        raise UserError(
            f"{folder} was trained on features made with {differences(config.profile, profile)}; "
            "use a run of these features, or extract the ones that it was trained on."
        )
    run = Run(folder, config, config.profile, *_head_of(folder, config))  # pyright: ignore[reportArgumentType]
    require_head(run)
    return build_and_load(run)


def build_and_load(run: Run) -> "keras.Model":
    """Returns the run's head, after `require_head`; a UserError where it judges otherwise than when it was saved."""
    head = build_head(run.head, run.size)
    load_saved(head, run.folder / WEIGHTS, run.config.replay)
    return head


def require_head(run: Run) -> None:
    """Raises a UserError if the file of the head's weights is not what was written; takes no memory for a network."""
    start_keras()
    require_intact(run.folder / WEIGHTS, 4 * sum(map(math.prod, weight_shapes(run.head, run.size))))


def require_intact(path: Path, least: int) -> None:
    """Raises a UserError unless `path` in a run folder is the weights file that was written, of `least` bytes or more.

    So a network that no file of this size can fill is not built. Runs made before have no checksum; whoever loads the
    weights looks at what is in the file.
    """
    known = read_object(path.with_name(DONE), Done).weights.get(path.name)
    try:
        if (size := require_regular(path)) < least:
            raise WrongWeights(f"it has {size:,} bytes, and the network of its config.json needs {least:,} or more")
        if known not in (None, checksum(path)):
            raise WrongWeights("its bytes are not those that were written")
    except (WrongWeights, WrongContent, OSError) as error:
        raise _wrong(path, error) from None


def load_saved(network: "keras.Model", path: Path, replay: Replay | None) -> None:
    """Loads the weights in `path` into `network`, which has to give the clip of `replay` its probability again.

    `replay` is what config.json says of it, None in runs made before. A UserError says what does not hold.
    """
    try:
        load_weights(network, path)
        if replay is not None:
            _require_same(network, replay)
    except (WrongWeights, OSError) as error:
        raise _wrong(path, error) from None


def _require_same(network: "keras.Model", replay: Replay) -> None:
    try:
        clip = replay.clip(regions=False)
        inputs = {one.name: tuple(one.shape[1:]) for one in network.inputs}
        if inputs != {name: values.shape[1:] for name, values in clip.items()}:
            raise ValueError("it is a clip of another network")
    except ValueError as error:
        raise WrongWeights(f"the clip to try it on is damaged: {error}") from None
    # Compiled, for the next clip needs that too.
    if damage := replay.damage(lambda inputs: np.asarray(network.predict_on_batch(dict(inputs))), clip):
        raise WrongWeights(damage)


def _wrong(path: Path, error: Exception) -> UserError:
    return UserError(f"{path} does not hold the weights of the run ({error}); train it again.")
