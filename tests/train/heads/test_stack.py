"""Heads in a stack: the same numbers as the plain head, and as the head trained alone."""

from dataclasses import replace

import keras
import numpy as np
import psutil
import pytest

from cache.contents import _aligned
from cache.schema import FRAMES
from tests.stores import WIDTH
from tests.train.heads.test_architectures import baseline_of, clips_of
from train.data.clips import Clips, balanced_weights
from train.data.inputs import prepare
from train.heads.architectures import HEADS, STARTS, HeadConfig, build_head
from train.heads.jobs import Fold, HeadJob, LearnConfig
from train.heads.mapping import LAYERS, forward, mappable_branch
from train.heads.ranking import roc_auc
from train.heads.stack import Stack, draw_weights
from train.heads.training import finished_head, learn_folds, learn_many, predict

ROWS = np.arange(96)
TRAIN, VAL = ROWS[:60], ROWS[60:]
QUICK = LearnConfig(1e-2, 16, 6, 6, 6, True, 0)
EVERY = pytest.mark.parametrize("name", HEADS)
QUICKLY = (("lstm", "nothing"), ("mean", "baseline"))


def trained(quickly: tuple[tuple[str, str], ...]) -> pytest.MarkDecorator:
    """Returns every head and start, those that are not trained `quickly` among the slow tests: training compiles."""
    every = [(name, start) for name in HEADS for start in STARTS]
    cases = [pytest.param(*each, marks=() if each in quickly else pytest.mark.slow) for each in every]
    return pytest.mark.parametrize(("name", "start"), cases)


TRAINED, ALONE = trained(QUICKLY), trained(QUICKLY[-1:])


def small(name: str, **changes) -> HeadConfig:
    return replace(HeadConfig(name, units=6, dense=5), **changes)


@EVERY
@pytest.mark.parametrize("differences", [False, True])
def test_a_stack_says_what_the_plain_heads_say(name, differences):
    config, clips = small(name, differences=differences), clips_of(10)
    branch = mappable_branch(config, WIDTH)
    vector, heads, drawn = branch.get_layer("batch_norm").gamma.shape[0], [], []
    for seed in range(3):
        head = build_head(config, WIDTH)
        head.get_layer("normalise").set_weights([np.zeros(WIDTH), np.ones(WIDTH)])
        weights = draw_weights(head, np.random.default_rng(seed))
        random = np.random.default_rng(seed)
        weights = {key: value + random.normal(0, 0.1, value.shape).astype("float32") for key, value in weights.items()}
        for weight in head.weights:
            if weight.path in weights:
                weight.assign(weights[weight.path])
        heads.append(head)
        drawn.append(weights)
    stacked = {key: keras.ops.stack([weights[key] for weights in drawn]) for key in drawn[0]}
    frames = np.stack([clips.features.astype(np.float32)] * 3)
    given = {"frames": frames, "mask": np.stack([clips.mask] * 3), "keep": np.ones((3, 10, vector), "float32")}
    logits, moved = forward(branch, stacked, given, training=False)
    inputs = {"features": clips.features.astype(np.float32), "mask": clips.mask}
    plain = [np.asarray(head(inputs))[:, 0] for head in heads]
    np.testing.assert_allclose(1 / (1 + np.exp(-np.asarray(logits))), plain, rtol=1e-5, atol=1e-6)
    for key, value in moved.items():
        np.testing.assert_array_equal(np.asarray(value), np.asarray(stacked[key]))
    assert np.std(plain) > 1e-3


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Conv1D", {"kernel_size": 2, "padding": "causal", "dilation_rate": 8}),
        ("Conv1D", {"kernel_size": 3, "padding": "causal", "use_bias": False, "activation": "relu"}),
        ("Conv1D", {"kernel_size": 3, "padding": "same"}),
        *((name, {"return_sequences": True, "unroll": True}) for name in ("LSTM", "GRU")),
        *((name, {"go_backwards": True}) for name in ("LSTM", "GRU")),
        *((name, {"activation": "relu", "use_bias": False}) for name in ("LSTM", "GRU")),
        ("GRU", {"reset_after": False}),
    ],
)
def test_a_layer_that_maps_fast_computes_what_the_layer_of_keras_computes(name, options):
    frames, mask = np.random.default_rng(0).normal(0, 1, (3, FRAMES, 4)).astype("float32"), np.ones((3, FRAMES), bool)
    mask[:, 9:] = False
    masked = {} if name == "Conv1D" else {"mask": mask}
    size = "filters" if name == "Conv1D" else "units"
    fast, plain = (kind(**{size: 5}, **options) for kind in (LAYERS[name], getattr(keras.layers, name)))
    fast.build(frames.shape)
    plain.build(frames.shape)
    random = np.random.default_rng(1)
    values = [random.normal(0, 0.5, value.shape) for value in plain.get_weights()]
    for layer in (fast, plain):
        layer.set_weights(values)
    found, expected = (np.asarray(layer(frames, **masked)) for layer in (fast, plain))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@ALONE
