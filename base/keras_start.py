"""Starting Keras, the same on every machine, and keeping off the terminal what its C code prints."""

import contextlib
import importlib.util
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from base.errors import UserError
from base.machine.memory import lack_of_address_space, no_garbage_collection, out_of_memory, shortage
from base.machine.processors import processor_limit
from base.progress import doing

BACKENDS = ("tensorflow", "jax", "torch")
"""What Keras may compute with; the first is the default. Its others, numpy and openvino, cannot train."""
VARIABLE = "KERAS_BACKEND"
"""The environment variable that names the backend, for Keras too."""
LEAST_MAPPED = 4.5
"""GB of address space below which TensorFlow may abort at its work.

At 3, extraction, training and fine-tuning ended in SIGSEGV or SIGABRT on two cores; at 4.5 they and exports worked.
"""

_started_in: int | None = None
"""The process in which Keras was started."""


def choose_backend(supported: tuple[str, ...] = BACKENDS) -> None:
    """Settles what Keras will compute with, in this process and those that it starts, without importing it.

    That is what KERAS_BACKEND names, else tensorflow. keras.json does not count: Keras itself writes that file at its
    first start, so that a backend in it is nobody's choice, and files of Keras 2 name backends that are gone. A
    UserError says why the backend cannot be used; a stage asks before it does any work.
    """
    loaded, name = "keras" in sys.modules, backend()
    if name not in supported:
        those = supported[0] if len(supported) == 1 else f"{', '.join(supported[:-1])} or {supported[-1]}"
        raise UserError(f"the Keras backend {name} cannot be used here; set {VARIABLE} to {those}, or unset it.")
    if not loaded and importlib.util.find_spec(name) is None:
        raise UserError(f"the Keras backend {name} is not installed; pip install {name}, or unset {VARIABLE}.")
    if not loaded and (lack := lack_of_address_space(LEAST_MAPPED, "Keras at work")):
        raise UserError(lack)
    os.environ[VARIABLE] = name


def backend() -> str:
    """Returns the name of Keras' backend without importing Keras: the one at work, else the one that is chosen."""
    loaded = sys.modules.get("keras")
    return loaded.config.backend() if loaded else os.environ.get(VARIABLE) or BACKENDS[0]


def start_keras(supported: tuple[str, ...] = BACKENDS) -> None:
    """Imports Keras and starts its backend, one of `supported`, without showing its remarks about the processor.

    Whatever keras.json and the environment say, networks compute as they did where they were trained: in float32, with
    channels last. A UserError says why Keras cannot be started.
    """
    _require_not_forked()
    choose_backend(supported)
    _limit_threads()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's own remarks, also those of a later moment
    with doing(f"starting {backend()}", shown="keras" not in sys.modules), quiet_stderr():
        try:
            with no_garbage_collection():
                import keras
        except (ImportError, ValueError, AttributeError, OSError) as error:
            if out_of_memory(error):
                raise UserError(shortage(error)) from None
            reason = str(error).strip().split("\n")[0]
            raise UserError(
                f"Keras cannot start with {os.environ[VARIABLE]} ({reason}); mend the installation, or its keras.json."
            ) from None
        keras.config.set_floatx("float32")
        keras.config.set_epsilon(1e-7)
        keras.config.set_image_data_format("channels_last")
        keras.config.set_dtype_policy("float32")
        # The environment may cap the epochs of every training, for debugging.
        keras.config.set_max_epochs(None)
        keras.config.set_max_steps_per_epoch(None)
        keras.ops.zeros(())
    # It counts how often it had to compile anew, which is right where several networks are used.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


def _require_not_forked() -> None:
    """Raises a UserError in a process forked from one where Keras runs: its threads, which compute, are not copied."""
    global _started_in  # noqa: PLW0603 - Keras is started once in a process, too
    if _started_in not in (None, os.getpid()):
        raise UserError(
            f"Keras was started in process {_started_in} and would wait for ever in {os.getpid()}, which was forked "
            "from that; load detectors and train after the fork, or start processes by spawn."
        )
    _started_in = os.getpid()


def sees_gpu() -> bool:
    """Returns whether Keras computes on a GPU, and starts it only if the machine may have one.

    With torch it cannot tell and says no.
    """
    if "keras" not in sys.modules and not _may_have_gpu():
        return False
    start_keras()
    import keras

    try:
        return bool(keras.distribution.list_devices("gpu"))
    except (RuntimeError, ValueError, AttributeError):  # JAX raises without such a platform, torch lists nothing
        return False


def _may_have_gpu() -> bool:
    """Returns False where there is surely none: no device of NVIDIA's, AMD's, WSL's or Google's drivers, and no Mac."""
    devices = ("nvidia[0-9]*", "kfd", "dxg", "accel*")
    return sys.platform == "darwin" or any(any(Path("/dev").glob(name)) for name in devices)


def _limit_threads() -> None:
    """Tells TensorFlow of a quota; it sees by itself which processors it may run on, and the variables are its own."""
    if limit := processor_limit():
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(limit))
        os.environ.setdefault("TF_NUM_INTEROP_THREADS", str(limit))


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hides what C code prints to stderr; if the block raises an error, prints it after all."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        except Exception:
            os.lseek(file.fileno(), 0, os.SEEK_SET)
            os.write(terminal, file.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
