"""Heads: masked, normalised on train only, repeatable, and able to learn what is there."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from base.errors import UserError
from base.outside.values import WrongValue, parse
from cache.schema import FRAMES
from tests.stores import WIDTH
from train.data.baseline import Baseline, fit_baseline
from train.data.batches import FeatureBatches
from train.data.clips import Clips, balanced_weights
from train.data.inputs import frame_statistics, prepare
from train.heads.architectures import HEADS, HeadConfig, build_head, is_fixed
from train.heads.jobs import HeadJob, HeadProgress, LearnConfig
from train.heads.stack import draw_weights
from train.heads.training import finished_head, learn_many, predict, require_numbers

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


def baseline_of(clips: Clips, train: np.ndarray) -> Baseline:
    """The baseline where each person has four clips."""
    return fit_baseline(clips, train, [f"id{row // 4}" for row in range(len(clips.labels))])


def learn(shape: HeadConfig, config: LearnConfig, clips: Clips, train: np.ndarray, val: np.ndarray):
    """One head and its losses, trained alone."""
    inputs = prepare(clips, train, 0, baseline_of(clips, train) if shape.start == "baseline" else None)
    ((_, progress),) = learn_many([HeadJob(shape, config)], inputs, train, val, slots=1)
    require_numbers(progress, config)
    return finished_head(shape, progress, inputs), progress.history


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.parametrize(("name", "differences"), [*((name, False) for name in HEADS), ("lstm", True)])
def test_epoch_0_of_a_head_that_starts_from_the_baseline_is_the_baseline(name, differences):
    clips, train = clips_of(strength=0.3), np.arange(60)
    shape = replace(small(name), start="baseline", differences=differences)
    inputs = prepare(clips, train, 0, baseline_of(clips, train))
    drawn = draw_weights(build_head(shape, WIDTH), np.random.default_rng(1))
    head = finished_head(shape, HeadProgress(0, best=0, weights=drawn), inputs)
    found = np.asarray(head({"features": clips.features.astype(np.float32), "mask": clips.mask}))[:, 0]
    expected = baseline_of(clips, train).probabilities(np.arange(96))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert expected.std() > 0.1


def test_epoch_0_is_the_baseline_with_many_features_far_from_zero():
    random = np.random.default_rng(0)
    labels = np.arange(80) % 2
    features = random.gamma(1, 30, 2048) + random.normal(0.1 * labels[:, None, None], 2, (80, FRAMES, 2048))
    clips, rows = Clips(features.astype(np.float16), np.ones((80, FRAMES), bool), labels), np.arange(80)
    baseline, shape = baseline_of(clips, rows[:60]), replace(small("mean"), start="baseline")
    inputs = prepare(clips, rows[:60], 0, baseline)
    head = finished_head(shape, HeadProgress(0, best=0), inputs)
    head.get_layer("branch").set_weights([np.zeros((8, 1)), np.zeros(1)])
    np.testing.assert_allclose(predict(head, clips, rows), baseline.probabilities(rows), rtol=0, atol=1e-6)


def shuffled(seed: int) -> Clips:
    """Clips that show who is in them, with labels that were dealt to people by chance."""
    random = np.random.default_rng(seed)
    labels = np.repeat(random.permutation(np.arange(96) % 2), 4)
    people = np.repeat(random.normal(0, 1, (96, WIDTH)), 4, axis=0)
    features = people[:, None] + random.normal(0, 0.5, (384, FRAMES, WIDTH))
    return Clips(features.astype(np.float16), np.ones((384, FRAMES), bool), labels)


@pytest.mark.parametrize("name", [pytest.param("lstm", marks=pytest.mark.slow), "mean"])
def test_with_labels_shuffled_by_person_a_head_ends_at_its_baseline(name):
    clips, train, val = shuffled(1), np.arange(192), np.arange(192, 384)
    head, history = learn(replace(small(name), start="baseline"), QUICK, clips, train, val)
    labels = clips.labels[val]

    def loss(probabilities: np.ndarray) -> float:
        return float(-np.log(np.where(labels == 1, probabilities, 1 - probabilities)).mean())

    final, start = (loss(found) for found in (predict(head, clips, val), baseline_of(clips, train).probabilities(val)))
    assert start - 0.01 < final < start + 1e-6
    assert history["val_loss"][-1] > start + 0.01, "training on would have made it worse"
    assert history["loss"][-1] < history["loss"][0]


def test_a_head_is_never_worse_than_its_baseline_on_validation():
    clips, rows = clips_of(strength=0.3), np.arange(96)
    wild = LearnConfig(30.0, 16, 3, 3, 3, True, 0)
    head, history = learn(replace(small("lstm"), start="baseline"), wild, clips, rows[:60], rows[60:])
    assert min(history["val_loss"][1:]) > history["val_loss"][0]
    expected = baseline_of(clips, rows[:60]).probabilities(rows)
    np.testing.assert_allclose(predict(head, clips, rows), expected, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_a_head_adds_to_its_baseline_what_only_time_shows():
    """Fakes flicker: their frames differ in turn from a mean that says nothing."""
    clips, rows = clips_of(192, strength=0), np.arange(192)
    flicker = np.where(np.arange(FRAMES) % 2, 1, -1)[:, None] * clips.labels[:, None, None]
    flickering = Clips((clips.features + flicker).astype(np.float16), clips.mask, clips.labels)
    config = LearnConfig(1e-2, 16, 30, 8, 3, True, 0)
    shape = HeadConfig("lstm", units=16, dense=8, differences=True, start="baseline")
    head, _ = learn(shape, config, flickering, rows[:120], rows[120:150])
    called = predict(head, flickering, rows[150:]) > 0.5
    baseline = baseline_of(flickering, rows[:120]).probabilities(rows[150:]) > 0.5
    assert (called == clips.labels[150:]).mean() > 0.9 > 0.75 > (baseline == clips.labels[150:]).mean()


def test_the_baseline_inside_a_head_is_never_trained():
    head = build_head(replace(small("lstm"), start="baseline"), WIDTH)
    assert not [weight.path for weight in head.trainable_weights if is_fixed(weight.path)]
    assert [weight.path for weight in head.weights if weight.path.startswith("baseline/")]


def test_runs_from_before_there_was_a_start_begin_from_nothing():
    assert parse(HeadConfig, {"head": "gru"}).start == "nothing"
    with pytest.raises(WrongValue, match=r"has 'code' as 'start', where one that this version knows is expected"):
        parse(HeadConfig, {"head": "gru", "start": "code"})


def test_a_loss_that_is_no_number_ends_in_a_sentence():
    with pytest.raises(UserError, match="--learning-rate below"):
        learn(small("mean"), LearnConfig(1e38, 16, 5, 5, 3, True, 0), clips_of(), np.arange(60), np.arange(60, 96))


@pytest.mark.parametrize(
    "wrong", [{"head": "transformer"}, {"units": 0}, {"dense": -1}, {"dropout": 1.0}, {"units": 10**9}]
)
def test_heads_that_cannot_be_built_are_refused(wrong):
    with pytest.raises(UserError):
        build_head(HeadConfig(**wrong), WIDTH)
