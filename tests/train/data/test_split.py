"""Splits: nobody in two parts where that is promised, validation never from test, and every leak named."""

import dataclasses
import itertools
from collections import Counter

import numpy as np
import pytest

from base.errors import UserError
from cache.schema import VideoRecord
from tests.stores import fake, pairs, people_of, real
from train.data.audit import MOST_FINDINGS, MOST_NAMES, audit, audit_of, one_class_notes, scope, summary
from train.data.people import assign_people
from train.data.split import SplitConfig, split


def ids_of(records, parts, part):
    return [record.id for record, found in zip(records, parts, strict=True) if found == part]


def tangled(people=20, seed=0) -> list[VideoRecord]:
    """Everybody swapped with several others, as in Celeb-DF."""
    random = np.random.default_rng(seed)
    records = [real(person, number) for person in range(people) for number in range(4)]
    for person, number in itertools.product(range(people), range(4)):
        donor = int(random.choice([other for other in range(people) if other // 5 == person // 5 and other != person]))
        records.append(fake(person, donor, number))
    return records


@pytest.mark.parametrize("records", [pairs(), tangled(), tangled(40, 1)], ids=["pairs", "tangled", "many"])
@pytest.mark.parametrize("seed", range(5))
def test_identity_leaves_no_person_in_two_parts(records, seed):
    parts = split(records, SplitConfig("identity", seed)).parts
    people = {
        part: set().union(*map(people_of, ids_of(records, parts, part))) for part in ("train", "val", "test")
    }  # fmt: skip
    assert all(people.values())
    for one, other in itertools.combinations(people.values(), 2):
        assert not one & other
    for part in people:
        assert {name.split("/")[0] for name in ids_of(records, parts, part)} == {"Celeb-real", "Celeb-synthesis"}
    assert not audit(records, parts, [record.id for record in records])


def test_identity_drops_only_what_crosses_and_says_so():
    records = tangled()
    found = split(records, SplitConfig("identity"))
    part_of = {}
    for record, part in zip(records, found.parts, strict=True):
        if record.label == 0:
            part_of[record.target] = part
    dropped = ids_of(records, found.parts, "dropped")
    assert all(len({part_of[person] for person in people_of(name)}) == 2 for name in dropped)
    assert len(dropped) < len(records) / 3
    assert any(f"{len(dropped)} of {len(records)}" in note for note in found.notes)


def test_official_tests_on_the_list_and_validates_on_targets_of_train():
    records = pairs()
    found = split(records, SplitConfig("official"))
    tested = {record.id for record in records if record.part == "test"}
    assert set(ids_of(records, found.parts, "test")) == tested
    targets = {part: {name.split("/")[1].split("_")[0] for name in ids_of(records, found.parts, part)}
               for part in ("train", "val")}  # fmt: skip
    assert targets["val"]
    assert not targets["val"] & targets["train"]


def test_random_is_stratified_and_repeats_with_its_seed():
    records = pairs(20)
    first, again, other = (split(records, SplitConfig("random", seed)).parts for seed in (1, 1, 2))
    assert first == again != other
    labels = Counter(record.label for record, part in zip(records, first, strict=True) if part == "test")
    assert labels == {0: 12, 1: 12}


def test_csv_is_taken_as_it_is(tmp_path):
    records = pairs(4, 1)
    parts = ["train", "train", "train", "train", "val", "val", "test", "dropped"]
    lines = [f"{record.id},x,{part}" for record, part in zip(records[:-1], parts, strict=False)]
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(["id,comment,part", *lines]))
    found = split(records, SplitConfig("csv", csv=path))
    assert found.parts == parts
    assert "1 of 8 videos are dropped: mine.csv gives them no part." in found.notes


def test_csv_is_read_as_spreadsheets_and_pandas_save_it(tmp_path):
    records = pairs(4, 1)
    parts = ["train", "train", "train", "train", "val", "val", "test", "test"]
    lines = [f"{i};{record.id};{part}" for i, (record, part) in enumerate(zip(records, parts, strict=True))]
    path = tmp_path / "mine.csv"
    path.write_bytes("\r\n".join([";id;part", *lines]).encode("utf-16"))
    assert split(records, SplitConfig("csv", csv=path)).parts == parts


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,set\n", "no column part"),
        ("id,part\nabsent.mp4,test\n", "line 2: 'absent.mp4' is not among the extracted videos"),
        ("id,part\nCeleb-real/id0_0000.mp4,exam\n", "line 2: the part 'exam' is none of"),
        ("id,part\nCeleb-real/id0_0000.mp4,test\nCeleb-real/id0_0000.mp4,train\n", "line 3: .* a second time"),
        ("id,part\nCeleb-real/id0_0000.mp4,train\n", "a head cannot learn from one class"),
        ("\0\n", "at 0 is a NUL"),
    ],
)
def test_a_wrong_csv_is_refused_by_line(tmp_path, text, message):
    path = tmp_path / "mine.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        split(pairs(4, 1), SplitConfig("csv", csv=path))


@pytest.mark.parametrize(
    ("records", "config", "message"),
    [
        ([real(n, 0) for n in range(9)], SplitConfig("random"), "9 real and 0 fake videos"),
        ([real(0, 0), fake(0, 1, 0)], SplitConfig("random"), "too few for a stratified"),
        ([real(0, 0), fake(0, 1, 0)], SplitConfig("official"), "no official test video"),
        ([real(0, 0), fake(0, 1, 0), real(1, 0)], SplitConfig("identity"), "cannot be divided"),
        (pairs(), SplitConfig("official", val=0.9), "not a share from 0 to 0.5"),
        (pairs(), SplitConfig("csv"), "needs a file"),
        (pairs(tested=12), SplitConfig("official"), "the train part of the official split holds 0 real"),
    ],
)
def test_what_cannot_be_split_is_refused(records, config, message):
    with pytest.raises(UserError, match=message):
        split(records, config)


