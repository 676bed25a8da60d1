"""Networks in the format of an engine: written for an export, or converted once and kept for verdicts."""

import gc
import importlib.util
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from base.commands import flag
from base.errors import UserError
from base.keras_start import backend, quiet_stderr
from base.outside.kept import is_kept, kept
from base.progress import doing
from base.temporary import scratch_folder
from cache.weights import require_room_for
from detect.detector.formats import FORMATS, load_network
from extract.backbones.engines import NETWORK, OPENVINO_BACKENDS
from train.runs.replay import Network

if TYPE_CHECKING:
    import keras

AUTO, KERAS = "auto", "keras"
QUICK = ("openvino", "onnx")
"""What is tried for `AUTO`; the one that starts fastest comes first."""


class NotConverted(UserError):
    """A network cannot be converted for an engine; Keras may still run it."""


def write_network(network: "keras.Model", into: Path, name: str, format: str, precision: str = "float32") -> Path:
    """Writes `network`, called `name`, into a folder; returns the file, or the folder of a SavedModel.

    A UserError says which package is missing.
    """
    path = into / f"{name}{FORMATS[format].suffix}"
    require_room_for(network, into)
    try:
        with silenced(), _frequent_garbage_collection(), _scratch_of_converters():
            FORMATS[format].write(network, path, precision)
    except ImportError as error:
        raise _not_written(format, error) from None
    return path


def require_modules(format: str) -> None:
    """Raises a UserError if what writes `format` is not installed."""
    if absent := _absent(format):
        raise _not_written(format, f"No module named {absent[0]!r}")


def _absent(format: str) -> list[str]:
    return [module for module in FORMATS[format].modules if importlib.util.find_spec(module) is None]


def _not_written(format: str, reason: object) -> UserError:
    return UserError(
        f"networks are not written as {format} without a package that is missing ({reason}); install Reelcheck with "
        "its extra export, or run make export."
    )


def quickest() -> str:
    """Returns the engine that starts fastest of those that are installed with what converts networks for them."""
    converts = backend() in OPENVINO_BACKENDS
    able = [engine for engine in QUICK if converts and not _absent(engine)]
    return able[0] if able else KERAS


def converted(engine: str, key: Mapping[str, object], build: Callable[[], "keras.Model"]) -> Network:
    """Returns the network that `build` returns, for `engine`; it is built only if none is kept from an earlier call.

    `key` says all that decides its numbers. Raises NotConverted where the engine's format cannot hold the network.
    """

    def write(folder: Path) -> None:
        with doing(f"making a network of the run ready for {engine}, once"):
            network = build()
            try:
                write_network(network, folder, NETWORK, engine)
            except (OSError, MemoryError, UserError):
                raise
            except Exception as error:  # noqa: BLE001 - each converter has errors of its own
                reason = str(error).strip().split("\n")[0]
                raise NotConverted(
                    f"the run's network cannot be converted for {engine} ({reason}); use {flag('engine', KERAS)}."
                ) from None

    with kept(_key(engine, key), write) as folder:
        way_out = f"remove {folder}, and it is made again"
        return load_network(folder / f"{NETWORK}{FORMATS[engine].suffix}", engine, way_out)


def is_converted(engine: str, key: Mapping[str, object]) -> bool:
    """Returns whether `converted` would return at once."""
    return engine != KERAS and is_kept(_key(engine, key))


def _key(engine: str, key: Mapping[str, object]) -> dict[str, object]:
    return {**key, "format": engine}


@contextmanager
def _frequent_garbage_collection() -> Iterator[None]:
    """Has garbage collected soon after it arises.

    tf2onnx copies the whole network for each of its optimisers, in objects that refer to each other. At Python's own
    pace, which depends on how many objects exist, the copies of a ResNet50 pile up to 7 GB; like this, to 3.
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
def _scratch_of_converters() -> Iterator[None]:
    """Has converters put what is temporary where a later call finds it if this one is killed."""
    before = tempfile.tempdir
    with scratch_folder() as folder:
        tempfile.tempdir = str(folder)
        try:
            yield
        finally:
            tempfile.tempdir = before


@contextmanager
def silenced() -> Iterator[None]:
    """Keeps the converters' log lines off the terminal; their errors are exceptions all the same."""
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
