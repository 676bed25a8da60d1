"""The stage: a run -> its detector in a format that other programs run, checked against the run's own network."""

import dataclasses
import gc
import logging
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cache.cli import option, parse_flags
from cache.keras_start import quiet_stderr, start_keras
from cache.profile import crops_of, fingerprint
from cache.schema import CROP_SIZE, FRAMES, LEAST_COVERAGE, UserError, mask_of
from detect.detector.contract import CONTRACT, EXPORTS, PORTABLE, SUFFIXES, Format, describe
from detect.detector.load import as_network, build_networks, newest
from detect.detector.networks import Network
from detect.detector.portable import load_network
from evaluate.stats.metrics import THRESHOLD

if TYPE_CHECKING:
    import keras

    from evaluate.results.read import Results

Precision = Literal["float32", "float16", "int8"]

TOLERANCE = 1e-4
"""How far a probability of what was exported in float32 may be from the run's own."""
CHECKED, EXAMPLES, JUDGED = 8, 16, 200
"""Clips that are checked, that show int8 which values occur, and that its accuracy is measured on, at most."""


@dataclass(frozen=True)
class ExportConfig:
    """What to export, and as what."""

    run: Path | None = option(None, "run folder (default: the newest finished one below runs/)")
    format: Format = option("onnx", "keras, h5 and savedmodel for TensorFlow; onnx, litert, openvino for all others")
    precision: Precision = option("float32", "of litert alone: float16 halves its size, int8 makes a third of it")
    out: Path | None = option(None, "folder to write (default: export/ and the format, in the run folder)")
    weights: str | None = option(None, "the backbone's weights, if they have moved since the features were made")


def main(argv: Sequence[str]) -> int:
    """Exports what `argv` names, and prints where it is and how near it comes to the run."""
    print(export(parse_flags("python -m detect export", __doc__ or "", ExportConfig, argv)))
    return 0


def export(config: ExportConfig) -> Path:
    """Writes the detector, its backbone and its head with `contract.json`; returns the folder.

    All of them get the run's real crops, where these were kept, and have to say what the run's own networks say. A
    UserError says what keeps a run from being exported, or by how much it was missed; nothing is written then.
    """
    if config.precision != "float32" and config.format != "litert":
        raise UserError(f"--precision {config.precision} is for litert alone; take --format litert, or leave it out.")
    folder = config.run or newest()
    start_keras()
    from evaluate.results.read import read_results
    from train.runs.folder import write_folder, write_json

    results = read_results(folder)
    variant = "" if config.precision == "float32" else f"-{config.precision}"
    out = config.out or folder / EXPORTS / f"{config.format}{variant}"
    if not out.name or (out.exists() and not _is_ours(out)):
        raise UserError(f"{out} is, or holds, something else than an export; choose another --out.")
    networks = build_networks(folder, config.weights)
    own = {name: as_network(network) for name, network in networks.items()}
    if config.format == "h5" and "head" in networks:
        networks["detector"] = _of_layers(networks["backbone"], networks["head"])

    def fill(into: Path) -> None:
        crops, masks, _ = _crops(results, ("test", "val", "train"), CHECKED)
        if config.precision == "int8" and len(networks) > 1:
            # As one network, LiteRT's XNNPACK refuses to run the head behind an int8 backbone; as two it runs both.
            del networks["detector"]
        checks = _checks(own, *(_noise() if crops is None else _with_short(crops, masks)))
        written = {name: _write(network, into, name, config, results) for name, network in networks.items()}
        found = {name: _difference(written[name], config.format, checks[name]) for name in written}
        missed = {name: off for name, off in found.items() if not off <= TOLERANCE}
        if missed and config.precision == "float32":
            raise UserError(f"{config.format} is off by {missed}, over {TOLERANCE:g}; nothing was exported.")
        said = _contract(config, results, written, found, crops is not None)
        if config.precision != "float32":
            said["cost"] = _cost(results, own["detector"], _whole(written, config.format))
        write_json(into / CONTRACT, said)
        print(_described(config, said))
        shutil.rmtree(out, ignore_errors=True)  # now that there is something to take its place

    return write_folder(out, fill)


def _is_ours(out: Path) -> bool:
    return out.is_dir() and (not any(out.iterdir()) or (out / CONTRACT).is_file())


def _write(network: "keras.Model", into: Path, name: str, config: ExportConfig, results: "Results") -> Path:
    """Writes `network` in the format that `config` asks for; returns the file, or the folder of a SavedModel."""
    path = into / f"{name}{SUFFIXES[config.format]}"
    with _silenced(), _collected():
        if config.format in ("keras", "h5"):
            network.save(path)
        else:
            kind = {"savedmodel": "tf_saved_model"}.get(config.format, config.format)
            network.export(str(path), format=kind, verbose=False, **_reduced(config, results, name))
    return path


