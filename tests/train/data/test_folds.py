"""Folds of a cross-validation: everybody is tested once, by models that never saw them."""

import pytest

from base.errors import UserError
from tests.stores import fake, pairs, real
from train.data.folds import GROUPINGS, Deal


def people_of(records, parts, *wanted):
    return {name for record, part in zip(records, parts, strict=True) if part in wanted for name in record.people}


def test_everyone_is_tested_once_by_models_that_saw_them_neither_as_target_nor_as_donor():
    records, tested = pairs(people=11), []
    deal = Deal(records, "person", 5, seed=0)
    for parts in deal.tested():
        owners = {record.target for record, part in zip(records, parts, strict=True) if part == "test"}
        assert not owners & people_of(records, parts, "train", "val")
        assert not {r.target for r, part in zip(records, parts, strict=True) if part == "val"} & {
            r.target for r, part in zip(records, parts, strict=True) if part == "train"
        }
        for wanted in ("train", "val", "test"):
            assert {r.label for r, part in zip(records, parts, strict=True) if part == wanted} == {0, 1}
        tested += [record.id for record, part in zip(records, parts, strict=True) if part == "test"]
    assert sorted(tested) == sorted(record.id for record in records)


def test_another_seed_deals_otherwise_and_the_same_one_does_not():
    deals = [list(Deal(pairs(), "person", 4, seed).tested()) for seed in (0, 0, 1)]
    assert deals[0] == deals[1] != deals[2]


def test_people_without_fakes_are_dealt_out_too():
    records = [*pairs(people=4, clips=1), *(real(person, 0) for person in range(10, 18))]
    for parts in Deal(records, "person", 4, seed=0).tested():
        tested = [record for record, part in zip(records, parts, strict=True) if part == "test"]
        assert sum(int(record.target[2:]) >= 10 for record in tested) == 2


def test_there_are_as_many_folds_as_people_with_fakes():
    assert Deal(pairs(people=3), "person", 5, 0).count == 3
    two = Deal(pairs(people=2), "person", 5, 0)
    assert (two.count, "val" in next(two.tested())) == (2, False)
    with pytest.raises(UserError, match="1 people have fakes and 2 have real clips, and folds need two of each"):
        Deal([real(0, 0), fake(0, 1, 0), real(1, 0)], "person", 5, 0)


def test_clips_of_one_source_stay_together():
    records = pairs(people=1, clips=6)
    for parts in Deal(records, "source", 3, 0).tested():
        groups = [GROUPINGS["source"].own(record) for record in records]
        places = {
            group: {part for other, part in zip(groups, parts, strict=True) if other == group} for group in groups
        }
        assert all(len(found) == 1 for found in places.values())
        assert list(parts).count("test") == 4


def test_a_share_of_the_people_trains_and_a_larger_one_has_them_too():
    records = pairs(people=20)
    deal = Deal(records, "person", 5, 0)
    parts = next(deal.tested())
    before: set[str] = set()
    for share, people in ((0.25, 3), (0.5, 6), (1.0, 12)):
        some, count = deal.thinned(parts, share)
        kept = {record.target for record, part in zip(records, some, strict=True) if part == "train"}
        assert (len(kept), count) == (people, people)
        assert before < kept
        before = kept
        assert [part for part in some if part in ("val", "test")] == [part for part in parts if part in ("val", "test")]
