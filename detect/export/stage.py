"""Writes a run's detector in a format that other programs run, checked against the run's own networks."""

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from base.commands import flag
from base.errors import UserError
from base.files import require_writable, write_folder, write_json, writing
from base.flags import option
from base.keras_start import start_keras
from base.outside.content import checksum, is_regular
from base.progress import doing, passing_bar, say
from detect.detector.contract import CONTRACT, EXPORTS
from detect.detector.converted import require_modules, write_network
from detect.detector.formats import FORMATS
from detect.detector.load import build_networks, judged
from detect.detector.networks import as_network
from detect.export.contract_entries import entries_of
from detect.export.formats import detector_of_layers, read_network
from detect.export.parity import (
    CHECKED,
    TOLERANCE,
    Clips,
    InputsAndOutput,
    cost_of,
    difference,
    kept_clips,
    noise,
    own_outputs,
    require_finite_weights,
    with_regions,
)
from train.runs.folder import NEIGHBOURS, latest
from train.runs.replay import Network, crops_replay, head_replay

if TYPE_CHECKING:
    import keras
    from tqdm import tqdm


@dataclass(frozen=True)
class ExportConfig:
    """What to export, and in which format."""

    run: Path | None = option(None, "run folder (default: the newest finished one below runs/)")
    format: str = option(
        "onnx",
        "keras, h5 and savedmodel for TensorFlow; onnx, litert, openvino for all others",
        choices=lambda: FORMATS,
    )
    precision: str = option(
        "float32",
        "of litert alone: float16 halves its size, int8 (weights alone) makes it smaller still",
        choices=lambda: dict.fromkeys(each for format in FORMATS.values() for each in format.precisions),
    )
    out: Path | None = option(None, "folder to write (default: export/ and the format, in the run folder)")
    weights: str | None = option(None, "the backbone's weights, if they have moved since the features were made")


def export(config: ExportConfig) -> Path:
    """Writes the detector, its backbone and its head with `contract.json`; says how far they are from the run.

    Returns the folder. Each network gets the run's own crops, where these were kept, and has to give what the run's
    network gives. A UserError says why a run cannot be exported, or by how much an export was off; nothing is written
    then.
    """
    _check(config)
    folder = config.run or latest(Path("runs"))
    out = _out_folder(config, folder)
    start_keras(("tensorflow",))
    from evaluate.results.read import read_results

    results = read_results(folder)
    mixture = judged(folder)[2]
    format = FORMATS[config.format]
    if format.layers_alone and mixture and mixture.kind == "stacked":
        raise UserError(
            f"{folder} is stacked on logits, for which {format.suffix} has no layer; "
            f"take {flag('format', 'keras')}, or another."
        )
    with doing("loading the run"):
        networks = build_networks(folder, config.weights)
    require_finite_weights(folder, networks)
    own = {name: as_network(network) for name, network in networks.items()}
    size = networks["backbone"].output_shape[-1] if "backbone" in networks else None
    if format.layers_alone and "head" in networks:
        networks["detector"] = detector_of_layers(networks["backbone"], networks["head"])
    contract: dict[str, Any] = {}

    def fill(into: Path) -> None:
        kept, _ = kept_clips(results, ("test", "val", "train"), CHECKED)
        if config.precision == "int8" and len(networks) > 1:
            # The head stays in float32, so it is a network of its own.
            del networks["detector"]
        clips = noise(results) if kept is None else kept
        files, differences, expected = _convert(config, networks, own, clips, into)
        _require_parity(config, differences)
        unlike = _copy_neighbours(folder, into)
        written_as = (config.format, config.precision)
        contract.update(entries_of(results, *written_as, size, files, differences, on_real_crops=kept is not None))
        contract["unlike"] = unlike
        contract["checksums"] = {path.name: checksum(path) for path in sorted(into.iterdir()) if path.is_file()}
        with doing("reading the export again"):
            contract["replay"] = _replays(config, files, expected, with_regions(results))
        if config.precision != "float32":
            contract["cost"] = cost_of(results, own["detector"], files, config.format)
        write_json(into / CONTRACT, contract)

    def remove_earlier() -> Path:
        shutil.rmtree(out)  # only now that its successor is on the disk
        return out

    written = write_folder(out, fill, remove_earlier)
    say(_summary(config, contract))
    return written


