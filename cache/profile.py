"""Profiles: exactly the settings that change the numbers, and the fingerprint made from them.

Batch size, workers, paths and engine are not in a profile: they change the time that extraction takes, not its result.
If a change of code makes the same settings give other numbers, raise that profile's `version`. The defaults here are
also those of the flags.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from cache.schema import CROP_SIZE, FRAMES, UserError


@dataclass(frozen=True)
class CropProfile:
    """How twelve crops are made from a video. `margin` is added on each edge of the face box, in sides of the box."""

    sampling: str = "uniform"
    detector: str = "yunet"
    detector_file: str = ""
    margin: float = 0.3
    frames: int = FRAMES
    size: int = CROP_SIZE
    no_face: str = "full_frame"
    version: int = 4


@dataclass(frozen=True)
class FeatureProfile:
    """How features are made from crops. `weights` is "imagenet", "random:<seed>" or "sha256:<hash of the file>"."""

    crops: CropProfile
    backbone: str = "resnet50"
    weights: str = "imagenet"
    precision: str = "float32"
    version: int = 1


Profile = CropProfile | FeatureProfile


def crops_of(profile: Profile) -> CropProfile:
    """Returns the crop profile in `profile`, which may be one itself."""
    return profile.crops if isinstance(profile, FeatureProfile) else profile


def canonical_json(profile: Profile) -> str:
    """Returns `profile` as JSON with sorted keys, no spaces and shortest floats: equal profiles give equal text."""
    return json.dumps(dataclasses.asdict(profile), sort_keys=True, separators=(",", ":"), allow_nan=False)


def fingerprint(profile: Profile) -> str:
    """Returns the 12 hex digits that identify `profile`."""
    return hashlib.sha256(canonical_json(profile).encode()).hexdigest()[:12]


def parse_profile(text: str, where: str) -> Profile:
    """Returns the profile in the JSON `text`; a UserError says that `where` holds none."""
    try:
        values = json.loads(text)
        if "crops" in values:
            return FeatureProfile(**{**values, "crops": CropProfile(**values["crops"])})
        return CropProfile(**values)
    except (ValueError, TypeError) as error:
        raise UserError(f"{where} holds no profile of this version ({error}); extract into a new folder.") from None


def differences(actual: Profile, wanted: Profile) -> str:
    """Returns the settings that differ, as `margin=0.3 instead of margin=0.0, ...`."""
    left, right = _flat(dataclasses.asdict(actual)), _flat(dataclasses.asdict(wanted))
    names = sorted(name for name in left.keys() | right.keys() if left.get(name) != right.get(name))
    return ", ".join(f"{name}={left.get(name)} instead of {name}={right.get(name)}" for name in names)


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    nested = values.pop("crops", {})
    return values | {f"crops.{name}": value for name, value in nested.items()} if nested else values
