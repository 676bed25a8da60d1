"""The default split is the best that a data set allows, and it says in one sentence which that is."""

from dataclasses import replace

import pytest

from cache.schema import TEST, TRAIN
from tests.stores import pairs
from train.data.split import SplitConfig, split


def without_people(records):
    return [replace(record, target="", donor="", source="") for record in records]


@pytest.mark.parametrize(
    ("records", "kind", "sentence"),
    [
        (pairs(people=8, tested=3), "official", "The split is official: the data set's own test part"),
        (
            pairs(people=8, tested=0),
            "identity",
            "The split is identity: by person, since the data set has no test part",
        ),
        (pairs(people=1, clips=20, tested=0), "random", "and there are too few people to divide"),
        (without_people(pairs(people=8, tested=0)), "random", "and nothing says who is shown"),
    ],
    ids=["official parts", "people", "one person", "unknown people"],
)
def test_each_data_set_gets_the_best_that_it_allows(records, kind, sentence):
    found = split(records, SplitConfig())
    assert found.kind == kind
    assert sum(sentence in note for note in found.notes) == 1
    assert {TRAIN, TEST} <= set(found.parts)
    assert found.parts == split(records, SplitConfig(kind)).parts


def test_a_file_of_parts_is_taken_as_it_is(tmp_path):
    path, records = tmp_path / "parts.csv", pairs(people=4, tested=1)
    parts = [TEST if number < 4 else TRAIN for number in range(len(records))]
    rows = [f"{record.id},{part}\n" for record, part in zip(records, parts, strict=True)]
    path.write_text("".join(["id,part\n", *rows]))
    found = split(records, SplitConfig(csv=path, val=0.0))
    assert (found.kind, found.parts) == ("csv", parts)
