"""Engines: what runs a backbone, Keras or OpenVINO, behind one call.

Keras runs anywhere and compiles with XLA where its backend sees a GPU; OpenVINO is faster on a CPU. The engine is no
part of a profile: in float32 the two agree to 1e-5.
"""

import importlib.util
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from base.commands import flag
from base.errors import UserError
from base.keras_start import backend, sees_gpu, start_keras
from base.machine.processors import processor_limit
from base.openvino_start import start_openvino
from base.outside.kept import kept
from base.progress import doing
from base.temporary import scratch_folder
from cache.schema import CROP_SIZE, FRAMES
from extract.backbones.networks import BACKBONES, build_backbone
from extract.backbones.weights import identify_weights

if TYPE_CHECKING:
    import keras

NETWORK = "network"
"""The name of a converted network's file, without its suffix."""
CONVERSION = 1
"""To be raised when a network is built otherwise, so that those of before are made again."""
OPENVINO_BACKENDS = ("tensorflow",)
"""Keras' backends whose networks OpenVINO can read: those of jax have operations that it does not know."""
CPU_BATCH, GPU_BATCH = 2 * FRAMES, 21 * FRAMES
"""Default batches, in crops."""


Run = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""A network on one batch: crops and regions (see `Engine.features`) -> features."""


class Engine:
    """Runs a backbone over crops, always in batches of `batch`, so that it is compiled once.

    A batch is a whole number of clips. Then a clip's features are the same bytes whatever else is in its batch
    (measured for both engines with 1, 2 and 4 clips per batch; false for a batch of 4 crops).
    """

    def __init__(self, run: Run, batch: int, name: str = "keras") -> None:
        self._run, self._lock = run, threading.Lock()
        self.batch = batch
        self.name = name

    def of_batch(self, batch: int) -> "Engine":
        """Returns the same network with batches of `batch` crops, for callers with few; results agree to about 1e-4."""
        return Engine(self._run, batch, self.name)

    def features(self, crops: np.ndarray, regions: np.ndarray) -> np.ndarray:
        """Returns float32 (B, D) features of the uint8 (B, 160, 160, 3) RGB crops.

        `regions` uint8 (B, 4) are the faces in them: left, top, right, bottom in pixels of the crop.
        """
        slices = [slice(start, start + self.batch) for start in range(0, len(crops), self.batch)]
        return np.concatenate([self._features(crops[part], regions[part]) for part in slices])

    def _features(self, crops: np.ndarray, regions: np.ndarray) -> np.ndarray:
        with self._lock:
            return np.array(self._run(self._filled(crops), self._filled(regions))[: len(crops)], np.float32)

    def _filled(self, array: np.ndarray) -> np.ndarray:
        """Returns `array` itself if it is a whole batch, else with zeros added until it is."""
        if len(array) == self.batch:
            return np.ascontiguousarray(array)
        whole = np.zeros((self.batch, *array.shape[1:]), np.uint8)
        whole[: len(array)] = array
        return whole


def make_engine(backbone: str, weights: str, batch: int = 0, precision: str = "float32", name: str = "auto") -> Engine:
    """Returns an engine for `backbone` with `weights` (see `build_backbone`).

    `batch` is rounded down to whole clips; 0 is the default of the machine. `auto` is OpenVINO if it is installed and
    can take networks from Keras' backend, and Keras sees no GPU; else Keras, which is started only if it is needed.
    """
    converts = backend() in OPENVINO_BACKENDS
    gpu = sees_gpu()
    batch = max(FRAMES, batch // FRAMES * FRAMES) if batch else GPU_BATCH if gpu else CPU_BATCH
    if name == "auto":
        name = "openvino" if converts and not gpu and importlib.util.find_spec("openvino") else "keras"
    with doing(f"loading {backbone}"):
        return Engine(ENGINES[name](backbone, weights, batch, precision), batch, name)


def _keras_run(backbone: str, weights: str, _: int, precision: str) -> Run:
    start_keras()
    model = build_backbone(backbone, weights, "float32" if precision == "float32" else "mixed_bfloat16", fold=True)
    if len(model.inputs) == 1:
        return lambda crops, _: np.asarray(model.predict_on_batch(crops))
    return lambda crops, regions: np.asarray(model.predict_on_batch({"crops": crops, "regions": regions}))


def require_engine(name: str) -> None:
    """Raises a UserError if the engine `name` is not installed."""
    if name == "openvino" and importlib.util.find_spec(name) is None:
        raise UserError(
            f"the engine openvino is not installed; pip install openvino, or use {flag('engine', 'keras')}."
        )


def _openvino_run(backbone: str, weights: str, batch: int, precision: str) -> Run:
    require_engine("openvino")
    core = start_openvino().Core()
    if precision == "bfloat16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        remedy = f"use {flag('precision', 'float32')} or {flag('engine', 'keras')}"
        raise UserError(f"this processor does not compute in bfloat16; {remedy}.")
    key = {**backbone_key(backbone, identify_weights(weights)), "format": "openvino"}
    with kept(key, lambda folder: _write_openvino(backbone, weights, folder)) as folder:
        network = core.read_model(folder / f"{NETWORK}.xml")
    has_regions = len(network.inputs) > 1
    shapes = {"crops": [batch, CROP_SIZE, CROP_SIZE, 3]} | ({"regions": [batch, 4]} if has_regions else {})
    network.reshape(shapes)
    settings = {
        "INFERENCE_PRECISION_HINT": "f32" if precision == "float32" else "bf16",
        "PERFORMANCE_HINT": "LATENCY",  # all cores on one batch, because batches come one after another
        **openvino_threads(),
    }
    request = core.compile_model(network, "CPU", settings).create_infer_request()
    if not has_regions:
        return lambda crops, _: request.infer([crops])[0]
    return lambda crops, regions: request.infer({"crops": crops, "regions": regions})[0]


def _write_openvino(backbone: str, weights: str, folder: Path) -> None:
    start_keras()
    network = openvino_network(build_backbone(backbone, weights))
    start_openvino().save_model(network, folder / f"{NETWORK}.xml", compress_to_fp16=False)


def backbone_key(name: str, weights: str) -> dict[str, object]:
    """Returns what decides the numbers of the backbone called `name`; `weights` as in a profile."""
    return {"backbone": name, "taps": BACKBONES[name].taps, "weights": weights, "version": CONVERSION}


ENGINES: dict[str, Callable[[str, str, int, str], Run]] = {"keras": _keras_run, "openvino": _openvino_run}
"""What runs a backbone, from its name, its weights, the batch and the precision."""


def openvino_threads() -> dict[str, int]:
    """Returns OpenVINO's setting for its threads, where this process may use fewer processors than there are."""
    limit = processor_limit()
    return {"INFERENCE_NUM_THREADS": limit} if limit else {}


def openvino_network(model: "keras.Model") -> Any:
    """Returns the network of `model` for OpenVINO, its inputs under their own names.

    It goes through a file with the weights as constants. OpenVINO's reader of TensorFlow's objects leaves some weights
    in memory that the next garbage collection frees, so features changed in the midst of a run. It also fails on Python
    3.13, where it deletes a name inside `exec` (PEP 667), and takes a third longer.
    """
    import keras
    import tensorflow as tf

    weights = [[each.numpy() for each in kind] for kind in (model.trainable_variables, model.non_trainable_variables)]

    def call(given: Any) -> Any:
        constants = [[tf.constant(each) for each in kind] for kind in weights]
        return model.stateless_call(*constants, given, training=False)[0]

    specs = keras.tree.map_structure(lambda given: tf.TensorSpec(given.shape, given.dtype, given.name), model.input)
    traced: Any = tf.function(call).get_concrete_function(specs)
    with scratch_folder() as folder:
        path = folder / "network.pb"
        path.write_bytes(traced.graph.as_graph_def().SerializeToString())
        network = start_openvino().convert_model(path, output=[each.name for each in traced.outputs])
    for given in network.inputs:
        given.set_names({given.any_name.removesuffix(":0")})
    return network
