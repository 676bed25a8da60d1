"""Backbones: Keras' own preprocessing and network, float for float; weights that are not theirs are refused."""

import importlib.util
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest

from base.errors import UserError
from cache.profile import CropProfile, FeatureProfile, Tap
from cache.schema import CROP_SIZE
from extract.backbones.engines import make_engine
from extract.backbones.networks import BACKBONES, backbone_of, build_backbone, trunk_of
from extract.backbones.pooling import pool
from extract.backbones.weights import identify_weights
from tests import SHARED

MOBILENET = SHARED / "weights" / "mobilenet_v2_imagenet_notop.h5"
PREPROCESS = {
    "ResNet50": keras.applications.resnet50.preprocess_input,
    "MobileNetV2": keras.applications.mobilenet_v2.preprocess_input,
}
has_openvino = pytest.mark.skipif(not importlib.util.find_spec("openvino"), reason="OpenVINO is not installed")
ENGINES: list[Any] = ["keras", pytest.param("openvino", marks=has_openvino)]
REGIONS = np.array(
    [
        [30, 30, 130, 130],  # cells that lie half inside
        [3, 0, 99, 151],  # odd shares, at an edge
        [0, 0, 160, 160],  # nothing around it
        [0, 0, 0, 0],  # nothing in it, as in a padded frame
        [0, 7, 160, 158],  # hardly anything around it
    ],
    np.uint8,
)


@pytest.fixture(scope="module")
def crops():
    """Noise at three scales, so that no layer sees only an average."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (len(REGIONS), 10, 10, 3)).repeat(16, 1).repeat(16, 2)
    return (coarse // 2 + random.integers(0, 128, coarse.shape)).astype(np.uint8)


def shares(region, side) -> np.ndarray:
    """Returns how much of each cell of a map lies in the region, (side, side), by drawing it pixel by pixel."""
    left, top, right, bottom = region
    drawn = np.zeros((160, 160))
    drawn[top:bottom, left:right] = 1
    return drawn.reshape(side, 160 // side, side, 160 // side).mean(axis=(1, 3))


def mean(image, weights) -> np.ndarray:
    """Returns the mean over a map, (channels,), in float64; an empty region counts as the whole map."""
    weights = weights if weights.sum() else np.ones_like(weights)
    return (image * weights[..., None]).sum(axis=(0, 1)) / weights.sum()


def pooled(image, region, tap) -> np.ndarray:
    """Returns the features of one map (side, side, channels), by the book."""
    image = image.astype(np.float64)
    face = shares(region, len(image))
    if tap.region == "crop":
        return image.mean(axis=(0, 1))
    if tap.statistic == "std":
        return np.sqrt(mean((image - mean(image, face)) ** 2, face))
    return mean(image, face) - (mean(image, 1 - face) if tap.region == "face-surround" else 0)


def by_hand(name, network, crops, regions):
    """The features as keras.applications' own layers give them, with the whole `network` and its preprocessing."""
    entry = BACKBONES[name]
    probe = keras.Model(network.input, [network.get_layer(tap.layer).output for tap in entry.taps])
    maps = probe.predict_on_batch(PREPROCESS[entry.network.builder](crops.astype(np.float32)))
    maps = [np.asarray(each) for each in (maps if isinstance(maps, list) else [maps])]
    return np.array(
        [
            np.concatenate([pooled(each[i], region, tap) for each, tap in zip(maps, entry.taps, strict=True)])
            for i, region in enumerate(regions)
        ]
    )


def whole_network(name, weights_of=None):
    """Returns what keras.applications builds, with the weights of the cut network `weights_of` where that has them."""
    build = getattr(keras.applications, BACKBONES[name].network.builder)
    network = build(include_top=False, weights=None, input_shape=(CROP_SIZE, CROP_SIZE, 3))
    for layer in weights_of.layers if weights_of else ():
        if layer.weights:
            network.get_layer(layer.name).set_weights(layer.get_weights())
    return network


def assert_equal(name, found, expected) -> None:
    assert found.shape == expected.shape == (len(REGIONS), BACKBONES[name].features)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    if len(BACKBONES[name].taps) > 1:
        quarter = (BACKBONES[name].taps[-1].layer == "conv4_block6_out" and 512) or 192
        for part in (slice(0, quarter), slice(quarter, 2 * quarter), slice(2 * quarter, None)):
            assert np.abs(expected[:, part]).max() > 0.01 * np.abs(expected).max()


@pytest.mark.parametrize("engine", ["keras", pytest.param("openvino", marks=[has_openvino, pytest.mark.slow])])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "mobilenetv2" else pytest.mark.slow) for name in BACKBONES]
)
def test_features_are_those_of_keras_applications_pooled_by_the_book(name, engine, crops):
    network = whole_network(name, trunk_of(build_backbone(name, "random"), name))
    expected = by_hand(name, network, crops, REGIONS)
    found = make_engine(name, "random", batch=12, name=engine).features(crops, REGIONS)
    assert_equal(name, found, expected)
    assert np.abs(expected).max() < 1e3, "random features leave the range of float16"
    assert expected.std(axis=0).mean() > 1e-3 * np.abs(expected).mean(), "random features do not depend on the picture"


def test_the_whole_network_is_loaded_and_only_what_the_taps_need_is_kept():
    trunk = trunk_of(build_backbone("mobilenetv2", "random"), "mobilenetv2")
    assert [output.shape[1:] for output in trunk.outputs] == [(20, 20, 192), (10, 10, 576)]
    assert {layer.name for layer in trunk.layers}.isdisjoint({"block_13_depthwise", "out_relu"})