def test_a_trial_in_a_stack_learns_what_it_learns_alone(name, start):
    clips = clips_of(strength=0.3)
    inputs = prepare(clips, TRAIN, 0, baseline_of(clips, TRAIN))
    jobs = [
        HeadJob(
            small(name, dropout=share, start=start), replace(QUICK, learning_rate=rate, weight_decay=decay, seed=seed)
        )
        for share, rate, decay, seed in ((0.0, 1e-2, 0.0, 3), (0.5, 3e-3, 0.1, 4), (0.3, 2e-2, 1.0, 5))
    ]
    together = dict(learn_many(jobs, inputs, TRAIN, VAL, 3))
    alone = dict(learn_many(jobs, inputs, TRAIN, VAL, 1))  # one slot: one after the other
    for job in jobs:
        for column in ("loss", "val_loss"):
            found, expected = together[job].history[column], alone[job].history[column]
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
            assert len(found) == 7 if start == "baseline" else 6
        found, expected = (
            predict(finished_head(job.head, progress[job], inputs), clips, VAL) for progress in (together, alone)
        )
        np.testing.assert_allclose(found, expected, atol=1e-4)
    losses = [together[job].history["loss"] for job in jobs]
    assert np.abs(np.diff(losses, axis=0))[:, -6:].min() > 1e-4


IDLE = "score/bias"
"""Softmax takes it out of attention's scores: its gradient is rounding, which Adam makes as large as any other."""
DECAY = 2.0
"""Takes 2 % off each weight at each step: without it, the two would differ by far more than rounding."""


@TRAINED
def test_training_takes_the_steps_that_keras_takes(name, start):
    """One epoch without dropout, against the plain head under keras.optimizers.AdamW on the same weighted batches."""
    clips, config = clips_of(strength=0.3), small(name, dropout=0.0, start=start)
    baseline = baseline_of(clips, TRAIN)
    inputs = prepare(clips, TRAIN, 0, replace(baseline, offsets=baseline.logits))  # as inside the plain head
    job = HeadJob(config, replace(QUICK, fixed_epochs=1, weight_decay=DECAY))
    ((_, progress),) = learn_many([job], inputs, TRAIN, VAL[:0], 1)
    head = build_head(config, WIDTH)
    head.get_layer("normalise").set_weights([inputs.mean, inputs.variance])
    if start == "baseline":
        head.get_layer("baseline").set_weights(baseline.layer(inputs.mean, inputs.variance))
    drawn = draw_weights(head, np.random.default_rng([0, 0]))
    for weight in head.weights:
        if weight.path in drawn:
            weight.assign(drawn[weight.path])
    head.compile(keras.optimizers.AdamW(1e-2, DECAY), keras.losses.BinaryCrossentropy())
    class_weights = balanced_weights(clips.labels[TRAIN])
    assert abs(class_weights[0] - class_weights[1]) > 0.5
    for rows in np.random.default_rng([0, 0]).permutation(TRAIN).reshape(-1, 15):
        batch = {"features": clips.features[rows].astype(np.float32), "mask": clips.mask[rows]}
        labels = clips.labels[rows]
        head.train_on_batch(batch, labels[:, None].astype(np.float32), class_weights[labels])
    for weight in head.weights:
        if weight.path in progress.weights and weight.path != IDLE:
            np.testing.assert_allclose(np.asarray(weight), progress.weights[weight.path], rtol=2e-3, atol=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "differences"), [*((name, False) for name in HEADS if name != "mean"), ("lstm", True), ("tcn", True)]
)
def test_a_head_learnt_from_components_takes_all_features(name, differences):
    clips, config = clips_of(), small(name, differences=differences)
    inputs = prepare(clips, TRAIN, 5)
    assert inputs.frames.shape == (96, FRAMES, 5)
    ((_, progress),) = learn_many([HeadJob(config, QUICK)], inputs, TRAIN, VAL, 1)
    head = build_head(config, 5)
    head.get_layer("normalise").set_weights([np.zeros(5), np.ones(5)])
    for weight in head.weights:
        if weight.path in progress.weights:
            weight.assign(progress.weights[weight.path])
    projected = np.asarray(head({"features": inputs.frames, "mask": clips.mask}))[:, 0]
    folded = finished_head(config, progress, inputs)
    np.testing.assert_allclose(predict(folded, clips, ROWS), projected, atol=1e-5)


def test_components_are_those_of_train_and_carry_most_of_what_varies():
    clips = clips_of()
    inputs = prepare(clips, TRAIN, 5)
    other = Clips(clips.features.copy(), clips.mask, clips.labels)
    other.features[60:] = 9
    np.testing.assert_array_equal(prepare(other, TRAIN, 5).basis, inputs.basis)
    everything = prepare(clips, TRAIN, 0)
    frames = everything.seen(TRAIN)[clips.mask[TRAIN]].astype(np.float64)
    reference = np.linalg.svd(frames, full_matrices=False)[2][:5]
    np.testing.assert_allclose(np.abs(reference @ inputs.basis), np.eye(5), atol=1e-3)


