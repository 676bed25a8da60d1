"""Engines: what runs a backbone, Keras or OpenVINO, behind one call.

Keras runs anywhere and compiles with XLA where its backend sees a GPU; OpenVINO is faster on a CPU. The engine is no
part of a profile: in float32 the two agree to 1e-5.
"""

import importlib.util
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cache.commands import flag
from cache.schema import CROP_SIZE, FRAMES, UserError
from extract.backbones.networks import build_backbone

if TYPE_CHECKING:
    import keras

EngineName = Literal["auto", "keras", "openvino"]
Precision = Literal["float32", "bfloat16"]
CPU_BATCH, GPU_BATCH = 2 * FRAMES, 21 * FRAMES
"""Default batches, in crops."""


class Engine:
    """Runs a backbone over crops, always in batches of `batch`, so that it is compiled once.

    A batch is a whole number of clips. Then a clip's features are the same bytes whatever else is in its batch
    (measured for both engines with 1, 2 and 4 clips per batch; false for a batch of 4 crops).
    """

    def __init__(self, run: Callable[[np.ndarray], np.ndarray], batch: int, name: str = "keras") -> None:
        self._run, self._lock = run, threading.Lock()
        self.batch = batch
        self.name = name

    def of_batch(self, batch: int) -> "Engine":
        """Returns the same network with batches of `batch` crops, for callers with few; results agree to about 1e-4."""
        return Engine(self._run, batch, self.name)

    def features(self, crops: np.ndarray) -> np.ndarray:
        """Returns float32 (B, D) features of the uint8 (B, 160, 160, 3) RGB crops."""
        parts = [self._features(crops[start : start + self.batch]) for start in range(0, len(crops), self.batch)]
        return np.concatenate(parts)

    def _features(self, crops: np.ndarray) -> np.ndarray:
        whole = crops
        if len(crops) < self.batch:
            whole = np.zeros((self.batch, *crops.shape[1:]), np.uint8)
            whole[: len(crops)] = crops
        with self._lock:
            return np.array(self._run(whole)[: len(crops)], np.float32)


def make_engine(
    backbone: str, weights: str, batch: int = 0, precision: str = "float32", name: EngineName = "auto"
) -> Engine:
    """Returns an engine for `backbone` with `weights` (see `build_backbone`).

    `batch` is rounded down to whole clips; 0 is the default of the machine. `auto` is OpenVINO if it is installed and
    Keras sees no GPU, else Keras.
    """
    gpu = _sees_gpu()
    batch = max(FRAMES, batch // FRAMES * FRAMES) if batch else GPU_BATCH if gpu else CPU_BATCH
    if name == "openvino" or (name == "auto" and not gpu and importlib.util.find_spec("openvino")):
        return Engine(_openvino_run(backbone, weights, batch, precision), batch, "openvino")
    return Engine(_keras_run(backbone, weights, precision), batch, "keras")


def _sees_gpu() -> bool:
    import keras

    try:
        return bool(keras.distribution.list_devices("gpu"))
    except (RuntimeError, ValueError):  # JAX raises if there is no such platform
        return False


def _keras_run(backbone: str, weights: str, precision: str) -> Callable[[np.ndarray], np.ndarray]:
    model = build_backbone(backbone, weights, "float32" if precision == "float32" else "mixed_bfloat16")
    return lambda crops: np.asarray(model.predict_on_batch(crops))


def _openvino_run(backbone: str, weights: str, batch: int, precision: str) -> Callable[[np.ndarray], np.ndarray]:
    try:
        import openvino
    except ImportError:
        raise UserError(
            f"the engine openvino is not installed; pip install openvino, or use {flag('engine', 'keras')}."
        ) from None
    core = openvino.Core()
    if precision == "bfloat16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        remedy = f"use {flag('precision', 'float32')} or {flag('engine', 'keras')}"
        raise UserError(f"this processor does not compute in bfloat16; {remedy}.")
    network = _converted(build_backbone(backbone, weights), core)
    network.reshape([batch, CROP_SIZE, CROP_SIZE, 3])
    settings = {
        "INFERENCE_PRECISION_HINT": "f32" if precision == "float32" else "bf16",
        "PERFORMANCE_HINT": "LATENCY",  # all cores on one batch, because batches come one after another
    }
    request = core.compile_model(network, "CPU", settings).create_infer_request()
    return lambda crops: request.infer([crops])[0]


def _converted(model: "keras.Model", core: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "backbone.xml")
        model.export(path, format="openvino", verbose=False)
        return core.read_model(path)  # the weights stay mapped after the file is removed
