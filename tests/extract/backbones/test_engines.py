"""Engines: the same numbers from each, whatever the batch and whatever a crop shares it with."""

import gc
import importlib.util

import numpy as np
import pytest

from base.errors import UserError
from base.openvino_start import start_openvino
from extract.backbones.engines import CPU_BATCH, ENGINES, make_engine, openvino_threads

has_openvino = pytest.mark.skipif(not importlib.util.find_spec("openvino"), reason="OpenVINO is not installed")


@pytest.fixture(scope="module")
def crops():
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (30, 10, 10, 3)).repeat(16, 1).repeat(16, 2)
    return (coarse // 2 + random.integers(0, 128, coarse.shape)).astype(np.uint8)


REGIONS = np.tile(np.array([[30, 30, 130, 130], [0, 13, 147, 160], [0, 0, 160, 160]], np.uint8), (10, 1))


@pytest.fixture(scope="module")
def engines():
    kinds = ["keras"]
    if importlib.util.find_spec("openvino"):
        kinds.append("openvino")
    return {kind: make_engine("mobilenetv2", "random", 24, name=kind) for kind in kinds}


@has_openvino
@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet50", "mobilenetv2"])
def test_openvino_agrees_with_keras_to_a_hundred_thousandth(name, crops):
    one, other = (
        make_engine(name, "random", 4, name=kind).features(crops[:4], REGIONS[:4]) for kind in ("keras", "openvino")
    )
    assert np.abs(one - other).max() <= 1e-5 * np.abs(one).max()


@has_openvino
def test_openvino_needs_nothing_of_the_network_that_it_was_converted_from(engines, crops):
    """It read some of its weights from memory that a garbage collection frees, and others then fill."""
    gc.collect()
    filling = [np.full(size, np.nan, np.float32) for size in range(100, 20_000, 100) for _ in range(20)]
    one, other = (engines[kind].features(crops[:4], REGIONS[:4]) for kind in ("keras", "openvino"))
    assert np.abs(one - other).max() <= 1e-5 * np.abs(one).max()
    del filling


def _joined(*clips):
    return [np.concatenate(arrays) for arrays in zip(*clips, strict=True)]


def test_a_clip_has_the_same_bytes_in_whatever_batch_and_place(engines, crops):
    clip, other = (crops[3:15], REGIONS[3:15]), (crops[:12], REGIONS[:12])
    for engine in engines.values():
        alone = engine.features(*clip)
        assert alone.dtype == np.float32
        np.testing.assert_array_equal(engine.features(*_joined(other, clip))[12:], alone)
        np.testing.assert_array_equal(engine.features(*_joined(clip, other, clip))[24:], alone)


def test_features_are_copies_that_the_next_batch_leaves_alone(engines, crops):
    for engine in engines.values():
        first = engine.features(crops[:4], REGIONS[:4])
        kept = first.copy()
        engine.features(crops[3:], REGIONS[3:])
        np.testing.assert_array_equal(first, kept)


def test_bfloat16_is_near_float32_and_not_the_same(engines, crops):
    exact = engines["keras"].features(crops[:4], REGIONS[:4])
    rounded = make_engine("mobilenetv2", "random", 4, "bfloat16", "keras").features(crops[:4], REGIONS[:4])
    assert rounded.dtype == np.float32
    cosine = (exact * rounded).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(rounded, axis=1)
    assert 0.99 < cosine.min() < 0.9999999


@has_openvino
def test_bfloat16_on_a_processor_without_it_is_refused(monkeypatch):
    monkeypatch.setattr(start_openvino().Core, "get_property", lambda self, *names: ["FP32"])
    with pytest.raises(UserError, match="does not compute in bfloat16; use --precision float32"):
        make_engine("mobilenetv2", "random", 4, "bfloat16", "openvino")


def test_auto_takes_openvino_on_a_cpu_where_it_is_installed(monkeypatch):
    for name in ENGINES:
        monkeypatch.setitem(ENGINES, name, lambda *arguments: None)
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name == "openvino" else found(name))
    assert make_engine("mobilenetv2", "random").name == "openvino"
    assert make_engine("mobilenetv2", "random").batch == CPU_BATCH
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "openvino" else found(name))
    assert make_engine("mobilenetv2", "random").name == "keras"
    monkeypatch.setattr("keras.distribution", None)  # as with torch
    assert make_engine("mobilenetv2", "random").batch == CPU_BATCH
    monkeypatch.undo()


def test_auto_takes_keras_on_a_gpu_and_on_another_backend_than_tensorflow(monkeypatch):
    for name in ENGINES:
        monkeypatch.setitem(ENGINES, name, lambda *arguments: None)
    with monkeypatch.context() as on_jax:
        on_jax.setattr("keras.config.backend", lambda: "jax")
        assert make_engine("mobilenetv2", "random").name == "keras"
    monkeypatch.setattr("keras.distribution.list_devices", lambda kind: ["gpu:0"])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert make_engine("mobilenetv2", "random").name == "keras"
    assert make_engine("mobilenetv2", "random").batch > CPU_BATCH


@pytest.mark.parametrize(("asked", "used"), [(1, 12), (24, 24), (30, 24)])
def test_a_batch_is_a_whole_number_of_clips(monkeypatch, asked, used):
    monkeypatch.setitem(ENGINES, "keras", lambda *arguments: None)
    assert make_engine("mobilenetv2", "random", asked, name="keras").batch == used


def test_an_engine_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    with pytest.raises(UserError, match="openvino is not installed; pip install openvino, or use --engine keras"):
        make_engine("mobilenetv2", "random", name="openvino")


@pytest.mark.parametrize(("limit", "expected"), [(None, {}), (3, {"INFERENCE_NUM_THREADS": 3})])
def test_openvino_is_told_of_a_limit_on_processors(monkeypatch, limit, expected):
    monkeypatch.setattr("extract.backbones.engines.processor_limit", lambda: limit)
    assert openvino_threads() == expected