def test_a_loss_that_is_no_number_ends_one_head_and_not_the_others():
    clips = clips_of()
    inputs = prepare(clips, TRAIN, 0)
    jobs = [HeadJob(small("mean"), replace(QUICK, learning_rate=rate, seed=1)) for rate in (1e-2, 1e38)]
    found = dict(learn_many(jobs, inputs, TRAIN, VAL, 2))
    assert "was nan" in found[jobs[1]].broken
    assert found[jobs[1]].epochs < 6
    ((_, alone),) = learn_many(jobs[:1], inputs, TRAIN, VAL, 1)
    np.testing.assert_allclose(found[jobs[0]].history["loss"], alone.history["loss"], rtol=1e-4)


def test_features_that_were_loaded_are_in_memory_once():
    features = _aligned((3000, FRAMES, 1000), np.dtype(np.float16))
    features[:] = np.random.default_rng(0).normal(0, 1, features.shape[1:])
    inputs = prepare(Clips(features, np.ones(features.shape[:2], bool), np.arange(3000) % 2), ROWS, 0)
    process = psutil.Process()
    before = process.memory_info().rss
    stack = Stack(small("mean", start="nothing"), [inputs], slots=1, batch=8)
    assert process.memory_info().rss - before < features.nbytes / 2
    rows = np.array([1, 2999])
    shown = np.asarray(stack._network.resident_frames[2999, 3, :5])
    np.testing.assert_array_equal(shown, features[2999, 3, :5])
    assert np.isfinite(stack.logits(rows[None])).all()


def test_of_equal_validation_losses_the_first_is_kept(monkeypatch):
    monkeypatch.setattr(Stack, "logits", lambda _, rows: np.zeros(rows.shape))
    job = HeadJob(small("mean"), replace(QUICK, epochs=9, patience=4))
    ((_, progress),) = learn_many([job], prepare(clips_of(), TRAIN, 0), TRAIN, VAL, 1)
    assert (progress.best, progress.epochs) == (1, 5)


def test_whoever_watches_a_head_can_end_it():
    clips = clips_of()
    inputs = prepare(clips, TRAIN, 0)
    jobs = [HeadJob(small("mean"), QUICK, lambda progress, last=last: progress.epochs < last) for last in (2, 9)]
    found = dict(learn_many(iter(jobs), inputs, TRAIN, VAL, 1))
    assert [found[job].epochs for job in jobs] == [2, 6]


def test_auc_is_that_of_scikit_learn_with_ties_and_none_for_one_class():
    from sklearn.metrics import roc_auc_score

    random = np.random.default_rng(0)
    scores, labels = random.integers(0, 5, (7, 40)).astype(float), random.integers(0, 2, 40)
    np.testing.assert_allclose(roc_auc(scores, labels), [roc_auc_score(labels, row) for row in scores])
    assert np.isnan(roc_auc(scores, np.zeros(40, int))).all()


@pytest.mark.parametrize("components", [pytest.param(0, marks=pytest.mark.slow), 5])
def test_a_head_learns_in_a_stack_of_folds_what_it_learns_in_its_fold_alone(components):
    clips, test = clips_of(strength=0.3), ROWS[80:]
    parts = [(ROWS[:40], ROWS[60:80]), (ROWS[20:60], ROWS[:10]), (ROWS[10:50], ROWS[50:80])]
    folds = [
        Fold(prepare(clips, train, components, baseline_of(clips, train)), train, val, test) for train, val in parts
    ]
    shape, learn = small("attention", start="baseline"), replace(QUICK, epochs=3)
    jobs = [HeadJob(shape, replace(learn, seed=fold), fold=fold) for fold in range(3)]
    together = dict(learn_folds(jobs, folds, 2))
    for job, fold in zip(jobs, folds, strict=True):
        ((_, alone),) = learn_many([replace(job, fold=0)], fold.inputs, fold.train, fold.val, 1)
        for column in ("loss", "val_loss", "val_auc"):
            np.testing.assert_allclose(together[job].history[column], alone.history[column], rtol=1e-3, atol=1e-4)
        finished, logits = predict(finished_head(shape, together[job], fold.inputs), clips, test), together[job].tested
        assert logits is not None
        np.testing.assert_allclose(1 / (1 + np.exp(-logits)), finished, atol=1e-4)
    losses = [together[job].history["val_loss"][-1] for job in jobs]
    assert np.abs(np.diff(losses)).min() > 1e-3


def test_a_smaller_fold_takes_as_many_steps_in_an_epoch(monkeypatch):
    clips, taken = clips_of(), []
    step = Stack.step
    monkeypatch.setattr(Stack, "step", lambda self, rows, *more: (taken.append(rows), step(self, rows, *more)))
    trains = (ROWS[:48], ROWS[:20])
    folds = [Fold(prepare(clips, train, 0, baseline_of(clips, train)), train, VAL) for train in trains]
    jobs = [HeadJob(small("mean"), replace(QUICK, epochs=1), fold=fold) for fold in range(2)]
    list(learn_folds(jobs, folds, 2))
    seen = [np.concatenate([rows[slot] for rows in taken]) for slot in range(2)]
    assert [len(rows) for rows in seen] == [48, 48]
    assert sorted(seen[0]) == list(range(48))
    assert set(np.bincount(seen[1])) == {2, 3}  # again and again, each clip as often