@pytest.mark.slow
def test_features_know_where_the_face_is(crops):
    engine = make_engine("mobilenetv2", "random", name="keras")
    one, other = (engine.features(crops[:1], REGIONS[[i]])[0] for i in (0, 1))
    assert np.abs(one - other).max() > 0.01 * np.abs(one).max()
    top = make_engine("mobilenetv2-top", "random", name="keras")
    one, other = (top.features(crops[:1], REGIONS[[i]]) for i in (0, 1))
    np.testing.assert_array_equal(one, other)


def test_a_face_without_surround_does_not_differ_from_it(crops):
    found = make_engine("mobilenetv2", "random", name="keras").features(crops, REGIONS)
    assert np.isfinite(found).all()
    assert np.abs(found[2:4, 384:]).max() <= 1e-5 * np.abs(found).max()


def test_gradients_are_numbers_where_channels_are_constant():
    """A channel without spread has no standard deviation to speak of, and must not stop fine-tuning."""
    maps = keras.Input((20, 20, 3), name="maps")
    regions = keras.Input((4,), dtype="uint8", name="regions")
    scaled = keras.layers.DepthwiseConv2D(1, depthwise_initializer="ones")
    taps = [Tap("a", "face", "mean"), Tap("a", "face", "std"), Tap("a", "face-surround", "mean")]

    model = keras.Model([maps, regions], pool({"a": scaled(maps)}, regions, taps))
    model.compile(keras.optimizers.SGD(1e-3), "mse")
    values = np.zeros((2, 20, 20, 3), np.float32)
    values[..., 1] = 5
    values[0, ..., 2] = np.random.default_rng(0).normal(0, 1, (20, 20))
    model.fit([values, REGIONS[[0, 2]]], np.ones((2, 9), np.float32), epochs=2, verbose=0)  # pyright: ignore
    assert all(np.isfinite(weights).all() for weights in model.get_weights())


@pytest.mark.parametrize("name", [pytest.param("mobilenetv2", marks=pytest.mark.slow), "mobilenetv2-top"])
def test_a_file_of_weights_is_loaded_and_stands_in_the_profile_by_its_hash(tmp_path, crops, name):
    network = whole_network(name)
    path = tmp_path / "some.weights.h5"
    network.save_weights(path)
    expected = by_hand(name, network, crops, REGIONS)
    found = make_engine(name, str(path), name="keras").features(crops, REGIONS)
    assert np.abs(found - expected).max() <= 1e-5 * max(1, np.abs(expected).max())
    assert identify_weights(str(path)).startswith("sha256:")
    assert identify_weights("imagenet") == "imagenet"


@pytest.mark.skipif(not MOBILENET.is_file(), reason="no ImageNet weights beside the project")
@pytest.mark.parametrize("engine", ["keras", pytest.param("openvino", marks=[has_openvino, pytest.mark.slow])])
def test_real_weights_tell_pictures_apart_and_are_pooled_by_the_book(crops, engine):
    network = whole_network("mobilenetv2")
    network.load_weights(MOBILENET)
    found = make_engine("mobilenetv2", str(MOBILENET), name=engine).features(crops, REGIONS)
    assert_equal("mobilenetv2", found, by_hand("mobilenetv2", network, crops, REGIONS))
    assert found.std(axis=0).mean() > 0.05 * np.abs(found).mean()


FIRST = FeatureProfile(CropProfile(version=3), version=1)


@pytest.mark.parametrize(
    ("name", "used"),
    [("resnet50", "resnet50-top"), ("resnet50-conv4", "resnet50-conv4"), ("mobilenetv2", "mobilenetv2-top")],
)
def test_older_features_go_on_with_the_network_that_made_them(name, used):
    assert backbone_of(replace(FIRST, backbone=name)) == used
    assert backbone_of(replace(FIRST, backbone=used, version=2, taps=BACKBONES[used].taps)) == used


@pytest.mark.parametrize(
    "profile",
    [
        replace(FIRST, backbone="efficientnet"),
        replace(FIRST, version=2),
        replace(FIRST, version=2, taps=BACKBONES["mobilenetv2"].taps),
    ],
)
def test_features_that_no_backbone_makes_are_refused(profile):
    with pytest.raises(UserError, match=r"no backbone makes the features of .*; extract the features again"):
        backbone_of(profile)


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save_weights(path)
    with pytest.raises(UserError, match=r"other\.weights\.h5 does not hold weights of MobileNetV2"):
        build_backbone("mobilenetv2", str(path))


@pytest.mark.parametrize("content", [b"", b"not hdf5", b"\x89HDF\r\n\x1a\n" + bytes(600)])
def test_files_that_are_no_weights_are_refused(tmp_path, content):
    path = tmp_path / "broken.h5"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"broken\.h5 does not hold weights"):
        build_backbone("mobilenetv2", str(path))


def test_absent_weights_are_refused():
    with pytest.raises(UserError, match=r"nowhere\.h5 is not a weights file"):
        identify_weights("nowhere.h5")


def test_a_failing_download_is_one_sentence(monkeypatch):
    def fail(*arguments, **options):
        raise Exception("URL fetch failure on https://example.org: None -- unreachable")

    monkeypatch.setattr("extract.backbones.weights.obtain", lambda *_: None)
    monkeypatch.setattr(keras.applications, "ResNet50", fail)
    with pytest.raises(UserError, match=r"cannot be downloaded .URL fetch failure.* --weights random"):
        build_backbone("resnet50", "imagenet")


def test_too_little_memory_for_weights_is_no_failed_download(monkeypatch):
    def fail(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr("extract.backbones.weights.obtain", lambda *_: None)
    monkeypatch.setattr(keras.applications, "ResNet50", fail)
    with pytest.raises(MemoryError):
        build_backbone("resnet50", "imagenet")
