"""Cross-validation: its numbers are those counted by hand, its words say no more than they hold, and it runs."""

import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from base.errors import UserError
from cache.contents import load
from evaluate.printed import all_folds
from evaluate.stats.bootstrap import Measure
from evaluate.studies.cross_validation import CrossvalConfig, _all_folds, crossval
from evaluate.studies.crossval_numbers import RISING, Verdicts, curve_sentence, measure
from evaluate.studies.crossval_page import sentences, warnings
from extract.blended_rows import blend_records
from tests.stores import fake, pairs, real, write_features
from train.data.folds import GROUPINGS

PERSON = GROUPINGS["person"].own
SETTINGS = {"features": ["features"], "by": "person", "head": "lstm", "folds": 5}


def numbers_of(records, scores, folds, *less, resamples=200):
    head = np.array(scores, float)
    shape = np.broadcast_to(folds, head.shape)
    given = [Verdicts(2.0, np.array(one, float), np.full(head.shape, 0.5), shape) for one in less]
    return measure(records, [*given, Verdicts(4.0, head, np.full(head.shape, 0.5), shape)], PERSON, resamples, 0)


def test_the_numbers_are_those_counted_by_hand():
    records = [real(0, 0), real(1, 0), fake(0, 1, 0), fake(1, 0, 0), fake(0, 2, 0)]
    scores, folds = [[0.1, 0.8, 0.5, 0.7, 0.9], [0.5, 0.1, 0.5, 0.2, 0.1]], [0, 1, 0, 1, 0]
    found = numbers_of(records, scores, folds)
    assert found.head.by_repetition == pytest.approx([4 / 6, 3 / 6])
    assert found.head.within.value == pytest.approx((2 + 0 + 0.5 + 1) / 6)  # of the two folds, in both repetitions
    assert found.head.paired.value == pytest.approx((1 + 0 + 1 + 0.5 + 1 + 0) / 6)
    assert (found.folds, found.repetitions, found.groups, found.clips, found.fakes) == (2, 2, 2, 5, 3)
    assert found.baseline.pooled.value == 0.5
    assert found.head.pooled.value is not None
    assert found.difference.value == pytest.approx(found.head.pooled.value - 0.5)


def test_calls_are_counted_in_words_and_add_up():
    records = [*(fake(person, 9, 0) for person in range(10)), *(real(person, 0) for person in range(7))]
    once = [0.9] * 6 + [0.1] + [0.5] * 3 + [0.9] + [0.1] * 6
    found = numbers_of(records, [once], [0] * 17)
    said = "called 6 of 10 fakes fake, 1 real, 3 too close to call, and 1 of 7 real clips fake, 6 real"
    assert said in sentences(found, SETTINGS)[0]
    other = [0.9] * 5 + [0.5] * 5 + [0.5] * 7
    third = [0.9] * 5 + [0.1] * 5 + [0.5] * 7
    head = numbers_of(records, [once, other, third], [0] * 17).head
    assert head.fakes.clips == 10
    assert head.reals.clips == 7
    assert head.found.value == pytest.approx(16 / 30)
    assert head.alarms.value == pytest.approx(1 / 21)


def judged(random, people: int, gap: float) -> list[float]:
    """Scores of a real and a fake clip of each person, which lie so far apart."""
    return np.clip(np.tile([0.4, 0.4 + gap], people) + random.normal(0, 0.1, 2 * people), 0, 1).tolist()


def test_more_people_would_help_is_said_only_where_the_curve_rises():
    records = [record for person in range(40) for record in (real(person, 0), fake(person, person ^ 1, 0))]
    random, folds = np.random.default_rng(0), [0] * 80
    rising = numbers_of(records, [judged(random, 40, 0.25)], folds, [judged(random, 40, 0.05)])
    flat = numbers_of(records, [judged(random, 40, 0.1)], folds, [judged(random, 40, 0.1)])
    alone = numbers_of(records, [judged(random, 40, 0.1)], folds)
    assert RISING in curve_sentence(rising, "people")
    assert RISING not in curve_sentence(flat, "people")
    assert "the curve does not say" in curve_sentence(flat, "people")
    assert alone.gain is None
    unknown = replace(rising, gain=Measure(0.3, None, None))
    assert RISING not in curve_sentence(unknown, "people")


