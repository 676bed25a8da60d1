"""What an export says of itself in `contract.json`: its networks, what goes into them, and how good the run is."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cache.profile import FeatureProfile, Profile, crops_of, fingerprint, uses_regions
from cache.schema import CROP_SIZE, FRAMES, LEAST_COVERAGE
from detect.detector.contract import describe
from detect.detector.load import judged
from detect.export.parity import TOLERANCE
from evaluate.report.features_text import features_sentences
from evaluate.results.about_run import about_run
from evaluate.stats.band import band_around
from evaluate.stats.metrics import THRESHOLD

if TYPE_CHECKING:
    from evaluate.results.read import Results

SHARES = (
    "The features of the taps follow each other in this order, one for each channel of the layer. A cell of a layer's "
    "map counts by the share of it that lies in the face's region; the surround is the rest of the crop."
)


def entries_of(
    results: "Results",
    format: str,
    precision: str,
    size: int | None,
    files: Mapping[str, Path],
    differences: Mapping[str, float],
    *,
    on_real_crops: bool,
) -> dict[str, Any]:
    """Returns the entries of `contract.json` on the networks in `files`, each by its name, and on the run they are of.

    `size` is how many features a frame has, None where there is no backbone; `differences` is how far each network is
    off, measured `on_real_crops` or on noise.
    """
    from evaluate.results.read import find_temperature

    profile = judged(results.folder)[0]
    temperature = find_temperature(results.head)
    return {
        "about": "A Reelcheck detector: twelve crops of a face and a mask of the frames that exist -> probability of "
        "fake.",
        "run": results.name,
        "format": format,
        "precision": precision,
        "networks": {
            name: {
                "file": path.name,
                **_shapes(name, size, uses_regions(profile)),
                "largest_difference": differences[name],
            }
            for name, path in files.items()
        },
        "checked_on": "kept crops of the run, one clip cut to five frames"
        if on_real_crops
        else "noise: no crops were kept",
        "tolerance": TOLERANCE if precision == "float32" else None,
        "classes": {"real": 0, "fake": 1},
        "threshold": THRESHOLD,
        "least_coverage": LEAST_COVERAGE,
        "preprocessing": describe(crops_of(profile)),
        "features": _describe_features(profile, size),
        "profile": dataclasses.asdict(profile),
        "fingerprint": fingerprint(profile),
        "temperature": temperature and dataclasses.asdict(temperature),
        "unsure": dataclasses.asdict(band_around(THRESHOLD, temperature)),
        "about_run": dataclasses.asdict(about_run(results.folder, results.config, results.head)),
        "detector_file": results.config.origin.detector_file,
        "recogniser_file": results.config.origin.recogniser_file,
        "versions": results.config.versions,
    }


def _describe_features(profile: Profile, size: int | None) -> dict[str, Any] | None:
    """Returns which features the backbone gives, as data and in words; None where there is no backbone."""
    if not isinstance(profile, FeatureProfile):
        return None
    words = [*features_sentences(profile), *([SHARES] if uses_regions(profile) else [])]
    return {"size": size, "taps": [tap._asdict() for tap in profile.taps], "in_words": words}


def _shapes(name: str, size: int | None, with_regions: bool) -> dict[str, Any]:
    """Returns inputs and output of a network; B is any number."""
    crops, mask = f"uint8 (B, {FRAMES}, {CROP_SIZE}, {CROP_SIZE}, 3)", f"bool (B, {FRAMES})"
    probability = "float32 (B, 1), the probability of fake"
    regions, region = (
        ({"regions": f"uint8 ({shape}), see preprocessing"} if with_regions else {})
        for shape in (f"B, {FRAMES}, 4", "B, 4")
    )
    return {
        "detector": {"inputs": {"crops": crops, **regions, "mask": mask}, "output": probability},
        "backbone": {
            "inputs": {"crops": f"uint8 (B, {CROP_SIZE}, {CROP_SIZE}, 3)", **region},
            "output": f"float32 (B, {size}), features of each frame",
        },
        "head": {"inputs": {"features": f"float32 (B, {FRAMES}, {size})", "mask": mask}, "output": probability},
    }[name]
