"""Batch norms folded into convolutions, with every number of every batch norm drawn."""

import keras
import numpy as np
import pytest

from extract.backbones.folding import fold_batch_norms
from extract.backbones.weights import MOBILENETV2, RESNET50, load_whole_network


@pytest.fixture(params=[RESNET50, MOBILENETV2], ids=lambda network: network.builder)
def network(request):
    """Returns a network to an early layer, its batch norms unlike those that do nothing."""
    whole = load_whole_network(request.param, "random")
    random = np.random.default_rng(1)
    for layer in whole.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
        elif isinstance(layer, keras.layers.Conv2D) and layer.use_bias:
            layer.set_weights([layer.get_weights()[0], random.normal(0, 1, layer.filters)])
    last = {"ResNet50": ("conv1_relu", "conv3_block1_out"), "MobileNetV2": ("Conv1_relu", "block_6_expand_relu")}
    return keras.Model(whole.input, [whole.get_layer(name).output for name in last[request.param.builder]])


def test_a_folded_network_computes_the_same_without_any_batch_norm(network):
    pixels = np.random.default_rng(0).normal(0, 1, (2, 160, 160, 3)).astype(np.float32)
    folded = fold_batch_norms(network)
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in folded.layers)
    for expected, result in zip(network.predict_on_batch(pixels), folded.predict_on_batch(pixels), strict=True):
        assert expected.std() > 0.01
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_what_is_folded_is_a_copy(network):
    before = [weight.copy() for weight in network.get_weights()]
    fold_batch_norms(network).set_weights([weight * 0 for weight in fold_batch_norms(network).get_weights()])
    assert all(map(np.array_equal, before, network.get_weights()))


def test_a_batch_norm_that_follows_no_convolution_is_not_folded_away():
    pixels = keras.Input((8, 8, 3))
    with pytest.raises(AssertionError):
        fold_batch_norms(keras.Model(pixels, keras.layers.BatchNormalization()(pixels)))


def test_a_convolution_that_is_itself_an_output_is_not_changed():
    pixels = keras.Input((8, 8, 3))
    maps = keras.layers.Conv2D(4, 1)(pixels)
    with pytest.raises(AssertionError):
        fold_batch_norms(keras.Model(pixels, [maps, keras.layers.BatchNormalization()(maps)]))
