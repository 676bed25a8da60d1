"""Heads: masked, normalised on train only, repeatable, and able to learn what is there."""

import keras
import numpy as np
import pytest

from cache.schema import FRAMES, UserError
from tests.stores import WIDTH
from train.data.baseline import baseline_probabilities, pool
from train.data.batches import Clips, FeatureBatches, balanced_weights
from train.data.inputs import frame_statistics, prepare
from train.heads.architectures import HEADS, HeadConfig, build_head
from train.heads.training import (
    HeadJob,
    LearnConfig,
    finished_head,
    learn_many,
    predict,
    require_numbers,
)

QUICK = LearnConfig(1e-2, 16, 12, 5, 3, True, 0)
EVERY = pytest.mark.parametrize("name", HEADS)


def clips_of(count=96, strength=1.0, seed=0) -> Clips:
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(count) % 3 > 0).astype(np.int64)
    mask = np.arange(FRAMES) < random.integers(3, FRAMES + 1, count)[:, None]
    features = random.normal(strength * labels[:, None, None], 1, (count, FRAMES, WIDTH)) * mask[..., None]
    return Clips(features.astype(np.float16), mask, labels)


def small(name: str) -> HeadConfig:
    return HeadConfig(name, units=8, dense=8)


def learn(shape: HeadConfig, config: LearnConfig, clips: Clips, train: np.ndarray, val: np.ndarray):
    """One head and its losses, trained alone."""
    inputs = prepare(clips, train, 0)
    ((_, progress),) = learn_many([HeadJob(shape, config)], inputs, train, val, slots=1)
    require_numbers(progress, config)
    return finished_head(shape, progress, inputs), progress.history


@EVERY
def test_a_head_learns_what_is_there(name):
    clips, rows = clips_of(), np.arange(96)
    head, history = learn(small(name), QUICK, clips, rows[:60], rows[60:])
    assert history["loss"][-1] < history["loss"][0]
    called = predict(head, clips, rows[60:]) > 0.5
    assert (called == clips.labels[60:]).mean() > 0.85


@EVERY
def test_padded_frames_change_neither_output_nor_gradient(name):
    import tensorflow as tf

    head = build_head(small(name), WIDTH)
    clips = clips_of(8)
    inputs = {"features": clips.features.astype(np.float32), "mask": clips.mask}
    other = inputs | {"features": np.where(clips.mask[..., None], inputs["features"], 1e3).astype(np.float32)}
    found = []
    for given in (inputs, other):
        frames = tf.constant(given["features"])
        with tf.GradientTape() as tape:
            tape.watch(frames)
            output = tf.reduce_sum(head({"features": frames, "mask": tf.constant(given["mask"])}, training=False) ** 2)
        gradients = tape.gradient(output, [frames, *head.trainable_weights])
        found.append([output.numpy(), *(np.asarray(gradient) for gradient in gradients)])
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)
    assert np.abs(found[0][1][clips.mask]).max() > 0
    assert not found[0][1][~clips.mask].any()


def test_the_default_is_the_published_head():
    head = build_head(HeadConfig(), 2048)
    shape = [(type(layer).__name__, layer.get_config().get("units")) for layer in head.layers]
    assert [pair for pair in shape if pair[0] not in ("InputLayer", "NotEqual")] == [
        ("BatchNormalization", None),
        ("LSTM", 64),
        ("Dropout", None),
        ("BatchNormalization", None),
        ("Dense", 64),
        ("Dense", 1),
    ]
    assert head.get_layer("dropout").rate == 0.3


def test_the_same_seed_gives_the_same_head_and_another_does_not():
    clips, rows = clips_of(), np.arange(96)
    again = []
    for seed in (0, 0, 1):
        config = LearnConfig(1e-2, 16, 4, 5, 3, True, seed)
        head, history = learn(small("lstm"), config, clips, rows[:60], rows[60:])
        again.append((predict(head, clips, rows).tolist(), history))
    assert again[0] == again[1]
    assert again[0][0] != again[2][0]


def test_the_weights_kept_are_those_of_the_best_epoch():
    clips, rows = clips_of(strength=0.3), np.arange(96)
    config = LearnConfig(3e-2, 8, 30, 4, 3, False, 0)
    head, history = learn(small("lstm"), config, clips, rows[:60], rows[60:])
    assert np.argmin(history["val_loss"]) == len(history["val_loss"]) - 1 - 4
    probabilities, labels = predict(head, clips, rows[60:]).astype(np.float64), clips.labels[60:]
    loss = -np.log(np.where(labels == 1, probabilities, 1 - probabilities)).mean()
    assert loss == pytest.approx(min(history["val_loss"]), rel=1e-4)


