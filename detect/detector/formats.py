"""The formats of exported networks: how each is written and read. A new one is an entry in `FORMATS`.

Nothing that is imported here loads TensorFlow, or the runtime of a format.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from base.errors import UserError
from base.keras_start import quiet_stderr
from base.machine.processors import processor_limit, usable_processors
from base.openvino_start import start_openvino
from detect.detector.networks import as_network
from extract.backbones.engines import openvino_network, openvino_threads
from train.runs.replay import Network

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Format:
    """How a network is written to a path, in a precision, and read from there, and how the path ends.

    A format with a `package`, that of its runtime, is one that `detect` runs, without TensorFlow: it is an engine too.
    `modules` are what it takes to write it and to read it again, beside TensorFlow.
    `precisions` are those it can be written in. With `layers_alone`, a network may have no operations beside layers.
    """

    suffix: str
    write: "Callable[[keras.Model, Path, str], None]"
    read: Callable[[Path], Network]
    package: str = ""
    modules: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ("float32",)
    layers_alone: bool = False


def _save(network: "keras.Model", path: Path, _: str) -> None:
    network.save(path)


def _export(network: "keras.Model", path: Path, _: str, kind: str) -> None:
    _called(network).export(str(path), format=kind, verbose=False)


def _called(network: "keras.Model") -> "keras.Model":
    """Returns `network` after one call, without which Keras does not export it."""
    import keras

    network(keras.tree.map_structure(lambda one: keras.ops.zeros((1, *one.shape[1:]), one.dtype), network.input))
    return network


def _export_litert(network: "keras.Model", path: Path, precision: str) -> None:
    _called(network).export(str(path), format="litert", verbose=False, **_litert_options(path.stem, precision))


def _litert_options(name: str, precision: str) -> dict[str, Any]:
    """Returns the converter's settings for fewer bits than float32."""
    if precision == "float32":
        return {}
    import tensorflow as tf

    options: dict[str, Any] = {"optimizations": [tf.lite.Optimize.DEFAULT]}
    if precision == "float16":
        return options | {"target_spec": {"supported_types": [tf.float16]}}
    if name == "head":  # it is small, and stays in float32
        return {}
    # Weights alone: a mean and a deviation of a map are too fine for values of eight bits each.
    return options


def _save_openvino(network: "keras.Model", path: Path, _: str) -> None:
    start_openvino().save_model(openvino_network(network), path, compress_to_fp16=False)


def _keras(path: Path) -> Network:
    import keras

    return as_network(keras.models.load_model(path))  # pyright: ignore[reportArgumentType]


def _savedmodel(path: Path) -> Network:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    serve: Any = loaded.signatures["serving_default"]  # pyright: ignore[reportAttributeAccessIssue]

    def run(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        outputs = serve(**{name: tf.constant(value) for name, value in inputs.items()})
        return next(iter(outputs.values())).numpy()

    # The loaded object owns the variables; without it they would be freed.
    run.owner = loaded  # pyright: ignore[reportFunctionMemberAccess]
    return run


def _onnx(path: Path) -> Network:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = processor_limit() or 0  # 0: what it finds best
    onnxruntime.disable_telemetry_events()
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
    core = start_openvino().Core()
    settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", **openvino_threads()}
    request = core.compile_model(core.read_model(path), "CPU", settings).create_infer_request()

    def run(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.array(request.infer(dict(inputs))[0])

    return run


FORMATS = {
    "keras": Format(".keras", _save, _keras),
    "h5": Format(".h5", _save, _keras, layers_alone=True),
    "savedmodel": Format("", partial(_export, kind="tf_saved_model"), _savedmodel),
    "onnx": Format(".onnx", partial(_export, kind="onnx"), _onnx, "onnxruntime", ("onnxruntime", "tf2onnx")),
    "litert": Format(
        ".tflite", _export_litert, _litert, "ai-edge-litert", ("ai_edge_litert",), ("float32", "float16", "int8")
    ),
    "openvino": Format(".xml", _save_openvino, _openvino, "openvino", ("openvino",)),
}


def load_network(path: Path, format: str, way_out: str = "export it again") -> Network:
    """Returns the network in the file `path`; a UserError, with the `way_out`, if it holds none."""
    try:
        network = FORMATS[format].read(path)
    except ImportError as error:
        raise UserError(
            f"the engine {format} is not installed ({error}); pip install {FORMATS[format].package}."
        ) from None
    except Exception as error:  # noqa: BLE001 - each runtime has errors of its own
        reason = str(error).strip().split("\n")[0]
        raise UserError(f"{path} cannot be loaded as {format} ({reason}); {way_out}.") from None

    def run(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        try:
            return network(inputs)
        except Exception as error:  # noqa: BLE001 - as above
            reason = str(error).strip().split("\n")[0]
            raise UserError(f"{path} cannot judge {' and '.join(inputs)} ({reason}); {way_out}.") from None

    return run


def engines() -> list[str]:
    """Returns what can run a detector's networks: Keras, and the runtimes of the formats."""
    return ["auto", "keras", *(name for name, format in FORMATS.items() if format.package)]