def _of_layers(backbone: "keras.Model", head: "keras.Model") -> "keras.Model":
    """Returns the detector of layers alone: HDF5 takes an operation such as reshape for the layer of the same name."""
    import keras

    crops = keras.Input((FRAMES, CROP_SIZE, CROP_SIZE, 3), dtype="uint8", name="crops")
    mask: Any = keras.Input((FRAMES,), dtype="bool", name="mask")
    features = keras.layers.TimeDistributed(backbone, name="backbone")(crops)
    return keras.Model({"crops": crops, "mask": mask}, head({"features": features, "mask": mask}), name="detector")


def _reduced(config: ExportConfig, results: "Results", name: str) -> dict[str, Any]:
    """Returns what the converter of LiteRT needs to know for less than float32."""
    if config.precision == "float32":
        return {}
    import tensorflow as tf

    options: dict[str, Any] = {"optimizations": [tf.lite.Optimize.DEFAULT]}
    if config.precision == "float16":
        return options | {"target_spec": {"supported_types": [tf.float16]}}
    if name == "head":  # it is small, and stays as it is
        return {}
    crops, masks, _ = _crops(results, ("train", "val"), EXAMPLES)
    if crops is None:
        raise UserError(f"int8 has to see real crops, and those of {results.folder} were not kept; take float16.")

    def examples() -> Iterator[dict[str, np.ndarray]]:
        for clip, mask in zip(crops, masks, strict=True):
            if name == "detector":
                yield {"crops": clip[None], "mask": mask[None]}
            else:
                yield from ({"crops": frame[None]} for frame in clip[mask])

    return options | {"representative_dataset": examples}


def _crops(results: "Results", parts: Sequence[str], most: int) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """Returns the kept crops (N, 12, 160, 160, 3) of `most` clips of `parts`, spread over them, masks and labels.

    None instead of crops where none were kept.
    """
    from evaluate.results.footage import find_footage

    footage = find_footage(results)
    clips = [(name, row.label) for part in parts for name, row in results.split.items() if row.part == part]
    chosen = [clips[place] for place in np.unique(np.linspace(0, len(clips) - 1, min(most, len(clips))).astype(int))]
    found = [(name, label, footage.pictures(name)) for name, label in chosen]
    kept = [(name, label, crops) for name, label, crops in found if crops is not None]
    if not kept:
        return None, np.zeros((0, FRAMES), bool), np.zeros(0, np.int64)
    masks = [mask_of(footage.rows[name][0].status[footage.rows[name][1]]) for name, _, _ in kept]
    return np.stack([crops for *_, crops in kept]), np.stack(masks), np.array([label for _, label, _ in kept])