def test_class_weights_are_those_of_train_in_both_losses():
    clips, rows = clips_of(strength=0.3), np.arange(96)
    head, history = learn(small("mean"), LearnConfig(1e-2, 8, 6, 6, 3, True, 0), clips, rows[:60], rows[60:])
    probabilities, labels = predict(head, clips, rows[60:]).astype(np.float64), clips.labels[60:]
    weights = balanced_weights(clips.labels[:60])[labels]
    losses = -np.log(np.where(labels == 1, probabilities, 1 - probabilities))
    assert (weights * losses).mean() == pytest.approx(min(history["val_loss"]), rel=1e-4)
    assert (weights * losses).mean() != pytest.approx(losses.mean(), rel=1e-3)


def test_the_baseline_does_not_look_at_clips_outside_train():
    clips, train = clips_of(strength=0.2), np.arange(60)
    other = Clips(np.concatenate([clips.features[:60], clips.features[60:] * 3]), clips.mask, clips.labels.copy())
    other.labels[60:] = 1 - other.labels[60:]
    found, again = (baseline_probabilities(given, train, train) for given in (clips, other))
    np.testing.assert_array_equal(found, again)


def test_without_validation_the_epochs_are_fixed():
    clips = clips_of()
    _, history = learn(small("mean"), QUICK, clips, np.arange(96), np.arange(0))
    assert len(history["loss"]) == 3
    assert "val_loss" not in history


def test_normalisation_is_fitted_on_the_frames_of_train_only():
    clips, train = clips_of(), np.arange(40)
    mean, variance = frame_statistics(clips.features, clips.mask, train)
    frames = clips.features[:40][clips.mask[:40]].astype(np.float64)
    np.testing.assert_allclose(mean, frames.mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(variance, frames.var(0), rtol=1e-4)
    head, _ = learn(small("lstm"), QUICK, clips, train, np.arange(40, 60))
    kept = head.get_layer("normalise").get_weights()
    np.testing.assert_array_equal(kept[0], mean)
    np.testing.assert_array_equal(kept[1], variance)
    changed = Clips(clips.features.copy(), clips.mask, clips.labels)
    changed.features[40:] = 7
    np.testing.assert_array_equal(frame_statistics(changed.features, changed.mask, train)[0], mean)


def test_a_feature_that_never_moves_is_not_blown_up():
    clips = clips_of()
    clips.features[:, :, 0] = 0
    head = build_head(small("mean"), WIDTH)
    head.get_layer("normalise").set_weights(frame_statistics(clips.features, clips.mask, np.arange(96)))
    normalised = keras.Model(head.inputs, head.get_layer("normalise").output)
    inputs = {"features": clips.features.astype(np.float32) + 0.5, "mask": clips.mask}
    assert np.abs(np.asarray(normalised(inputs))[..., 0]).max() < 50


def test_batches_hold_every_clip_once_in_order():
    clips, rows = clips_of(70), np.arange(69, -1, -1)
    batches = FeatureBatches(clips, rows, 16)
    inputs = [batches[number][0] for number in range(len(batches))]
    assert {len(batch["mask"]) for batch in inputs} == {14}
    np.testing.assert_array_equal(np.concatenate([batch["features"] for batch in inputs]), clips.features[rows])
    np.testing.assert_array_equal(np.concatenate([batch["mask"] for batch in inputs]), clips.mask[rows])


def test_balanced_weights_make_both_classes_count_the_same():
    labels = clips_of(70).labels
    weights = balanced_weights(labels)[labels]
    assert weights[labels == 0].sum() == pytest.approx(weights[labels == 1].sum())
    assert weights.mean() == pytest.approx(1)


def test_pooling_ignores_padding():
    clips = clips_of(6)
    pooled = pool(clips.features, clips.mask)
    frames = clips.features[0][clips.mask[0]].astype(np.float64)
    np.testing.assert_allclose(pooled[0], [*frames.mean(0), *frames.std(0)])
    other = np.where(clips.mask[..., None], clips.features, np.float16(9))
    np.testing.assert_array_equal(pool(other, clips.mask), pooled)


def test_the_baseline_learns_from_train_and_refuses_what_is_no_number():
    clips, rows = clips_of(), np.arange(96)
    found = baseline_probabilities(clips, rows[:60], rows[60:])
    assert ((found > 0.5) == clips.labels[60:]).mean() > 0.85
    clips.features[7, 0, 0] = np.inf
    with pytest.raises(UserError, match="features of 1 clips are not all finite"):
        baseline_probabilities(clips, rows[:60], rows[60:])


def test_a_loss_that_is_no_number_ends_in_a_sentence():
    with pytest.raises(UserError, match="--learning-rate below"):
        learn(small("mean"), LearnConfig(1e38, 16, 5, 5, 3, True, 0), clips_of(), np.arange(60), np.arange(60, 96))


@pytest.mark.parametrize(
    "wrong", [{"head": "transformer"}, {"units": 0}, {"dense": -1}, {"dropout": 1.0}, {"units": 10**9}]
)
def test_heads_that_cannot_be_built_are_refused(wrong):
    with pytest.raises(UserError):
        build_head(HeadConfig(**wrong), WIDTH)