def test_the_audit_names_people_sources_and_equal_content():
    records = [real(0, 0), fake(0, 1, 0), real(1, 0), real(2, 0), real(3, 0), fake(3, 2, 0)]
    parts = ["train", "test", "val", "test", "dropped", "dropped"]
    found = {(finding.kind, finding.name): finding for finding in audit(records, parts, list("abcaee"))}
    assert set(found) == {
        ("identity", "id0"),
        ("identity", "id1"),
        ("source", "Celeb-real/id0_0000.mp4"),
        ("duplicate", "Celeb-real/id0_0000.mp4"),
    }
    assert found["identity", "id1"].videos == {"val": [records[2].id], "test": [records[1].id]}
    assert found["source", records[0].id].parts == ["train", "test"]
    assert "people: 2 (id0, id1)" in summary(list(found.values()), records)
    assert "nothing that the parts share was found (people, sources and identical files" in summary([], records)


def test_the_audit_equals_a_brute_force_look():
    records = tangled(12, 3)
    parts = split(records, SplitConfig("random")).parts
    seen = {person: {part for record, part in zip(records, parts, strict=True) if person in people_of(record.id)}
            for person in {f"id{number}" for number in range(12)}}  # fmt: skip
    found = {finding.name for finding in audit(records, parts, [record.id for record in records])
             if finding.kind == "identity"}  # fmt: skip
    assert found == {person for person, where in seen.items() if len(where) > 1}


def test_the_search_finds_the_best_assignment_of_few_people():
    # Two cliques of three: apart, they cost nothing.
    people = [frozenset([f"{clique}{one}", f"{clique}{other}"]) for clique in "ab" for one, other in
              itertools.product(range(3), repeat=2)]  # fmt: skip
    labels = [len(who) - 1 for who in people]
    parts = assign_people(people, labels, [0.5, 0.5], 0)
    assert parts is not None
    assert (parts >= 0).all()
    assert {tuple(set(parts[:9].tolist())), tuple(set(parts[9:].tolist()))} == {(0,), (1,)}


def test_the_identity_split_tests_on_the_share_that_is_asked_for():
    records = pairs(people=24)
    for share in (0.15, 0.4):
        parts = split(records, SplitConfig("identity", test=share)).parts
        assert parts.count("test") / len(parts) == pytest.approx(share, abs=0.06)
    with pytest.raises(UserError, match="--test 0 is no share"):
        split(records, SplitConfig("identity", test=0))


def test_a_run_lists_some_findings_and_counts_them_all():
    people = MOST_FINDINGS + 5
    records = [real(person, number) for person in range(people) for number in range(MOST_NAMES + 2)]
    parts = ["train" if record.id.endswith("_0000.mp4") else "test" for record in records]
    found = audit(records, parts, [record.id for record in records])
    kept = audit_of("identity", 0, [], found)
    assert kept.counts == {"identity": people, "source": 0, "duplicate": 0}
    assert kept.crossing == people
    assert kept.shared["identity"] == parts.count("test")
    assert len(kept.findings) == MOST_FINDINGS
    assert kept.findings[0].counts == {"train": 1, "test": MOST_NAMES + 1}
    assert kept.findings[0].videos["test"] == found[0].videos["test"][:MOST_NAMES]


def test_the_audit_names_equal_videos():
    records = pairs(people=4, clips=1, tested=0)
    parts = ["train", "train", "test", "train", "test", "test", "train", "train"]
    checksums = ["a", "b", "a", "b", "c", "d", "e", "f"]
    told = summary(audit(records, parts, checksums), records)
    assert f"identical videos: 1 ({records[0].id} = {records[2].id})" in told
    assert f"identical videos within one part: 1 ({records[1].id} = {records[3].id})" in told


def test_the_audit_says_what_it_could_not_look_for():
    assert scope(["id1"], ["a.mp4"]) == "people, sources and identical files were looked for"
    assert scope(["", "id1"], [""]) == (
        "sources and people of 1 of 2 clips unknown; people and identical files were looked for"
    )
    nameless = [dataclasses.replace(record, target="", source="") for record in pairs()]
    assert "(people and sources unknown; only identical files were looked for)" in summary([], nameless)


def test_a_clip_that_is_real_and_fake_is_refused_by_name():
    records = [real(0, 0), fake(0, 1, 0), real(1, 0)]
    with pytest.raises(UserError, match=r"id0_0000\.mp4 \(real\) and .*0000\.mp4 \(fake\) are the same"):
        audit(records, ["train", "test", "val"], ["a", "a", "b"])
    assert not audit(records, ["train", "dropped", "val"], ["a", "a", "b"])


def test_people_and_sources_of_one_class_are_named():
    records = [*pairs(people=4), *(real(9, number) for number in range(5))]
    parts = ["train"] * len(records)
    (note,) = one_class_notes(records, parts)
    assert note.startswith("One class only have id9: 5 real. A head can tell these clips by who or what they show")
    assert not list(one_class_notes(records, ["train"] * (len(records) - 1) + ["dropped"]))
    camera = [dataclasses.replace(record, target="", source="camera 3") for record in records[-5:]]
    assert "camera 3: 5 real" in next(one_class_notes([*pairs(people=4), *camera], parts))


def test_a_list_without_parts_is_told_which_column_to_add():
    with pytest.raises(UserError, match="a CSV file needs the column part"):
        split(pairs(tested=0), SplitConfig("official"))
