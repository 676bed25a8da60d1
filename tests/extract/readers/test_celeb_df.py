"""The Celeb-DF reader: names into identities, the test list's labels reversed, and one sentence for each bad folder."""

from pathlib import Path

import pytest

from base.errors import UserError
from cache.schema import FAKE, REAL
from extract.readers.celeb_df import TEST_LIST
from extract.readers.layouts import read_dataset
from tests.extract.readers.trees import numbered

CLIPS = (
    "Celeb-real/id0_0000.mp4",
    "Celeb-real/id1_0000.avi",
    "YouTube-real/00007.mp4",
    "Celeb-synthesis/id0_id1_0000.mp4",
    "Celeb-synthesis/id1_id16_0000.mp4",
)


def read_celeb_df(root: Path):
    return read_dataset(root, "celeb-df")


def plant(root: Path, names=CLIPS, tested="1 Celeb-real/id0_0000.mp4\n0 Celeb-synthesis/id0_id1_0000.mp4") -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * len(name))
    if tested:
        (root / TEST_LIST).write_text(tested)
    return root


def test_names_give_labels_identities_and_sources(tmp_path):
    found = {record.id: record for record in read_celeb_df(plant(tmp_path)).records}
    assert list(found) == sorted(CLIPS)
    fake = found["Celeb-synthesis/id0_id1_0000.mp4"]
    assert (fake.label, fake.target, fake.donor, fake.source) == (FAKE, "id0", "id1", "Celeb-real/id0_0000.mp4")
    assert found["Celeb-synthesis/id1_id16_0000.mp4"].source == "Celeb-real/id1_0000.avi"
    real = found["YouTube-real/00007.mp4"]
    assert (real.label, real.target, real.donor, real.source) == (REAL, "", "", "")
    assert real.size == len(real.id)


@pytest.mark.parametrize("suffix", ["", ".mp4"])
def test_the_list_names_frames_by_themselves_or_by_their_video(tmp_path, suffix):
    names = (*numbered("Celeb-real/id0_0000"), *numbered("Celeb-synthesis/id0_id1_0000"))
    found = read_celeb_df(plant(tmp_path, names, f"1 Celeb-real/id0_0000{suffix}\n")).records
    assert [(record.id, record.part) for record in found] == [
        ("Celeb-real/id0_0000", "test"),
        ("Celeb-synthesis/id0_id1_0000", "train"),
    ]


def test_the_list_says_one_for_real_and_may_lack_its_last_newline(tmp_path):
    parts = {record.id: record.part for record in read_celeb_df(plant(tmp_path)).records}
    assert [name for name, part in parts.items() if part == "test"] == [
        "Celeb-real/id0_0000.mp4",
        "Celeb-synthesis/id0_id1_0000.mp4",
    ]
    assert parts["YouTube-real/00007.mp4"] == "train"


def test_without_a_list_there_is_no_official_part(tmp_path):
    assert {record.part for record in read_celeb_df(plant(tmp_path, tested="")).records} == {""}


def test_clips_may_lie_in_sub_folders(tmp_path):
    nested = [name.replace("/", "/videos/") for name in CLIPS]
    found = read_celeb_df(plant(tmp_path, nested)).records
    assert [record.id for record in found] == sorted(CLIPS)
    assert all("/videos/" in record.path for record in found)


def test_other_files_are_left_alone(tmp_path):
    plant(tmp_path)
    (tmp_path / "Celeb-real" / "notes.txt").write_text("x")
    (tmp_path / "Celeb-real" / "folder.mp4").mkdir()
    assert len(read_celeb_df(tmp_path).records) == len(CLIPS)


def test_the_same_clip_twice_is_refused(tmp_path):
    plant(tmp_path, [*CLIPS, "Celeb-real/videos/id0_0000.mp4"])
    with pytest.raises(UserError, match=r"id0_0000\.mp4 exists twice"):
        read_celeb_df(tmp_path)


@pytest.mark.parametrize(
    ("tested", "message"),
    [
        ("1 Celeb-real/id9_0000.mp4", "1 of 1 videos that do not exist, the first 'Celeb-real/id9"),
        ("1 ../secret.mp4", "line 1 names .* outside the data set"),
        ("1 /etc/passwd.mp4", "outside the data set"),
        ("\n1 Celeb-synthesis/id0_id1_0000.mp4", "line 2 calls .* real"),
        ("2 Celeb-real/id0_0000.mp4", "line 1 is not"),
        ("Celeb-real/id0_0000.mp4", "line 1 is not"),
        ("1 Celeb-real/id0 0000.mp4", "line 1 is not"),
    ],
)
def test_a_wrong_list_is_refused_by_line(tmp_path, tested, message):
    with pytest.raises(UserError, match=message):
        read_celeb_df(plant(tmp_path, tested=tested))


@pytest.mark.parametrize("coding", ["utf-8-sig", "utf-16"])
def test_a_list_may_have_any_coding_and_line_ends(tmp_path, coding):
    plant(tmp_path)
    text = "1 Celeb-real/id0_0000.mp4\r\n0 Celeb-synthesis/id0_id1_0000.mp4\r\n"
    (tmp_path / TEST_LIST).write_bytes(text.encode(coding))
    assert sum(record.part == "test" for record in read_celeb_df(tmp_path).records) == 2


def test_a_binary_list_is_refused(tmp_path):
    plant(tmp_path)
    (tmp_path / TEST_LIST).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read as a text"):
        read_celeb_df(tmp_path)


def test_folders_that_are_no_data_set(tmp_path):
    with pytest.raises(UserError, match="there is no"):
        read_celeb_df(tmp_path / "absent")
    with pytest.raises(UserError, match="no videos in Celeb-real"):
        read_celeb_df(tmp_path)
    (tmp_path / "Celeb-real").mkdir()
    with pytest.raises(UserError, match="no videos in Celeb-real"):
        read_celeb_df(tmp_path)
