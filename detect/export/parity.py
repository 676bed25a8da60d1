"""Whether an export gives what the run gives: the clips it is checked on, how far it is off, what fewer bits cost."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from base.commands import flag
from base.errors import UserError
from cache.profile import uses_regions
from cache.schema import CROP_SIZE, FRAMES
from detect.detector.formats import load_network
from detect.detector.load import judged
from detect.export.formats import Clips, backbone_inputs, each_clip, read_network
from train.runs.replay import Network

if TYPE_CHECKING:
    import keras

    from evaluate.results.read import Results

TOLERANCE = 1e-4
"""How far a probability of a float32 export may be from the run's own."""
CHECKED, JUDGED = 8, 200
"""At most so many clips are checked, and measure what fewer bits cost."""

InputsAndOutput = tuple[dict[str, np.ndarray], np.ndarray]
"""The inputs of one clip, and what the run's own network gives for them."""


def kept_clips(results: "Results", parts: Sequence[str], most: int) -> tuple[Clips | None, np.ndarray]:
    """Returns the kept crops of `most` clips of `parts`, spread over them, as a detector takes them, and labels.

    None in place of clips where no crops were kept.
    """
    from evaluate.results.footage import find_footage

    footage = find_footage(results)
    clips = [(name, row.label) for part in parts for name, row in results.split.items() if row.part == part]
    chosen = [clips[i] for i in np.unique(np.linspace(0, len(clips) - 1, min(most, len(clips))).astype(int))]
    read = [(name, label, footage.pictures(name)) for name, label in chosen]
    kept = [(name, label, crops) for name, label, crops in read if crops is not None]
    if not kept:
        return None, np.zeros(0, np.int64)
    masks = [footage.seen(name).mask for name, _, _ in kept]
    clips = {"crops": np.stack([crops for *_, crops in kept]), "mask": np.stack(masks)}
    if with_regions(results):
        clips["regions"] = np.stack([footage.seen(name).regions for name, _, _ in kept])
    return clips, np.array([label for _, label, _ in kept])


def with_regions(results: "Results") -> bool:
    """Returns whether the run's networks take the faces' regions."""
    return uses_regions(judged(results.folder)[0])


def noise(results: "Results") -> Clips:
    """Returns two clips of random pixels, for runs without kept crops."""
    random = np.random.default_rng(0)
    crops = random.integers(0, 256, (2, FRAMES, CROP_SIZE, CROP_SIZE, 3), np.uint8)
    clips = {"crops": crops, "mask": np.ones((2, FRAMES), bool)}
    if with_regions(results):
        near, far = (random.integers(0, 80, (2, FRAMES, 2), np.uint8) + offset for offset in (0, 81))
        clips["regions"] = np.concatenate([near, far], axis=2).astype(np.uint8)
    return clips


def require_finite_weights(folder: Path, networks: Mapping[str, "keras.Model"]) -> None:
    """Raises a UserError that names a weight of the run's `networks` with a number that is not finite.

    What a network gives for a few clips may hide it: an infinite weight behind a sigmoid is a probability of 1.
    """
    for name, network in networks.items():
        for weight in network.weights:
            if not np.isfinite(np.asarray(weight)).all():
                raise UserError(
                    f"the weight {weight.path} of the {name} of {folder} has numbers that are not finite; train the "
                    "run again."
                )


def own_outputs(own: Mapping[str, Network], clips: Clips) -> dict[str, list[InputsAndOutput]]:
    """Returns what the run's `own` networks give for each clip, and for the first clip cut to five frames."""
    outputs: dict[str, list[InputsAndOutput]] = {name: [] for name in own}
    for clip in each_clip(_with_short(clips)):
        inputs: dict[str, dict[str, np.ndarray]] = {"detector": clip}
        if "backbone" in own:
            inputs["backbone"] = backbone_inputs(clip)
            inputs["head"] = {"features": own["backbone"](inputs["backbone"])[None], "mask": clip["mask"]}
        for name in own:
            outputs[name].append((inputs[name], own[name](inputs[name])))
    return outputs


def _with_short(clips: Clips) -> Clips:
    """Adds the first clip once more, cut to five frames: an export has to leave out padding too."""
    short = {name: values[:1].copy() for name, values in clips.items()}
    for values in short.values():
        values[:, 5:] = 0
    return {name: np.concatenate([values, short[name]]) for name, values in clips.items()}


def difference(path: Path, format: str, expected: Sequence[InputsAndOutput]) -> float:
    """Returns the largest difference of the network in `path` from what is expected.

    Features count relative to the largest of them. It is NaN if a number on either side is not finite.
    """
    network = read_network(path, format)
    differences = []
    for inputs, output in expected:
        given = network(inputs)
        if not (np.isfinite(given).all() and np.isfinite(output).all()):
            return float("nan")
        differences.append(float(np.abs(given - output).max()) / max(1.0, float(np.abs(output).max())))
    return max(differences)


def cost_of(results: "Results", own: Network, files: Mapping[str, Path], format: str) -> dict[str, Any]:
    """Returns what fewer bits cost on validation clips: accuracy and ROC AUC of both, and how far they are apart."""
    from evaluate.stats.metrics import evaluate

    kept, labels = kept_clips(results, ("val",), JUDGED)
    if kept is None:
        return {"clips": 0, "reason": "no crops of validation clips were kept"}
    clips = list(each_clip(kept))
    probabilities = {
        name: np.array([float(network(clip)[0, 0]) for clip in clips])
        for name, network in (("float32", own), ("reduced", _whole_detector(files, format)))
    }
    apart = np.abs(probabilities["float32"] - probabilities["reduced"])
    if not np.isfinite(apart).all():
        raise UserError(
            f"the {format} export gives {np.sum(~np.isfinite(apart))} of {len(apart)} validation clips no number, so "
            f"nothing was written; take another {flag('precision')}."
        )
    measures = {name: evaluate(labels, np.clip(values, 0, 1), resamples=0) for name, values in probabilities.items()}
    return {
        "clips": len(labels),
        **{name: {key: values[key].value for key in ("accuracy", "roc_auc")} for name, values in measures.items()},
        "largest_difference": float(apart.max()),
        "mean_difference": float(apart.mean()),
    }


def _whole_detector(files: Mapping[str, Path], format: str) -> Network:
    """Returns the detector in `files`, put together from backbone and head where it is not one file."""
    if "detector" in files:
        return load_network(files["detector"], format)
    backbone, head = (load_network(files[name], format) for name in ("backbone", "head"))

    def run(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        features = backbone(backbone_inputs(inputs))
        return head({"features": features[None], "mask": inputs["mask"]})

    return run