def _with_short(crops: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Adds the first clip once more, cut to five frames: padding must say nothing in what was exported, too."""
    short, mask = crops[:1].copy(), masks[:1].copy()
    short[:, 5:], mask[:, 5:] = 0, False
    return np.concatenate([crops, short]), np.concatenate([masks, mask])


def _noise() -> tuple[np.ndarray, np.ndarray]:
    crops = np.random.default_rng(0).integers(0, 256, (2, FRAMES, CROP_SIZE, CROP_SIZE, 3), np.uint8)
    return _with_short(crops, np.ones((2, FRAMES), bool))


_Check = list[tuple[dict[str, np.ndarray], np.ndarray]]
"""Inputs of one clip each, and what the run's own network says to them."""


def _checks(own: Mapping[str, Network], crops: np.ndarray, masks: np.ndarray) -> dict[str, _Check]:
    checks: dict[str, _Check] = {name: [] for name in own}
    for clip, mask in zip(crops, masks, strict=True):
        inputs: dict[str, dict[str, np.ndarray]] = {"detector": {"crops": clip[None], "mask": mask[None]}}
        if "backbone" in own:
            inputs["backbone"] = {"crops": clip}
            inputs["head"] = {"features": own["backbone"](inputs["backbone"])[None], "mask": mask[None]}
        for name in own:
            checks[name].append((inputs[name], own[name](inputs[name])))
    return checks


def _difference(path: Path, format: str, check: _Check) -> float:
    """Returns how far the network in `path` is at most from what is expected; features count by their largest."""
    network = load_network(path, format) if format in PORTABLE else _load_tensorflow(path)
    off = 0.0
    for inputs, expected in check:
        scale = max(1.0, float(np.abs(expected).max()))
        off = max(off, float(np.abs(network(inputs) - expected).max()) / scale)
    return off


def _load_tensorflow(path: Path) -> Network:
    """Returns the network as somebody without this project loads it."""
    with _silenced():
        if path.is_dir():
            import tensorflow as tf

            loaded = tf.saved_model.load(str(path))
            serve: Any = loaded.signatures["serving_default"]  # pyright: ignore[reportAttributeAccessIssue]

            def run(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
                given = {name: tf.constant(value) for name, value in inputs.items()}
                return next(iter(serve(**given).values())).numpy()

            # The loaded object owns the variables, and would take them along.
            run.owner = loaded  # pyright: ignore[reportFunctionMemberAccess]
            return run
        import keras

        return as_network(keras.models.load_model(path))  # pyright: ignore[reportArgumentType]


def _contract(
    config: ExportConfig, results: "Results", written: Mapping[str, Path], found: Mapping[str, float], real: bool
) -> dict[str, Any]:
    from evaluate.results.read import find_temperature
    from train.runs.load import read_config

    profile = read_config(results.folder)[1]
    temperature = find_temperature(results.head)
    size = _size(results)
    return {
        "about": "A Reelcheck detector: twelve crops of a face and which of them are there -> probability of fake.",
        "run": results.name,
        "format": config.format,
        "precision": config.precision,
        "networks": {
            name: {"file": path.name, **_shapes(name, size), "largest_difference": found[name]}
            for name, path in written.items()
        },
        "checked_on": "kept crops of the run, one clip cut to five frames" if real else "noise: no crops were kept",
        "tolerance": TOLERANCE if config.precision == "float32" else None,
        "classes": {"real": 0, "fake": 1},
        "threshold": THRESHOLD,
        "least_coverage": LEAST_COVERAGE,
        "preprocessing": describe(crops_of(profile)),
        "profile": dataclasses.asdict(profile),
        "fingerprint": fingerprint(profile),
        "temperature": temperature and dataclasses.asdict(temperature),
        "detector_file": results.config.get("origin", {}).get("detector_file"),
        "versions": results.config["versions"],
    }


def _size(results: "Results") -> int | None:
    """Returns the numbers in the features of one frame, None where the run judges crops."""
    size = results.config.get("size")
    return size if isinstance(size, int) else None


def _shapes(name: str, size: int | None) -> dict[str, Any]:
    """Returns inputs and output of a network, B being any number."""
    crops, mask = f"uint8 (B, {FRAMES}, {CROP_SIZE}, {CROP_SIZE}, 3)", f"bool (B, {FRAMES})"
    probability = "float32 (B, 1), the probability of fake"
    return {
        "detector": {"inputs": {"crops": crops, "mask": mask}, "output": probability},
        "backbone": {
            "inputs": {"crops": f"uint8 (B, {CROP_SIZE}, {CROP_SIZE}, 3)"},
            "output": f"float32 (B, {size}), features of each frame",
        },
        "head": {"inputs": {"features": f"float32 (B, {FRAMES}, {size})", "mask": mask}, "output": probability},
    }[name]


def _whole(written: Mapping[str, Path], format: str) -> Network:
    """Returns the whole detector of what was `written`."""
    if "detector" in written:
        return load_network(written["detector"], format)
    backbone, head = (load_network(written[name], format) for name in ("backbone", "head"))

    def run(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        features = backbone({"crops": inputs["crops"][0]})
        return head({"features": features[None], "mask": inputs["mask"]})

    return run


def _cost(results: "Results", own: Network, reduced: Network) -> dict[str, Any]:
    """Returns what fewer bits cost on validation clips: accuracy and ROC AUC of both, and how far they are apart."""
    from evaluate.stats.metrics import evaluate

    crops, masks, labels = _crops(results, ("val",), JUDGED)
    if crops is None:
        return {"clips": 0, "reason": "there are no kept crops of validation clips"}
    said = {
        name: np.array([float(network({"crops": clip[None], "mask": mask[None]})[0, 0]) for clip, mask in clips])
        for name, network in (("float32", own), ("reduced", reduced))
        for clips in [list(zip(crops, masks, strict=True))]
    }
    measures = {name: evaluate(labels, np.clip(values, 0, 1), resamples=0) for name, values in said.items()}
    apart = np.abs(said["float32"] - said["reduced"])
    return {
        "clips": len(labels),
        **{name: {key: found[key].value for key in ("accuracy", "roc_auc")} for name, found in measures.items()},
        "largest_difference": float(apart.max()),
        "mean_difference": float(apart.mean()),
    }


def _described(config: ExportConfig, said: Mapping[str, Any]) -> str:
    found = ", ".join(f"{name} {entry['largest_difference']:.1e}" for name, entry in said["networks"].items())
    text = f"{config.format} in {config.precision}, largest differences from the run: {found}."
    if cost := said.get("cost"):
        text += f" On {cost['clips']} validation clips: " + (
            cost.get("reason")
            or f"accuracy {cost['reduced']['accuracy']:.3f} for {cost['float32']['accuracy']:.3f}, probabilities "
            f"{cost['mean_difference']:.4f} apart on average, {cost['largest_difference']:.4f} at most."
        )
    return text


@contextmanager
def _collected() -> Iterator[None]:
    """Has garbage collected as it arises.

    tf2onnx copies the whole network for each of its optimisers, in objects that refer to each other; left to Python's
    own pace, which goes by how many objects there are already, the copies of a ResNet50 pile up to 7 GB, not to 3.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(before[0], 2, 1)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@contextmanager
def _silenced() -> Iterator[None]:
    """Keeps off the terminal what converters have to say while they work; errors come as exceptions all the same."""
    loggers = [logging.getLogger(name) for name in ("absl", "tf2onnx", "tensorflow")]
    before = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), quiet_stderr():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
