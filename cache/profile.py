"""Profiles: exactly the settings that change the numbers, and the fingerprint made from them.

Batch size, workers, paths and engine are not in a profile: they change the time that extraction takes, not its result.
If a change of code makes the same settings give other numbers, raise that profile's `version`. The defaults here are
also those of the flags.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta

from base.errors import UserError
from base.outside.values import parse, parse_json, refuse_unknown
from cache.schema import CROP_SIZE, FRAMES

Sampling = Literal["uniform", "first"]
MOST_FEATURES = 16_384
"""Numbers in the features of one frame; the widest backbone has 2048."""
Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class CropProfile:
    """How twelve crops are made from a video.

    `detector` finds the faces; `margin` is added on each edge of the face box, in sides of the box. `recogniser_file`,
    "" for none, tells who is who across cuts.
    """

    sampling: Sampling = "uniform"
    detector: Annotated[str, Meta(pattern=r"\A[a-z0-9-]{1,40}\Z")] = "yunet"
    detector_file: Annotated[str, Meta(pattern=r"\A[0-9a-f]{0,64}\Z")] = ""
    # 0 and 0.0 give other fingerprints, so a whole number stays one.
    margin: Annotated[int, Meta(ge=0, le=2)] | Annotated[float, Meta(ge=0, le=2)] = 0.3
    frames: Annotated[int, Meta(ge=FRAMES, le=FRAMES)] = FRAMES
    size: Annotated[int, Meta(ge=CROP_SIZE, le=CROP_SIZE)] = CROP_SIZE
    no_face: Literal["full_frame"] = "full_frame"
    version: Annotated[int, Meta(ge=1, le=5)] = 5
    recogniser_file: Annotated[str, Meta(pattern=r"\A[0-9a-f]{0,64}\Z")] = ""


class Tap(NamedTuple):
    """Features taken from a backbone: a `statistic` of each channel of the output of `layer`, over a `region` of it.

    `region` is "crop", "face" or "face-surround", the face less what lies around it. `statistic` is "mean" or "std",
    the standard deviation.
    """

    layer: str
    region: str
    statistic: str


@dataclass(frozen=True)
class FeatureProfile:
    """How features are made from crops. `weights` is "imagenet", "random:<seed>" or "sha256:<hash of the file>".

    `taps` are the features of one crop, one after another. Version 1 has none: all its features were means over the
    crop of the one layer that belonged to the backbone's name.
    """

    crops: CropProfile
    backbone: Annotated[str, Meta(pattern=r"\A[a-z0-9-]{1,40}\Z")] = "resnet50"
    weights: Annotated[str, Meta(pattern=r"\A[a-z0-9:-]{1,80}\Z")] = "imagenet"
    precision: Precision = "float32"
    taps: Annotated[tuple[Tap, ...], Meta(max_length=64)] = ()
    version: Annotated[int, Meta(ge=1, le=2)] = 2


@dataclass(frozen=True)
class ForeignProfile:
    """What another program made: features of `size` numbers, or a score of 1, out of a file with this SHA-256."""

    made_by: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,39}\Z")]
    size: Annotated[int, Meta(ge=1, le=MOST_FEATURES)]
    file: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]

    @property
    def backbone(self) -> str:
        """What stands in place of a backbone's name."""
        return self.made_by


Profile = CropProfile | FeatureProfile | ForeignProfile


def needs_regions(taps: Iterable[Tap]) -> bool:
    """Returns whether one of `taps` looks at the face's region; else a network takes crops alone."""
    return any(tap.region != "crop" for tap in taps)


def uses_regions(profile: Profile) -> bool:
    """Returns whether the faces' regions are an input of what judges crops made with `profile`."""
    return isinstance(profile, FeatureProfile) and needs_regions(profile.taps)


def crops_of(profile: Profile) -> CropProfile:
    """Returns the crop profile in `profile`, which may be one itself; a UserError of what another program made."""
    if isinstance(profile, ForeignProfile):
        raise UserError(
            f"what {profile.made_by} made was brought in from outside, and nothing here can make it of a clip: runs on "
            "it are for evaluation and comparison, and cannot be fine-tuned, exported or judge clips."
        )
    return profile.crops if isinstance(profile, FeatureProfile) else profile


def canonical_json(profile: Profile) -> str:
    """Returns `profile` as JSON with sorted keys, no spaces and shortest floats: equal profiles give equal text."""
    values = dataclasses.asdict(profile)
    # Older profiles have neither, and keep their fingerprints.
    for holder, name in ((values, "taps"), (values.get("crops", values), "recogniser_file")):
        if not holder.get(name):
            holder.pop(name, None)
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)


def fingerprint(profile: Profile) -> str:
    """Returns the 12 hex digits that identify `profile`."""
    return hashlib.sha256(canonical_json(profile).encode()).hexdigest()[:12]


def parse_profile(text: str, where: str) -> Profile:
    """Returns the profile in the JSON `text`; a UserError says that `where` holds none."""
    try:
        return profile_of(parse_json(text))
    except ValueError as error:
        raise UserError(f"{where} holds no profile of this version ({error}); extract into a new folder.") from None


def profile_of(values: Any) -> Profile:
    """Returns the profile with the JSON `values`, whose types and ranges are checked; raises WrongValue."""
    profile = parse(profile_type(values), values)
    refuse_unknown(profile, values)
    return profile


def profile_type(values: Any) -> type[Profile]:
    """Returns the class of the profile with the JSON `values`, whatever they are."""
    if isinstance(values, dict) and "made_by" in values:
        return ForeignProfile
    return FeatureProfile if isinstance(values, dict) and "crops" in values else CropProfile


def network_of(profile: Profile) -> Profile:
    """Returns what has to be equal for features to go together: `profile`, of another program's without the file."""
    return dataclasses.replace(profile, file="") if isinstance(profile, ForeignProfile) else profile


def differences(actual: Profile, wanted: Profile) -> str:
    """Returns the settings that differ, as `margin=0.3 instead of margin=0.0, ...`, without those of no weight here."""
    left, right = _flat(dataclasses.asdict(actual)), _flat(dataclasses.asdict(wanted))
    names = sorted(name for name in left.keys() | right.keys() if left.get(name) != right.get(name) and name != "file")
    return ", ".join(f"{name}={left.get(name)} instead of {name}={right.get(name)}" for name in names)


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    nested = values.pop("crops", {})
    if "taps" in values:
        values["taps"] = " + ".join(" ".join(tap) for tap in values["taps"]) or "none"
    return values | {f"crops.{name}": value for name, value in nested.items()} if nested else values
