"""Keras starts the same whatever the user's keras.json and environment say, or not at all, with a sentence."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

from base import keras_start
from base.errors import UserError
from base.keras_start import choose_backend, start_keras
from tests import ROOT


@pytest.fixture
def without_keras(monkeypatch):
    """A process that has not imported Keras."""
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    return monkeypatch


def test_without_a_word_it_is_tensorflow(without_keras):
    choose_backend()
    assert os.environ["KERAS_BACKEND"] == "tensorflow"
    without_keras.setenv("KERAS_BACKEND", "")
    choose_backend()
    assert os.environ["KERAS_BACKEND"] == "tensorflow"


@pytest.mark.parametrize("name", ["theano", "JAX", "numpy", "openvino", "os"])
def test_backends_that_cannot_be_used_are_refused(name, without_keras):
    without_keras.setenv("KERAS_BACKEND", name)
    with pytest.raises(
        UserError, match=rf"^the Keras backend {name} cannot .* tensorflow, jax or torch, or unset it\.$"
    ):
        choose_backend()


def test_a_backend_that_is_not_installed_is_refused(without_keras):
    without_keras.setenv("KERAS_BACKEND", "jax")
    without_keras.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"^the Keras backend jax is not installed; pip install jax, or unset"):
        choose_backend()


def test_a_backend_that_a_stage_cannot_use_is_refused(without_keras):
    without_keras.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(UserError, match=r"set KERAS_BACKEND to tensorflow, or unset it"):
        start_keras(("tensorflow",))


def test_a_backend_that_is_running_stays(monkeypatch):
    start_keras()
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    choose_backend()
    assert os.environ["KERAS_BACKEND"] == "tensorflow"


def test_tensorflow_is_told_of_a_limit_on_processors_unless_it_was_told_before(monkeypatch):
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    for name in names:
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    monkeypatch.setattr(keras_start, "processor_limit", lambda: None)
    start_keras()
    assert not set(names) & set(os.environ)
    monkeypatch.setenv(names[1], "5")
    monkeypatch.setattr(keras_start, "processor_limit", lambda: 3)
    start_keras()
    assert [os.environ[name] for name in names] == ["3", "5"]


def settings() -> list[object]:
    import keras

    config = keras.config
    policy = config.dtype_policy().name
    steps = [config.max_epochs(), config.max_steps_per_epoch()]
    return [config.floatx(), config.epsilon(), config.image_data_format(), policy, config.backend(), *steps]


PINNED = ["float32", 1e-7, "channels_last", "float32", "tensorflow", None, None]


def test_settings_of_this_process_are_set_back():
    start_keras()
    import keras

    keras.config.set_floatx("float16")
    keras.config.set_dtype_policy("mixed_float16")
    keras.config.set_image_data_format("channels_first")
    keras.config.set_epsilon(1e-3)
    keras.config.set_max_epochs(1)
    start_keras()
    assert settings() == PINNED


def started(tmp_path, **keras_json: object) -> subprocess.CompletedProcess[str]:
    """A process that starts Keras with that keras.json, prints its settings, and exits as a command does."""
    (tmp_path / "keras.json").write_text(json.dumps(keras_json))
    program = (
        "from base.ending import run\nfrom base.keras_start import start_keras\n"
        "from tests.base.test_keras_start import settings\n"
        "def main():\n start_keras()\n print(settings())\nrun(main)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    environment |= {"KERAS_HOME": str(tmp_path), "KERAS_MAX_EPOCHS": "1"}
    return subprocess.run(
        [sys.executable, "-c", program], check=False, cwd=ROOT, env=environment, capture_output=True, text=True
    )


@pytest.mark.slow
def test_keras_json_changes_nothing(tmp_path):
    told = {"floatx": "float16", "epsilon": 0.01, "backend": "theano", "image_data_format": "channels_first"}
    done = started(tmp_path, **told)
    assert done.stdout == f"{PINNED}\n", done.stderr


def test_a_keras_json_that_keras_refuses_is_one_sentence(tmp_path):
    done = started(tmp_path, floatx="float8")
    assert done.returncode == 2
    assert done.stderr.startswith("error: Keras cannot start with tensorflow (Invalid `floatx` configuration.")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("error", "shown"), [(RuntimeError, "a remark"), (KeyboardInterrupt, "")])
def test_remarks_are_shown_with_an_error_and_not_where_a_user_interrupts(capfd, error, shown):
    def work() -> None:
        with keras_start.quiet_stderr():
            os.write(2, b"a remark")
            raise error

    with pytest.raises(error):
        work()
    assert capfd.readouterr().err == shown