def _convert(
    config: ExportConfig, networks: "Mapping[str, keras.Model]", own: Mapping[str, Network], clips: Clips, into: Path
) -> tuple[dict[str, Path], dict[str, float], dict[str, list[InputsAndOutput]]]:
    """Writes `networks` into a folder under a bar; returns their files, how far each is off, and the run's outputs."""
    files: dict[str, Path] = {}
    differences: dict[str, float] = {}
    # A conversion is one call of a library, which says nothing of how far it is.
    with passing_bar(total=1 + 2 * len(networks), unit="step", desc="export", postfix="running the run") as bar:
        expected = own_outputs(own, clips)
        for name, network in networks.items():
            _next_step(bar, f"converting the {name}")
            files[name] = write_network(network, into, name, config.format, config.precision)
        for name in files:
            _next_step(bar, f"comparing the {name}")
            differences[name] = difference(files[name], config.format, expected[name])
        bar.update()
    return files, differences, expected


def _next_step(bar: "tqdm", what: str) -> None:
    bar.update()
    bar.set_postfix_str(what)


def _copy_neighbours(folder: Path, into: Path) -> dict[str, str] | None:
    """Gives the export the run's training clips, as all members of an ensemble have them; returns what to do with them.

    None where there are none, or where members have different ones.
    """
    files = [member / NEIGHBOURS for member, _ in judged(folder)[1]]
    if not all(map(is_regular, files)) or len(set(map(checksum, files))) > 1:
        return None
    shutil.copyfile(files[0], into / NEIGHBOURS)
    rule = (
        "take a clip's mean features over its frames, minus centre, each quarter of them times that quarter of axes; "
        "if one quarter is further than its limit from the three nearest points, in the mean, the clip is too unlike "
        "the training clips to be called real or fake"
    )
    return {"file": NEIGHBOURS, "rule": rule}


def _check(config: ExportConfig) -> None:
    if config.precision not in FORMATS[config.format].precisions:
        able = [name for name, format in FORMATS.items() if config.precision in format.precisions]
        raise UserError(
            f"{flag('precision', config.precision)} is for {' and '.join(able)} alone; take "
            f"{flag('format', able[0])}, or leave it out."
        )
    require_modules(config.format)


def _out_folder(config: ExportConfig, run: Path) -> Path:
    variant = "" if config.precision == "float32" else f"-{config.precision}"
    out, remedy = config.out or run / EXPORTS / f"{config.format}{variant}", f"choose another {flag('out')}"
    with writing(out, remedy):
        is_ours = out.is_dir() and (not any(out.iterdir()) or (out / CONTRACT).is_file())
        if not out.name or (out.exists() and not is_ours):
            raise UserError(f"{out} holds something that is not an export; {remedy}.")
    for folder in (out.parent, out):
        require_writable(folder, remedy)
    return out


def _require_parity(config: ExportConfig, differences: Mapping[str, float]) -> None:
    # Fewer bits may give other numbers, but numbers; NaN is not within any tolerance.
    most = TOLERANCE if config.precision == "float32" else np.finfo(float).max
    off = {name: value for name, value in differences.items() if not value <= most}
    if off:
        amounts = ", ".join(f"{name} by {value:.1e}" for name, value in off.items())
        allowed = f"{TOLERANCE:g} is allowed" if config.precision == "float32" else "any finite number is allowed"
        raise UserError(
            f"the {config.format} export gives other numbers than the run ({amounts}; {allowed}), so nothing was "
            f"written; take another {flag('format')}."
        )


def _replays(
    config: ExportConfig, files: Mapping[str, Path], expected: Mapping[str, Sequence[InputsAndOutput]], regions: bool
) -> dict[str, Any]:
    """Returns the clip by which damage to an export shows, for the network whose output is the verdict."""
    name = "head" if "head" in files else "detector"
    network = read_network(files[name], config.format)
    if name == "detector":
        return {name: dataclasses.asdict(crops_replay(network, regions=regions))}
    inputs, _ = min(expected[name], key=lambda pair: abs(float(pair[1][0, 0]) - 0.5))
    frame = inputs["features"][0][inputs["mask"][0]].mean(axis=0)
    return {name: dataclasses.asdict(head_replay(network, frame))}


def _summary(config: ExportConfig, contract: Mapping[str, Any]) -> str:
    differences = ", ".join(f"{name} {entry['largest_difference']:.1e}" for name, entry in contract["networks"].items())
    text = f"{config.format} in {config.precision}; largest differences from the run: {differences}."
    if cost := contract.get("cost"):
        text += f" On {cost['clips']} validation clips: " + (
            cost.get("reason")
            or f"accuracy {cost['reduced']['accuracy']:.3f} against {cost['float32']['accuracy']:.3f}, probabilities "
            f"{cost['mean_difference']:.4f} apart on average and {cost['largest_difference']:.4f} at most."
        )
    return text
