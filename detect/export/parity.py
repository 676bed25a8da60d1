"""Whether an export gives what the run gives: the clips it is checked on, how far it is off, what fewer bits cost."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cache.schema import CROP_SIZE, FRAMES, mask_of
from detect.detector.networks import Network
from detect.detector.portable import load_network
from detect.export.formats import Clips, read_network

if TYPE_CHECKING:
    from evaluate.results.read import Results

TOLERANCE = 1e-4
"""How far a probability of a float32 export may be from the run's own."""
CHECKED, EXAMPLES, JUDGED = 8, 16, 200
"""At most so many clips are checked, show int8 which values occur, and measure what fewer bits cost."""

InputsAndOutput = tuple[dict[str, np.ndarray], np.ndarray]
"""The inputs of one clip, and what the run's own network gives for them."""


def kept_crops(results: "Results", parts: Sequence[str], most: int) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """Returns the kept crops (N, 12, 160, 160, 3) of `most` clips of `parts`, spread over them, masks and labels.

    None in place of crops where none were kept.
    """
    from evaluate.results.footage import find_footage

    footage = find_footage(results)
    clips = [(name, row.label) for part in parts for name, row in results.split.items() if row.part == part]
    chosen = [clips[i] for i in np.unique(np.linspace(0, len(clips) - 1, min(most, len(clips))).astype(int))]
    read = [(name, label, footage.pictures(name)) for name, label in chosen]
    kept = [(name, label, crops) for name, label, crops in read if crops is not None]
    if not kept:
        return None, np.zeros((0, FRAMES), bool), np.zeros(0, np.int64)
    masks = [mask_of(footage.rows[name][0].status[footage.rows[name][1]]) for name, _, _ in kept]
    return np.stack([crops for *_, crops in kept]), np.stack(masks), np.array([label for _, label, _ in kept])


def noise() -> Clips:
    """Returns two clips of random pixels, for runs without kept crops."""
    crops = np.random.default_rng(0).integers(0, 256, (2, FRAMES, CROP_SIZE, CROP_SIZE, 3), np.uint8)
    return crops, np.ones((2, FRAMES), bool)


def own_outputs(own: Mapping[str, Network], crops: np.ndarray, masks: np.ndarray) -> dict[str, list[InputsAndOutput]]:
    """Returns what the run's `own` networks give for each clip, and for the first clip cut to five frames."""
    outputs: dict[str, list[InputsAndOutput]] = {name: [] for name in own}
    for clip, mask in zip(*_with_short(crops, masks), strict=True):
        inputs: dict[str, dict[str, np.ndarray]] = {"detector": {"crops": clip[None], "mask": mask[None]}}
        if "backbone" in own:
            inputs["backbone"] = {"crops": clip}
            inputs["head"] = {"features": own["backbone"](inputs["backbone"])[None], "mask": mask[None]}
        for name in own:
            outputs[name].append((inputs[name], own[name](inputs[name])))
    return outputs


def _with_short(crops: np.ndarray, masks: np.ndarray) -> Clips:
    """Adds the first clip once more, cut to five frames: an export has to leave out padding too."""
    short, mask = crops[:1].copy(), masks[:1].copy()
    short[:, 5:], mask[:, 5:] = 0, False
    return np.concatenate([crops, short]), np.concatenate([masks, mask])


def difference(path: Path, format: str, expected: Sequence[InputsAndOutput]) -> float:
    """Returns the largest difference of the network in `path` from what is expected.

    Features count relative to the largest of them.
    """
    network = read_network(path, format)
    largest = 0.0
    for inputs, output in expected:
        scale = max(1.0, float(np.abs(output).max()))
        largest = max(largest, float(np.abs(network(inputs) - output).max()) / scale)
    return largest


def cost_of(results: "Results", own: Network, files: Mapping[str, Path], format: str) -> dict[str, Any]:
    """Returns what fewer bits cost on validation clips: accuracy and ROC AUC of both, and how far they are apart."""
    from evaluate.stats.metrics import evaluate

    crops, masks, labels = kept_crops(results, ("val",), JUDGED)
    if crops is None:
        return {"clips": 0, "reason": "no crops of validation clips were kept"}
    clips = list(zip(crops, masks, strict=True))
    probabilities = {
        name: np.array([float(network({"crops": clip[None], "mask": mask[None]})[0, 0]) for clip, mask in clips])
        for name, network in (("float32", own), ("reduced", _whole_detector(files, format)))
    }
    measures = {name: evaluate(labels, np.clip(values, 0, 1), resamples=0) for name, values in probabilities.items()}
    apart = np.abs(probabilities["float32"] - probabilities["reduced"])
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
        features = backbone({"crops": inputs["crops"][0]})
        return head({"features": features[None], "mask": inputs["mask"]})

    return run
