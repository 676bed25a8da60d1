"""Backbones: Keras' own preprocessing and network, float for float; weights that are not theirs are refused."""

from typing import Any

import keras
import numpy as np
import pytest

from cache.schema import CROP_SIZE, UserError
from extract.backbones.engines import make_engine
from extract.backbones.networks import BACKBONES, build_backbone, identify_weights
from tests import SHARED

MOBILENET = SHARED / "weights" / "mobilenet_v2_imagenet_notop.h5"
PREPROCESS = {
    "resnet50": keras.applications.resnet50.preprocess_input,
    "resnet50-conv4": keras.applications.resnet50.preprocess_input,
    "mobilenetv2": keras.applications.mobilenet_v2.preprocess_input,
}


@pytest.fixture(scope="module")
def crops():
    """Noise at three scales, so that no layer sees only an average."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (4, 10, 10, 3)).repeat(16, 1).repeat(16, 2)
    return (coarse // 2 + random.integers(0, 128, coarse.shape)).astype(np.uint8)


def by_hand(name, weights, crops):
    """The backbone as its own documentation would build it."""
    entry = BACKBONES[name]
    make = getattr(keras.applications, entry.builder)
    network = make(include_top=False, weights=None, input_shape=(CROP_SIZE, CROP_SIZE, 3))
    network.set_weights(weights)
    network = keras.Model(network.input, network.get_layer(entry.layer).output)
    return network.predict_on_batch(PREPROCESS[name](crops.astype(np.float32))).mean(axis=(1, 2))


@pytest.mark.parametrize("name", BACKBONES)
def test_features_are_those_of_keras_applications(name, crops):
    model = build_backbone(name, "random")
    trunk = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    full = getattr(keras.applications, BACKBONES[name].builder)(
        include_top=False, weights=None, input_shape=(CROP_SIZE, CROP_SIZE, 3)
    )
    rest = full.get_weights()[len(trunk.get_weights()) :]
    expected = by_hand(name, trunk.get_weights() + rest, crops)
    found = make_engine(name, "random", batch=3, name="keras").features(crops)
    assert found.shape == (4, BACKBONES[name].features)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    assert np.abs(expected).max() < 1e3, "random features leave the range of float16"
    assert expected.std(axis=0).mean() > 1e-3 * expected.mean(), "random features do not depend on the picture"


def test_a_file_of_weights_is_loaded_and_stands_in_the_profile_by_its_hash(tmp_path, crops):
    build: Any = keras.applications.MobileNetV2
    network = build(include_top=False, weights=None, input_shape=(CROP_SIZE, CROP_SIZE, 3))
    path = tmp_path / "some.weights.h5"
    network.save_weights(path)
    expected = by_hand("mobilenetv2", network.get_weights(), crops)
    found = make_engine("mobilenetv2", str(path), batch=4, name="keras").features(crops)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert identify_weights(str(path)).startswith("sha256:")
    assert identify_weights("imagenet") == "imagenet"


@pytest.mark.skipif(not MOBILENET.is_file(), reason="no ImageNet weights beside the project")
def test_real_weights_tell_pictures_apart(crops):
    found = make_engine("mobilenetv2", str(MOBILENET), batch=4, name="keras").features(crops)
    assert found.std(axis=0).mean() > 0.1 * found.mean()


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

    monkeypatch.setattr(keras.applications, "ResNet50", fail)
    with pytest.raises(UserError, match=r"cannot be downloaded .URL fetch failure.* --weights random"):
        build_backbone("resnet50", "imagenet")