def test_a_head_is_called_better_than_its_baseline_only_where_the_interval_says_so():
    numbers = numbers_of(pairs(people=12), [np.tile([0.4] * 3 + [0.6] * 3, 12)], [0] * 72)
    for difference, said in (
        (Measure(0.1, 0.02, 0.2), "The head ranks clips better"),
        (Measure(0.1, -0.02, 0.2), "No clear difference"),
        (Measure(-0.1, -0.2, -0.01), "The head ranks clips worse"),
        (Measure(0.0, None, None), "so few people cannot say"),
    ):
        assert any(said in one for one in sentences(replace(numbers, difference=difference), SETTINGS))


def test_what_limits_the_numbers_is_said():
    numbers = replace(numbers_of(pairs(people=4), [[0.5] * 24], [0, 1] * 12), unnamed=3)
    said = " ".join(warnings(numbers, SETTINGS))
    assert "4 people are few" in said
    assert "Nobody says who is shown in 3 of 24 clips" in said
    assert "There are 2 folds, not 5" in said
    assert "Folds by source let models see the same people" in " ".join(warnings(numbers, SETTINGS | {"by": "source"}))
    assert not list(warnings(replace(numbers, groups=40, unnamed=0, folds=5), SETTINGS))


def test_where_nobody_says_who_is_shown_nothing_is_said_of_people(tmp_path, capsys):
    named = pairs(people=8, clips=2)
    store = write_features(tmp_path, [replace(video, target="", donor="") for video in named], strength=1.5)
    config = CrossvalConfig(store.folder, tmp_path / "out", folds=2, repeats=1, head="mean", epochs=1, resamples=50)
    text = all_folds(config).read_text(encoding="utf-8")
    printed = capsys.readouterr().out
    assert "source videos in 2 folds" in printed
    for said in (printed, text):
        assert "On source videos that it never saw, the head called" in said
        assert "Nobody says who is shown in 32 of 32 clips" in said
        assert "people" not in said.replace("Nobody says who is shown", "")


def test_it_trains_in_every_fold_and_shows_what_it_found(tmp_path, capsys):
    videos = pairs(people=8, clips=2)
    store = write_features(tmp_path, [*videos, *blend_records(videos, 1)], strength=1.5)
    config = CrossvalConfig(
        store.folder, tmp_path / "out", folds=3, repeats=2, head="mean", epochs=2, resamples=100, seeds=2, curve=True
    )
    page = all_folds(config)
    text, found = page.read_text(encoding="utf-8"), json.loads((page.parent / "crossval.json").read_text())
    assert (found["clips"], found["fakes"], found["folds"], found["repetitions"]) == (32, 16, 3, 2)
    assert found["head"]["pooled"]["value"] > 0.7
    printed = capsys.readouterr().out
    for sentence in (*found["sentences"], *found["warnings"]):
        assert sentence in printed
        assert sentence.replace("<", "&lt;") in text
    assert len(found["curve"]) >= 2
    assert [point["trained_on"] for point in found["curve"]] == sorted(point["trained_on"] for point in found["curve"])
    assert text.count("<svg") == 1
    with (page.parent / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted({row["repetition"] for row in rows}) == ["1", "2"]
    assert sorted(row["id"] for row in rows) == sorted([video.id for video in videos] * 2)
    assert {row["fold"] for row in rows} == {"1", "2", "3"}
    assert all(0 <= float(row["probability"]) <= 1 for row in rows)
    assert re.search(r"reelcheck crossval .*--folds 3 .*--head mean", text)


def test_what_cannot_be_cross_validated_is_told_in_a_sentence(tmp_path):
    store = write_features(tmp_path, pairs(people=1, clips=6))
    config = CrossvalConfig(store.folder, tmp_path / "out")
    with pytest.raises(UserError, match="1 people have fakes and 1 have real clips, and folds need two of each"):
        crossval(config)
    for wrong in ({"folds": 1}, {"repeats": 0}):
        with pytest.raises(UserError, match="folds must be 2 or above, repeats and places 1 or above"):
            crossval(replace(config, **wrong))
    assert not (tmp_path / "out").exists()


def test_a_share_of_the_people_without_a_fake_to_learn_from_has_no_point_on_the_curve(tmp_path, capsys):
    records = [*(real(person, 0) for person in range(16)), *(fake(person, person + 8, 0) for person in range(4))]
    store = write_features(tmp_path, records)
    folds = _all_folds(CrossvalConfig(store.folder, folds=4, repeats=1), load(store), records)
    assert "The learning curve has no point for 25% of the people: the train part of a fold holds" in (
        capsys.readouterr().out
    )
    shares = {one.share for one in folds}
    assert 1.0 in shares
    assert 0.25 not in shares
    assert all(sum(one.share == share for one in folds) == 4 for share in shares)
