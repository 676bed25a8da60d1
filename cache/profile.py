"""Profiles: exactly the settings that change the numbers, and the fingerprint that keeps two of them apart.

Batch size, workers, paths and engine are not in a profile: they change how long extraction takes, not what it finds.
Whoever changes code so that the same settings give other numbers raises the integer version beside it.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from cache.schema import CROP_SIZE, FRAMES, UserError


@dataclass(frozen=True)
class CropProfile:
    """How twelve crops are made from a video. `margin` is in sides of the face box, added on each of its edges."""

    sampling: str = "uniform"
    detector: str = "haar"
    detector_file: str = ""
    margin: float = 0.3
    frames: int = FRAMES
    size: int = CROP_SIZE
    no_face: str = "full_frame"
    version: int = 3


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
    """Returns how the crops were made that `profile` is of, or is built on."""
    return profile.crops if isinstance(profile, FeatureProfile) else profile


def canonical_json(profile: Profile) -> str:
    """Returns the one JSON text of `profile`: sorted keys, no spaces, shortest floats."""
    return json.dumps(dataclasses.asdict(profile), sort_keys=True, separators=(",", ":"), allow_nan=False)


def fingerprint(profile: Profile) -> str:
    """Returns the 12 hex digits that name `profile`."""
    return hashlib.sha256(canonical_json(profile).encode()).hexdigest()[:12]


def parse_profile(text: str, where: str) -> Profile:
    """Returns the profile whose canonical JSON is `text`; a UserError about anything else calls it `where`."""
    try:
        values = json.loads(text)
        if "crops" in values:
            return FeatureProfile(**{**values, "crops": CropProfile(**values["crops"])})
        return CropProfile(**values)
    except (ValueError, TypeError) as error:
        raise UserError(f"{where} holds no profile of this version ({error}); extract into a new folder.") from None


def differences(found: Profile, asked: Profile) -> str:
    """Returns the settings in which two profiles differ, as `margin=0.3 instead of margin=0.0, ...`."""
    left, right = _flat(dataclasses.asdict(found)), _flat(dataclasses.asdict(asked))
    names = sorted(name for name in left.keys() | right.keys() if left.get(name) != right.get(name))
    return ", ".join(f"{name}={left.get(name)} instead of {name}={right.get(name)}" for name in names)


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    nested = values.pop("crops", {})
    return values | {f"crops.{name}": value for name, value in nested.items()} if nested else values
