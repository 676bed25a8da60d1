"""The baseline: fitted on train only, of a strength chosen on strangers, with logits out of fold for train."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from base.errors import UserError
from cache.schema import FRAMES
from tests.train.heads.test_architectures import clips_of
from train.data.baseline import DEFAULT_STRENGTH, STRENGTHS, fit_baseline
from train.data.clips import Clips, pool
from train.data.folds import divide
from train.data.inputs import frame_statistics

ROWS = np.arange(96)
OWNERS = [f"id{row % 24}" for row in ROWS]


def reference(clips: Clips, rows: np.ndarray, strength: float):
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, class_weight="balanced", max_iter=1000))
    return model.fit(pool(clips.features, clips.mask)[rows], clips.labels[rows])


def test_pooling_ignores_padding():
    clips = clips_of(6)
    pooled = pool(clips.features, clips.mask)
    np.testing.assert_allclose(pooled[0], clips.features[0][clips.mask[0]].astype(np.float64).mean(0))
    other = np.where(clips.mask[..., None], clips.features, np.float16(9))
    np.testing.assert_array_equal(pool(other, clips.mask), pooled)


def test_the_baseline_is_that_of_scikit_learn():
    clips, train = clips_of(strength=0.2), ROWS[:60]
    found = fit_baseline(clips, train, OWNERS)
    expected = reference(clips, train, found.strength).predict_proba(pool(clips.features, clips.mask))[:, 1]
    np.testing.assert_allclose(found.probabilities(ROWS), expected, atol=1e-4)
    mean, variance = frame_statistics(clips.features, clips.mask, train)
    kernel, bias = found.layer(mean, variance)
    normalised = (pool(clips.features, clips.mask) - mean) / np.sqrt(variance)
    np.testing.assert_allclose((normalised @ kernel + bias)[:, 0], found.logits, atol=1e-5)


def test_the_baseline_does_not_look_at_clips_outside_train():
    clips, train = clips_of(strength=0.2), ROWS[:60]
    other = Clips(np.concatenate([clips.features[:60], clips.features[60:] * 3]), clips.mask, clips.labels.copy())
    other.labels[60:] = 1 - other.labels[60:]
    one, two = (fit_baseline(given, train, OWNERS) for given in (clips, other))
    np.testing.assert_array_equal(one.logits[train], two.logits[train])
    np.testing.assert_array_equal(one.offsets[train], two.offsets[train])
    assert one.summary == two.summary


def test_offsets_of_train_come_from_regressions_that_have_not_seen_the_person():
    clips, train = clips_of(strength=0.2), ROWS[:60]
    found, folds = fit_baseline(clips, train, OWNERS), divide(clips.labels[train], OWNERS[:60])
    assert folds is not None
    for number in range(folds.count):
        inside = train[folds.numbers == number]
        model = reference(clips, train[folds.numbers != number], found.strength)
        expected = model.decision_function(pool(clips.features, clips.mask)[inside])
        np.testing.assert_allclose(found.offsets[inside], expected, atol=1e-2)
    np.testing.assert_array_equal(found.offsets[60:], found.logits[60:])


def test_what_the_baseline_knows_by_heart_is_not_in_the_offsets():
    """Features that tell people apart and nothing else: known people are recognised, strangers are not."""
    random = np.random.default_rng(0)
    people = random.normal(0, 1, (24, 400))
    features = np.repeat(people[np.arange(96) % 24][:, None], FRAMES, axis=1).astype(np.float16)
    clips = Clips(features, np.ones((96, FRAMES), bool), (np.arange(96) % 24) % 2)
    found = fit_baseline(clips, ROWS, OWNERS)
    assert roc_auc_score(clips.labels, found.logits) == 1
    assert roc_auc_score(clips.labels, found.offsets) < 0.7


def test_strength_is_the_default_unless_strangers_tell_otherwise():
    def strength_for(informative: int, clips: int) -> float:
        random = np.random.default_rng(3)
        labels = np.arange(clips) // 24 % 2
        features = np.repeat(random.normal(0, 1, (clips, 1, 200)), FRAMES, axis=1)
        features[:, :, :informative] += labels[:, None, None]
        made = Clips(features.astype(np.float16), np.ones((clips, FRAMES), bool), labels)
        found = fit_baseline(made, np.arange(clips), [f"id{row % 24}" for row in range(clips)])
        loss = np.mean(np.logaddexp(0, found.offsets) - labels * found.offsets)
        assert found.log_loss == pytest.approx(loss)
        return found.strength

    assert strength_for(0, 240) == min(STRENGTHS)
    assert strength_for(20, 240) == max(STRENGTHS)
    assert strength_for(4, 96) == DEFAULT_STRENGTH


def test_the_baseline_learns_from_train_and_refuses_what_is_no_number():
    clips = clips_of()
    found = fit_baseline(clips, ROWS[:60], OWNERS)
    assert ((found.probabilities(ROWS[60:]) > 0.5) == clips.labels[60:]).mean() > 0.85
    clips.features[7, 0, 0] = np.inf
    with pytest.raises(UserError, match="features of 1 clips are not all finite"):
        fit_baseline(clips, ROWS[:60], OWNERS)


@pytest.mark.parametrize("seed", range(4))
def test_folds_share_nobody_and_leave_both_classes(seed):
    random = np.random.default_rng(seed)
    owners = [f"id{number}" for number in random.integers(0, 9, 60)]
    labels = np.array([int(name in ("id1", "id2", "id3")) for name in owners])
    folds = divide(labels, owners)
    assert folds is not None
    assert (folds.by, folds.count) == ("person", 3)
    for number in range(folds.count):
        inside = folds.numbers == number
        assert not {name for name, one in zip(owners, inside, strict=True) if one} & {
            name for name, one in zip(owners, inside, strict=True) if not one
        }
        assert set(labels[~inside]) == {0, 1}


@pytest.mark.parametrize(
    ("labels", "owners", "by", "sentence"),
    [
        ([0, 1] * 8, [f"id{number // 2}" for number in range(16)], "person", "on 5 folds of train by person"),
        ([0, 1] * 8, ["id0"] * 16, "clip", "train has too few people for folds by person"),
        ([0] * 3 + [1] * 2, ["a", "b", "c", "d", "d"], "clip", "on 2 folds of train by clip"),
        ([0] * 15 + [1], [f"id{number}" for number in range(16)], "", "too few clips to choose another"),
    ],
)
def test_too_few_people_or_clips_for_folds_are_told_in_a_sentence(labels, owners, by, sentence):
    clips = clips_of(len(labels))
    found = fit_baseline(Clips(clips.features, clips.mask, np.array(labels)), np.arange(len(labels)), owners)
    assert found.by == by
    assert sentence in str(found)
    assert np.isfinite(found.offsets).all()
