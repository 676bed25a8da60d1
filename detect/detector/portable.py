"""Runs exported networks by ONNX Runtime, LiteRT or OpenVINO. Nothing that is imported here loads TensorFlow."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from cache.commands import command
from cache.keras_start import quiet_stderr
from cache.machine.processors import processor_limit, usable_processors
from cache.profile import fingerprint, uses_regions
from cache.schema import FRAMES, UserError
from detect.detector.contract import PORTABLE, read_contract
from detect.detector.networks import CropScorer, FeatureScorer, Network
from detect.detector.verdict import Detector
from extract.backbones.engines import Engine, Run, openvino_threads


def read_exported(folder: Path, detector_file: Path | None = None) -> Detector:
    """Returns the detector in the export `folder`; a UserError says what is wrong with it."""
    contract = read_contract(folder)
    if contract.format not in PORTABLE:
        raise UserError(
            f"{folder} is in the format {contract.format}, which detect does not run; "
            f"{command('export', format='onnx')} writes one that it does."
        )
    loaded = {name: load_network(path, contract.format) for name, path in contract.files.items() if name != "detector"}
    with_regions = uses_regions(contract.profile)
    if "backbone" in loaded and "head" in loaded:
        engine = Engine(_on_frames(loaded["backbone"], with_regions), FRAMES, contract.format)
        scorer = FeatureScorer(engine, loaded["head"], fingerprint(contract.profile))
    else:
        scorer = CropScorer(load_network(contract.files["detector"], contract.format), with_regions)
    return Detector(contract.crops, scorer, contract.temperature, detector_file or contract.detector_file)


def _on_frames(backbone: Network, with_regions: bool) -> Run:
    if not with_regions:
        return lambda crops, _: backbone({"crops": crops})
    return lambda crops, regions: backbone({"crops": crops, "regions": regions})


def load_network(path: Path, format: str) -> Network:
    """Returns the network in the file `path`; a UserError if it holds none."""
    try:
        network = _LOADERS[format](path)
    except ImportError as error:
        raise UserError(f"{format} is not installed ({error}); pip install reelcheck[export,openvino].") from None
    except Exception as error:  # noqa: BLE001 - each runtime has errors of its own
        reason = str(error).strip().split("\n")[0]
        raise UserError(f"{path} cannot be loaded as {format} ({reason}); export it again.") from None

    def run(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        try:
            return network(inputs)
        except Exception as error:  # noqa: BLE001 - as above
            reason = str(error).strip().split("\n")[0]
            raise UserError(f"{path} cannot judge {' and '.join(inputs)} ({reason}); export it again.") from None

    return run


def _onnx(path: Path) -> Network:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = processor_limit() or 0  # 0: what it finds best
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.asarray(session.run(None, dict(inputs))[0])

    return run


def _litert(path: Path) -> Network:
    from ai_edge_litert.interpreter import Interpreter

    with quiet_stderr():  # it prints there that all is well
        interpreter = Interpreter(str(path), num_threads=usable_processors())
        interpreter.allocate_tensors()
        network = interpreter.get_signature_runner()

    def run(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        # One row at a time: its buffers have that size, and resizing them is slow.
        rows = len(next(iter(inputs.values())))
        outputs = [network(**{name: value[row : row + 1] for name, value in inputs.items()}) for row in range(rows)]
        return np.concatenate([next(iter(values.values())) for values in outputs])

    return run


def _openvino(path: Path) -> Network:
    import openvino

    core = openvino.Core()
    settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", **openvino_threads()}
    request = core.compile_model(core.read_model(path), "CPU", settings).create_infer_request()

    def run(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.array(request.infer(dict(inputs))[0])

    return run


_LOADERS: dict[str, Callable[[Path], Network]] = {"onnx": _onnx, "litert": _litert, "openvino": _openvino}
