"""Several stores as one: whose clips are whose, in which order, and what is refused."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from base.errors import UserError
from cache.contents import load
from cache.manifest import read_manifest
from cache.store import open_store
from cache.union import load_union, read_members, stored_clips
from tests.stores import PROFILE, fake, pairs, real, write_features


@pytest.fixture
def halves(tmp_path) -> list[Path]:
    """The folders of two data sets, of people with even and with odd numbers; donors are of the other."""
    records = sorted(pairs(people=6), key=lambda record: record.id)
    even = [record for record in records if int(record.target[2:]) % 2 == 0]
    odd = [record for record in records if record not in even]
    return [
        write_features(tmp_path, even, name="even").folder,
        write_features(tmp_path, odd, name="odd", seed=1).folder,
    ]


def people_file(folder: Path, *lines: str) -> Path:
    path = folder / "people.csv"
    path.write_text("dataset,person,as\n" + "".join(f"{line}\n" for line in lines))
    return path


def test_all_clips_are_there_with_the_arrays_of_their_stores(halves):
    union = load_union(halves)
    assert union.folders == halves
    assert not union.missing
    for number, folder in enumerate(halves):
        own, store = union.data_sets == number, load(open_store(folder))
        names = [record.id for record, there in zip(union.records, own, strict=True) if there]
        assert names == [f"{folder.parent.name}/{record.id}" for record in store.records]
        np.testing.assert_array_equal(union.arrays[own], store.arrays)
        np.testing.assert_array_equal(union.seen.times[own], store.seen.times)
        np.testing.assert_array_equal(union.labels[own], store.labels)
        assert [one for one, there in zip(union.checksums, own, strict=True) if there] == store.checksums


def test_a_data_set_that_was_divided_in_two_is_in_the_order_of_the_whole(halves, tmp_path):
    whole = write_features(tmp_path, sorted(pairs(people=6), key=lambda one: one.id), name="whole")
    expected = [record.id for record in load(whole).records]
    assert [record.id.partition("/")[2] for record in load_union(halves).records] == expected
    assert expected != [record.id for folder in halves for record in read_manifest(folder / "manifest.csv")]


def test_one_folder_alone_keeps_its_names(halves):
    union, alone = load_union(halves[:1]), load(open_store(halves[0]))
    assert union.records == alone.records
    assert union.data_sets.tolist() == [0] * len(alone.records)


def test_people_are_others_in_another_data_set_and_sources_are_found(halves):
    clips = {one.record.id: one.record for one in read_members(halves)}
    found = clips["even/Celeb-synthesis/id0_id1_0000.mp4"]
    assert (found.target, found.donor) == ("id0 (even)", "id1 (even)")
    assert found.source in clips
    assert clips["odd/Celeb-real/id1_0000.mp4"].people == {"id1 (odd)"}
    assert clips["odd/Celeb-real/id1_0000.mp4"].donor == ""


def test_a_file_says_who_is_the_same(halves, tmp_path):
    same = people_file(tmp_path, "even,id1,id1", "odd,id1,id1")
    clips = {one.record.id: one.record for one in read_members(halves, same)}
    assert clips["even/Celeb-synthesis/id0_id1_0000.mp4"].people == {"id0 (even)", "id1"}
    assert clips["odd/Celeb-real/id1_0000.mp4"].target == "id1"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("oddd,id1,id1", r"line 2: 'oddd' is none of the data sets even, odd"),
        ("odd,id99,id1", r"line 2: nobody in odd is called 'id99'"),
        ("odd,id1,", r"line 2: nobody in odd"),
    ],
)
def test_a_line_that_names_nobody_is_refused(halves, tmp_path, line, what):
    with pytest.raises(UserError, match=what):
        load_union(halves, people_file(tmp_path, line))


def test_one_person_as_two_is_refused(halves, tmp_path):
    with pytest.raises(UserError, match=r"line 3: 'id1' of odd is two people"):
        load_union(halves, people_file(tmp_path, "odd,id1,one", "odd,id1,two"))


def test_a_file_of_people_for_one_data_set_is_refused(halves, tmp_path):
    with pytest.raises(UserError, match="for several data sets"):
        load_union(halves[:1], people_file(tmp_path, "even,id0,id0"))


def test_two_data_sets_of_one_name_are_refused(tmp_path):
    folders = [write_features(tmp_path / place, pairs(people=2, tested=0)).folder for place in "ab"]
    with pytest.raises(UserError, match=r"both of a data set called set.*rename the folder of one"):
        load_union(folders)


def test_two_profiles_are_refused_with_what_differs(tmp_path):
    one = write_features(tmp_path, pairs(people=2, tested=0), name="one").folder
    profile = dataclasses.replace(PROFILE, backbone="resnet50")
    other = write_features(tmp_path, pairs(people=2, tested=0), name="other", profile=profile).folder
    with pytest.raises(UserError, match=r"backbone=resnet50 instead of backbone=mobilenetv2"):
        load_union([one, other])


def test_clips_of_one_id_in_two_data_sets_stay_two(tmp_path):
    records = [real(0, 0), fake(0, 1, 0)]
    folders = [
        write_features(tmp_path, records, name=name, seed=seed).folder for seed, name in enumerate(("one", "two"))
    ]
    union = load_union(folders)
    assert len({record.id for record in union.records}) == len(union.records) == 4
    assert not np.array_equal(union.arrays[0], union.arrays[1])
    rows = dict(zip((record.id for record in union.records), union.checksums, strict=True))
    for record, stored in stored_clips(folders, lambda folder: folder):
        assert stored is not None
        assert stored[0].checksum[stored[1]] == rows[record.id]
