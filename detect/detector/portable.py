"""Runs exported networks by runtimes other than TensorFlow. Nothing that is imported here loads TensorFlow."""

from pathlib import Path

import numpy as np

from base.commands import command
from base.errors import UserError
from base.outside.content import NO_FILE, WrongContent, checksum, require_regular
from cache.profile import fingerprint, uses_regions
from cache.schema import FRAMES
from detect.detector.contract import Contract, read_contract
from detect.detector.face_files import face_files
from detect.detector.formats import FORMATS, load_network
from detect.detector.judge import Detector
from detect.detector.networks import CropScorer, FeatureScorer
from extract.backbones.engines import Engine, Run
from train.data.neighbours import Neighbours
from train.runs.folder import NEIGHBOURS
from train.runs.neighbours_file import read_neighbours
from train.runs.replay import Network, Replay


def read_exported(folder: Path, detector_file: Path | None = None, recogniser_file: Path | None = None) -> Detector:
    """Returns the detector in the export `folder`; a UserError says what is wrong with it."""
    contract = read_contract(folder)
    if not FORMATS[contract.format].package:
        raise UserError(
            f"{folder} is in the format {contract.format}, which detect does not run; "
            f"{command('export', format='onnx')} writes one that it does."
        )
    with_regions = uses_regions(contract.profile)
    if {"backbone", "head"} <= contract.files.keys():
        engine = Engine(on_frames(_intact(contract, "backbone"), with_regions), FRAMES, contract.format)
        head, neighbours = _intact(contract, "head"), _neighbours(contract)
        scorer = FeatureScorer(engine, head, fingerprint(contract.profile), neighbours)
    else:
        scorer = CropScorer(_intact(contract, "detector"), with_regions)
    file, recogniser = face_files(contract.crops, contract, detector_file, recogniser_file)
    return Detector(contract.crops, scorer, contract.temperature, file, contract.about, recogniser)


def _neighbours(contract: Contract) -> Neighbours | None:
    """Returns the run's training clips, None where the export has none; a UserError if they are not those written."""
    path = contract.folder / NEIGHBOURS
    if NEIGHBOURS in contract.checksums:
        _require_intact(contract, path, "training clips")
    return read_neighbours(contract.folder)


def _intact(contract: Contract, name: str) -> Network:
    """Returns the network called `name`; a UserError if it is not the one that was written, as far as that is known."""
    path = contract.files[name]
    _require_intact(contract, path, name)
    network = load_network(path, contract.format)
    if replay := contract.replay.get(name):
        _require_same(network, replay, path, uses_regions(contract.profile))
    return network


def _require_intact(contract: Contract, path: Path, name: str) -> None:
    """Raises a UserError unless the file `path`, which is the `name` of the export, is as it was written."""
    try:
        _require_written(contract, path)
    except (*NO_FILE, WrongContent) as error:
        raise UserError(f"{path} is not the {name} of the export ({error}); export it again.") from None


def _require_written(contract: Contract, path: Path) -> None:
    require_regular(path)
    # OpenVINO keeps its weights in a second file.
    for file, written in contract.checksums.items():
        if Path(file).stem == path.stem and Path(file).name == file and checksum(contract.folder / file) != written:
            raise WrongContent(f"the bytes of {file} are not those that were written")


def _require_same(network: Network, replay: Replay, path: Path, with_regions: bool) -> None:
    try:
        damage = replay.damage(network, replay.clip(regions=with_regions))
    except ValueError as error:
        damage = f"the clip to try it on is damaged: {error}"
    if damage:
        raise UserError(f"{path} is not the network that was exported ({damage}); export it again.")


def on_frames(backbone: Network, with_regions: bool) -> Run:
    """Returns `backbone` as an engine calls it."""

    def run(crops: np.ndarray, regions: np.ndarray) -> np.ndarray:
        features = backbone({"crops": crops} | ({"regions": regions} if with_regions else {}))
        if features.ndim != 2 or len(features) != len(crops):
            raise UserError(
                f"the backbone gave {len(crops)} frames features of the shape {features.shape}, so it is damaged; "
                "export it again."
            )
        return features

    return run
