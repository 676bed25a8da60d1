"""Every layout but Celeb-DF: labels, people, sources and parts of each, and one sentence for what cannot be read."""

import json
import random
import unicodedata
from pathlib import Path
from typing import Literal

import pytest

from base.command_line.parse import parse_flags
from base.errors import UserError
from cache.manifest import read_manifest, write_manifest
from cache.schema import FAKE, REAL
from extract import pipeline, unit
from extract.pipeline import ExtractConfig
from extract.readers.layouts import READERS, read_dataset
from train.data.audit import audit
from train.data.split import SplitConfig, split

FF_METHODS = ("Deepfakes", "NeuralTextures")
FF_PAIRS = (("000", "003"), ("001", "004"), ("002", "005"))
FF_LISTS = {"train": [["000", "003"]], "val": [["001", "004"]], "test": [["002", "005"]]}
DFDC = {
    "aaa.mp4": {"label": "REAL", "split": "train", "original": None},
    "bbb.mp4": {"label": "FAKE", "split": "train", "original": "aaa.mp4"},
    "ccc.mp4": {"label": "FAKE", "split": "test", "original": "zzz.mp4"},
}


def plant(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * len(name))
    return root


def plant_ff(root: Path, pairs=FF_PAIRS, level="c23", methods=FF_METHODS) -> Path:
    for one, other in pairs:
        plant(root, *(f"original_sequences/youtube/{level}/videos/{name}.mp4" for name in (one, other)))
        swaps = (f"{one}_{other}", f"{other}_{one}")
        plant(root, *(f"manipulated_sequences/{m}/{level}/videos/{s}.mp4" for m in methods for s in swaps))
    return root


def plant_lists(root: Path, lists=FF_LISTS) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for part, pairs in lists.items():
        (root / f"{part}.json").write_text(json.dumps(pairs))
    return root


def plant_dfdc(folder: Path, metadata=DFDC, absent=()) -> Path:
    plant(folder, *(name for name in metadata if name not in absent))
    (folder / "metadata.json").write_text(json.dumps(metadata))
    return folder


def plant_csv(path: Path, text: str) -> Path:
    plant(path.parent, "a.mp4", "deep/b.mp4", "deep/c.avi")
    path.write_text(text, encoding="utf-8-sig")
    return path


def by_id(root: Path, *arguments) -> dict:
    return {record.id: record for record in read_dataset(root, *arguments).records}


def test_ff_names_give_labels_people_and_sources(tmp_path):
    found = by_id(plant_ff(tmp_path / "ff"))
    assert len(found) == 6 + 12
    fake = found["Deepfakes/000_003.mp4"]
    assert (fake.label, fake.target, fake.donor, fake.source) == (FAKE, "ff-000", "ff-003", "youtube/000.mp4")
    assert fake.path == "manipulated_sequences/Deepfakes/c23/videos/000_003.mp4"
    assert {record.kind for record in found.values() if record.label == FAKE} == set(FF_METHODS)
    real = found["youtube/003.mp4"]
    assert (real.label, real.target, real.donor, real.source, real.part, real.kind) == (REAL, "ff-003", *[""] * 4)


def test_ff_actors_are_people_of_their_own_and_their_scene_is_the_source(tmp_path):
    plant(tmp_path, "original_sequences/actors/raw/videos/01__exit_phone_room.mp4",
          "manipulated_sequences/DeepFakeDetection/raw/videos/01_02__exit_phone_room__YVGY8LOK.mp4",
          "manipulated_sequences/DeepFakeDetection/raw/videos/01_02__walking__ABC12345.mp4",
          "manipulated_sequences/DeepFakeDetection/raw/videos/odd name.mp4",
          "manipulated_sequences/DeepFakeDetection/masks/videos/01_02__walking__ABC12345.mp4")  # fmt: skip
    found = by_id(tmp_path)
    fake = found["DeepFakeDetection/01_02__exit_phone_room__YVGY8LOK.mp4"]
    real = found["actors/01__exit_phone_room.mp4"]
    assert (fake.target, fake.donor, fake.source) == ("actor-01", "actor-02", real.id)
    assert (real.target, real.donor, real.label) == ("actor-01", "", REAL)
    assert found["DeepFakeDetection/01_02__walking__ABC12345.mp4"].source == "actors/01__walking"
    assert found["DeepFakeDetection/odd name.mp4"].people == frozenset()


@pytest.mark.parametrize("place", ["", "splits"])
def test_ff_lists_give_parts_to_pairs_either_way_round(tmp_path, place):
    root = plant_ff(tmp_path / "ff")
    plant(root, "manipulated_sequences/Deepfakes/c23/videos/000_001.mp4")
    plant_lists(root / place)
    parts = {name: record.part for name, record in by_id(root).items()}
    assert {parts[f"NeuralTextures/{name}.mp4"] for name in ("001_004", "004_001")} == {"val"}
    assert (parts["youtube/003.mp4"], parts["youtube/001.mp4"], parts["youtube/005.mp4"]) == ("train", "val", "test")
    assert parts["Deepfakes/000_001.mp4"] == ""


def test_official_parts_are_kept_as_they_are_and_what_has_none_is_dropped(tmp_path):
    root = plant_ff(tmp_path)
    plant(root, "original_sequences/actors/c23/videos/01__walking.mp4")
    plant_lists(root)
    records = read_dataset(root).records
    found = split(records, SplitConfig("official"))
    for record, part in zip(records, found.parts, strict=True):
        assert part == (record.part or "dropped")
    assert found.parts.count("val") == found.parts.count("train") == found.parts.count("test") == 6
    assert any("1 of 19 videos are dropped" in note for note in found.notes)
    assert not audit(records, found.parts, [record.id for record in records])


def test_an_identity_split_of_ff_keeps_pairs_together(tmp_path):
    numbers = [f"{number:03}" for number in random.Random(0).sample(range(1000), 40)]
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
    records = read_dataset(plant_ff(tmp_path, pairs)).records
    parts = split(records, SplitConfig("identity")).parts
    assert "dropped" not in parts
    for pair in pairs:
        people = {f"ff-{number}" for number in pair}
        assert len({part for record, part in zip(records, parts, strict=True) if record.people & people}) == 1
    assert not audit(records, parts, [record.id for record in records])


def test_ff_sequences_of_one_youtube_video_are_one_person(tmp_path):
    root = plant_ff(tmp_path, [("331", "400"), ("332", "500")])
    videos = {"332": "R03 1", "331": "R03 0", "400": "abc 0", "500": "def 0"}
    (root / "conversion_dict.json").write_text(json.dumps(videos))
    found = by_id(root)
    assert found["youtube/332.mp4"].target == found["Deepfakes/331_400.mp4"].target == "ff-331"
    assert found["Deepfakes/500_332.mp4"].donor == "ff-331"
    assert found["Deepfakes/332_500.mp4"].source == "youtube/332.mp4"


def test_ff_levels_are_chosen_and_each_has_a_store_of_its_own(tmp_path):
    root = plant_ff(plant_ff(tmp_path / "ff"), [("000", "003")], "c40", ["Deepfakes"])
    with pytest.raises(UserError, match="levels c23, c40; choose one with --compression c23"):
        read_dataset(root)
    found = read_dataset(root, "auto", "c40")
    assert found.name == "ff-c40"
    assert [record.id for record in found.records] == [
        "Deepfakes/000_003.mp4", "Deepfakes/003_000.mp4", "youtube/000.mp4", "youtube/003.mp4",
    ]  # fmt: skip
    assert "NeuralTextures has no videos of compression c40; left out." in found.notes[0]
    with pytest.raises(UserError, match="no videos of compression raw, only of c23, c40"):
        read_dataset(root, "ff++", "raw")
    assert not {record.id for record in found.records} - by_id(root, "auto", "c23").keys()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("train.json", "[[", "train.json cannot be read as JSON"),
        ("train.json", '[["000", "003", "004"]]', "array` of length 2 is expected|where .* is expected"),
        ("train.json", '[[0, 3]]', "where a text"),
        ("train.json", '[["../1", "003"]]', "where a text"),
        ("train.json", '{"000": "003"}', "where a list is expected"),
        ("test.json", '[["000", "003"]]', "test.json names 000, which is also in train.json"),
        ("conversion_dict.json", '["000"]', "where an object is expected"),
        ("conversion_dict.json", '{"000": 1}', "where a text is expected"),
        ("conversion_dict.json", "[" * 100_000, "cannot be read as JSON"),
    ],
)  # fmt: skip
def test_wrong_lists_of_ff_are_refused(tmp_path, name, text, message):
    plant_lists(plant_ff(tmp_path))
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message):
        read_dataset(tmp_path)


def test_lists_without_one_of_the_three_are_refused(tmp_path):
    plant_lists(plant_ff(tmp_path), {"train": FF_LISTS["train"], "test": FF_LISTS["test"]})
    with pytest.raises(UserError, match=r"no val\.json"):
        read_dataset(tmp_path)


def test_ff_without_videos_is_refused(tmp_path):
    plant(tmp_path, "original_sequences/youtube/c23/images/000/0000.png")
    with pytest.raises(UserError, match="holds no videos such as"):
        read_dataset(tmp_path)


def test_dfdc_gives_labels_parts_and_sources_but_no_people(tmp_path):
    plant_dfdc(tmp_path / "dfdc_train_part_0")
    plant_dfdc(tmp_path / "dfdc_train_part_1", {"zzz.mp4": {"label": "REAL"}})
    found = by_id(tmp_path)
    assert list(found) == [*(f"dfdc_train_part_0/{name}" for name in DFDC), "dfdc_train_part_1/zzz.mp4"]
    real, beside, elsewhere, other = found.values()
    assert (real.label, beside.label, real.source, beside.source) == (REAL, FAKE, "", real.id)
    assert elsewhere.source == other.id
    assert [record.part for record in found.values()] == ["train", "train", "test", ""]
    assert {record.people for record in found.values()} == {frozenset()}


def test_a_single_folder_of_dfdc_is_read_too_and_an_absent_original_stays_a_name(tmp_path):
    found = by_id(plant_dfdc(tmp_path))
    assert list(found) == list(DFDC)
    assert found["ccc.mp4"].source == "zzz.mp4"


def test_the_same_name_in_two_folders_of_dfdc_is_two_videos(tmp_path):
    for part in (0, 1):
        plant_dfdc(tmp_path / f"dfdc_train_part_{part}")
    found = by_id(tmp_path)
    for part in (0, 1):
        assert found[f"dfdc_train_part_{part}/bbb.mp4"].source == f"dfdc_train_part_{part}/aaa.mp4"


def test_absent_videos_of_dfdc_are_counted_and_left_out(tmp_path):
    plant_dfdc(tmp_path / "dfdc_train_part_0", absent=["aaa.mp4", "ccc.mp4"])
    found = read_dataset(tmp_path)
    assert [(record.id, record.source) for record in found.records] == [("dfdc_train_part_0/bbb.mp4", "aaa.mp4")]
    assert "lists 2 of 3 videos that do not exist, the first aaa.mp4; they are left out." in found.notes[0]


def test_an_identity_split_of_dfdc_keeps_an_original_with_its_fakes(tmp_path):
    metadata = {}
    for number in range(20):
        metadata[f"r{number}.mp4"] = {"label": "REAL"}
        metadata |= {f"f{number}-{fake}.mp4": {"label": "FAKE", "original": f"r{number}.mp4"} for fake in range(3)}
    records = read_dataset(plant_dfdc(tmp_path, metadata, absent=["r0.mp4"])).records
    found = split(records, SplitConfig("identity"))
    assert not audit(records, found.parts, [record.id for record in records])
    assert any("The people in 79 of 79 videos are unknown" in note for note in found.notes)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("ddd.mp4", {"label": "fake"}, "metadata.json: 'ddd.mp4' has 'fake' as 'label'"),
        ("ddd.mp4", {"label": 1}, "has 1 as 'label', where a text is"),
        ("ddd.mp4", {"label": ["FAKE"]}, "as 'label'"),
        ("ddd.mp4", "FAKE", "'ddd.mp4' has 'FAKE', where an object"),
        ("ddd.mp4", {"label": "FAKE", "split": "exam"}, "has 'exam' as 'split'"),
        ("../ddd.mp4", {"label": "FAKE"}, r"names '\.\./ddd.mp4', which is not a video beside it"),
        ("deep/ddd.mp4", {"label": "FAKE"}, "not a video beside it"),
        ("/ddd.mp4", {"label": "FAKE"}, "not a video beside it"),
        (".", {"label": "FAKE"}, "not a video beside it"),
        ("ddd.mp4", {"label": "FAKE", "original": "../aaa.mp4"}, "not a video beside it"),
        ("ddd.mp4", {"label": "FAKE", "original": 7}, "has 7 as 'original'"),
    ],
)
def test_wrong_entries_of_dfdc_are_refused(tmp_path, name, values, message):
    plant_dfdc(tmp_path)
    (tmp_path / "metadata.json").write_text(json.dumps(DFDC | {name: values}))
    with pytest.raises(UserError, match=message):
        read_dataset(tmp_path)


def test_dfdc_refuses_videos_and_folders_without_metadata(tmp_path):
    folder = plant_dfdc(tmp_path / "dfdc_train_part_0")
    plant(folder, "._aaa.mp4", "notes.txt")
    assert len(read_dataset(tmp_path).records) == 3
    stray = plant(folder, "stray.mp4") / "stray.mp4"
    with pytest.raises(UserError, match=r"stray\.mp4 is not in .*metadata\.json, so its label is unknown"):
        read_dataset(tmp_path)
    stray.unlink()
    plant(tmp_path, "dfdc_train_part_1/ddd.mp4")
    with pytest.raises(UserError, match=r"dfdc_train_part_1 has no metadata\.json"):
        read_dataset(tmp_path)
    (folder / "metadata.json").write_text("[]")
    with pytest.raises(UserError, match="where an object is expected"):
        read_dataset(folder)


def test_plain_folders_give_labels_at_any_depth(tmp_path):
    plant(tmp_path, "Real/a.mp4", "Real/deep/a.MOV", "FAKE/a.mp4", "FAKE/.hidden.mp4", "FAKE/a.txt", "other/b.mp4")
    found = by_id(tmp_path)
    assert {name: record.label for name, record in found.items()} == {
        "FAKE/a.mp4": FAKE, "Real/a.mp4": REAL, "Real/deep/a.MOV": REAL,
    }  # fmt: skip
    assert {(record.target, record.source, record.part) for record in found.values()} == {("", "", "")}


def test_plain_folders_say_which_links_they_do_not_follow(tmp_path):
    plant(tmp_path / "set", "real/a.mp4", "fake/a.mp4")
    plant(tmp_path / "elsewhere", "b.mp4")
    (tmp_path / "set/real/more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set/real/b.mp4").symlink_to(tmp_path / "elsewhere/b.mp4")
    found = read_dataset(tmp_path / "set")
    assert [record.id for record in found.records] == ["fake/a.mp4", "real/a.mp4", "real/b.mp4"]
    assert found.notes == [f"{tmp_path}/set/real/more is a link to a folder; its content is left out."]


def test_plain_folders_that_cannot_be_told_apart_are_refused(tmp_path):
    plant(tmp_path / "one", "real/a.mp4")
    with pytest.raises(UserError, match="has no folder fake"):
        read_dataset(tmp_path / "one", "folders")
    plant(tmp_path / "two", "real/a.mp4", "Real/b.mp4", "fake/a.mp4")
    with pytest.raises(UserError, match="both Real and real"):
        read_dataset(tmp_path / "two")
    plant(tmp_path / "none", "real/a.txt", "fake/a.txt")
    with pytest.raises(UserError, match="holds no videos"):
        read_dataset(tmp_path / "none")


@pytest.mark.parametrize("name", ["real/line\nbreak.mp4", b"real/\xff.mp4"])
def test_a_name_that_no_manifest_can_hold_is_refused(tmp_path, name):
    plant(tmp_path, "real/a.mp4", "fake/a.mp4")
    plant(tmp_path, name if isinstance(name, str) else name.decode("utf-8", "surrogateescape"))
    with pytest.raises(UserError, match="control character, or one that is not Unicode"):
        read_dataset(tmp_path)


def test_a_csv_file_gives_what_its_columns_say(tmp_path):
    path = plant_csv(
        tmp_path / "mine.csv",
        "label, path, target, donor, source, part, kind, fps\n"
        "0,a.mp4,ann,,,train,,25\n"
        'FAKE,"./deep/b.mp4",,bob,./a.mp4,test, FaceSwap/SimSwap,25\n'
        "real,deep\\c.avi\n",
    )
    found = read_dataset(path)
    assert (found.name, found.root) == ("mine", tmp_path)
    assert found.notes == [f"{path}: ignored column fps."]
    real, fake, other = found.records
    assert (real.id, real.label, real.target, real.part, real.kind) == ("a.mp4", REAL, "ann", "train", "")
    # The footage of a fake is its source's, and so is its target.
    assert (fake.id, fake.label, fake.target, fake.donor, fake.source) == ("deep/b.mp4", FAKE, "ann", "bob", "a.mp4")
    assert fake.kind == "FaceSwap/SimSwap"
    assert (other.id, other.label, other.target, other.part) == ("deep/c.avi", REAL, "", "")


def test_a_folder_may_hold_its_own_list(tmp_path):
    plant_csv(tmp_path / "set.v1" / "videos.csv", "path,label\na.mp4,0\n")
    found = read_dataset(tmp_path / "set.v1")
    assert (found.name, found.root) == ("set.v1", tmp_path / "set.v1")
    assert read_dataset(tmp_path / "set.v1" / "videos.csv").name == "videos"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path\na.mp4\n", "no column label"),
        ("", "no column path"),
        ("path,label\n", "names no videos"),
        ("path,label,label\na.mp4,0,1\n", "the column label twice"),
        ("path,label\na.mp4,0\nx.mp4,1\n", r"line 3: .*x\.mp4 does not exist"),
        ("path,label\ndeep,1\n", "line 2: .*deep is a folder without numbered pictures"),
        ("path,label\na.mp4,0\n./a.mp4,1\n", r"line 3: a\.mp4 is listed twice"),
        ("path,label\n../a.mp4,0\n", "line 2 names '../a.mp4', which is not a path inside"),
        ("path,label\n/etc/passwd,0\n", "line 2 names /etc/passwd, which lies outside .*, the folder of the list"),
        ("path,label\n.,0\n", "not a path inside"),
        ("path,label\n,0\n", "not a path inside"),
        ("path,label\na.mp4,2\n", "line 2: the label '2'"),
        ("path,label\na.mp4,\n", "line 2: the label ''"),
        ("path,label\na.mp4\n", "line 2: the label ''"),
        ("path,label,part\na.mp4,0,exam\n", "line 2: the part 'exam'"),
        ("path,label,donor\na.mp4,real,bob\n", "line 2: a real video has no donor"),
        ("path,label,source\na.mp4,0,deep/b.mp4\n", "line 2: a real video has no donor"),
        ("path,label,kind\na.mp4,0,Deepfakes\n", "line 2: a real video has no donor, source or kind"),
        ("path,label,target\na.mp4,0,a\tb\n", "line 2 has a control character"),
        ("path,label\na.mp4,0,1\n", "line 2 has more values"),
        ('path,label\n"a.mp4,0\n', "cannot be read as CSV"),
        ("path|label\na.mp4|0\n", "no column path"),
    ],
)
def test_a_wrong_csv_file_is_refused_by_line(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read_dataset(plant_csv(tmp_path / "mine.csv", text))


@pytest.mark.parametrize("coding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_csv_file_is_read_as_spreadsheets_and_pandas_save_it(tmp_path, separator, coding):
    lines = [",path,label,target", "0,a.mp4,0.0,ann", "1,deep/b.mp4,1.0,"]
    path = plant_csv(tmp_path / "mine.csv", "")
    path.write_bytes("\r\n".join(lines).replace(",", separator).encode(coding))
    found = read_dataset(path)
    assert [(one.id, one.label, one.target) for one in found.records] == [("a.mp4", 0, "ann"), ("deep/b.mp4", 1, "")]
    assert found.notes == []


@pytest.mark.parametrize("coding", ["utf-8-sig", "utf-16"])
def test_lists_in_json_are_read_in_any_coding(tmp_path, coding):
    for path in [*plant_lists(plant_ff(tmp_path / "ff")).glob("*.json"), *plant_dfdc(tmp_path / "d").rglob("*.json")]:
        path.write_bytes(path.read_text().encode(coding))
    assert {record.part for record in read_dataset(tmp_path / "ff").records} >= {"train", "val", "test"}
    assert read_dataset(tmp_path / "d").records
    next((tmp_path / "d").rglob("*.json")).write_bytes(b'{"\xe9": 1}')
    with pytest.raises(UserError, match=r"cannot be read as JSON \(byte 0xe9 in line 1 is not UTF-8"):
        read_dataset(tmp_path / "d")


@pytest.mark.parametrize(("disk", "listed"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_csv_file_names_files_in_either_form_of_unicode(
    tmp_path, disk: Literal["NFC", "NFD"], listed: Literal["NFC", "NFD"]
):
    name = unicodedata.normalize(disk, "Zoë/é.mp4")
    plant(tmp_path, name, "b.mp4")
    text = f"path,label,source\n{name},real,\nb.mp4,fake,{name}\n"
    (tmp_path / "list.csv").write_text(unicodedata.normalize(listed, text), encoding="utf-8")
    found = read_dataset(tmp_path / "list.csv").records
    assert [(one.id, one.path, one.source) for one in found] == [(name, name, ""), ("b.mp4", "b.mp4", name)]


def test_a_csv_file_takes_absolute_paths_addresses_and_folders_of_frames(tmp_path, monkeypatch):
    plant(tmp_path / "set", "a b.mp4", "c.mp4", "clip/001.png", "clip/002.png", "d.mp4")
    (tmp_path / "link").symlink_to(tmp_path / "set")
    path = tmp_path / "set" / "list.csv"
    lines = [
        (tmp_path / "set" / "a b.mp4").as_uri(), tmp_path / "link" / "c.mp4", "clip/", tmp_path / "set" / "d.mp4",
    ]  # fmt: skip
    path.write_text("path,label\n" + "".join(f"{line},{i % 2}\n" for i, line in enumerate(lines)))
    monkeypatch.chdir(tmp_path)
    for file in (path, Path("set/list.csv"), Path("link/list.csv")):
        found = read_dataset(file).records
        assert [(one.id, one.fps) for one in found] == [("a b.mp4", 0), ("c.mp4", 0), ("clip", 25), ("d.mp4", 0)]
    path.write_text(f"path,label\n{tmp_path / 'set' / '..' / 'd.mp4'},0\n")
    with pytest.raises(UserError, match="lies outside"):
        read_dataset(path)


def test_videos_beside_a_list_in_a_folder_are_counted(tmp_path):
    plant_csv(tmp_path / "videos.csv", "path,label\na.mp4,0\ndeep/b.mp4,1\n")
    assert read_dataset(tmp_path).notes[0] == f"{tmp_path} has 1 video or picture that is not read: 1 in deep/."


BENCH = {
    "Celeb-DF-v2": {
        "CelebDFv2_real": {
            "train": {
                "id0_0000": {"label": "CelebDFv2_real", "frames": ["Celeb-real/frames/id0_0000/000.png"]},
                "id1_0000": {"label": "CelebDFv2_real", "frames": []},
            },
            "test": {"id0_0000": {"label": "CelebDFv2_real", "frames": ["Celeb-real/frames/id0_0000/000.png"]}},
            "val": {"label": "CelebDFv2_real"},
        },
        "FF-DF": {"train": {"c23": {"000_003": {"label": "FF-DF", "frames": ["ff\\000_003\\000.png"]}}}},
    }
}


def test_a_json_list_of_deepfakebench_gives_labels_kinds_and_the_part_farthest_from_training(tmp_path):
    plant(tmp_path, "Celeb-real/frames/id0_0000/000.png", "ff/000_003/000.png")
    path = tmp_path / "bench.json"
    path.write_text(json.dumps(BENCH))
    found = read_dataset(path)
    assert [(one.id, one.label, one.part, one.kind) for one in found.records] == [
        ("Celeb-real/frames/id0_0000", REAL, "test", ""), ("ff/000_003", FAKE, "train", "Deepfakes"),
    ]  # fmt: skip
    assert any("has 1 without frames" in note for note in found.notes)
    assert any("has 1 in several parts" in note for note in found.notes)
    (tmp_path / "ff" / "000_003" / "000.png").unlink()
    (tmp_path / "ff" / "000_003").rmdir()
    with pytest.raises(UserError, match="has no such folder; put the list into the folder that its paths start from"):
        read_dataset(path)
    path.write_text('{"a": {"train": {"x": 3}}}')
    with pytest.raises(UserError, match=r"bench\.json has 3 as 'x', where clips are expected"):
        read_dataset(path)


def test_a_csv_file_that_is_no_text_is_refused(tmp_path):
    path = plant_csv(tmp_path / "mine.csv", "")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read as CSV"):
        read_dataset(path)


def test_a_layout_is_recognised_named_or_asked_for(tmp_path):
    plant(tmp_path / "set", "real/a.mp4", "fake/a.mp4", "Celeb-real/id0_0000.mp4")
    with pytest.raises(UserError, match="fits the layouts celeb-df and folders; choose one with --layout celeb-df"):
        read_dataset(tmp_path / "set")
    assert list(by_id(tmp_path / "set", "folders")) == ["fake/a.mp4", "real/a.mp4"]
    assert list(by_id(tmp_path / "set", "celeb-df")) == ["Celeb-real/id0_0000.mp4"]


def test_what_fits_no_layout_is_told_what_was_looked_for(tmp_path):
    with pytest.raises(UserError) as error:
        read_dataset(tmp_path)
    for layout, reader in READERS.items():
        assert f"{reader.sign} ({layout})" in str(error.value)
    with pytest.raises(UserError, match=r"there is no .*absent\.csv; give the data set's folder, or a \.csv file, as "):
        read_dataset(tmp_path / "absent.csv")
    clip = plant(tmp_path, "clip.mp4") / "clip.mp4"
    with pytest.raises(UserError, match=r"neither a folder nor a \.csv file"):
        read_dataset(clip)


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("dfdc", r"has no metadata\.json"),
        ("csv", r"videos\.csv is missing"),
        ("ff++", "no videos such"),
        ("folders", "has no folder real"),
    ],
)
def test_a_named_layout_that_is_not_there_is_refused(tmp_path, layout, message):
    with pytest.raises(UserError, match=message):
        read_dataset(tmp_path, layout)


def test_compression_is_for_ff_only(tmp_path):
    plant(tmp_path, "real/a.mp4", "fake/a.mp4")
    with pytest.raises(UserError, match="read as folders, which has no compression levels"):
        read_dataset(tmp_path, "auto", "c23")


@pytest.mark.parametrize("layout", ["ff++", "dfdc", "folders", "csv"])
def test_every_layout_gives_rows_that_a_manifest_gives_back(tmp_path, layout):
    root = tmp_path / 'a, "set"'
    {
        "ff++": lambda: plant_lists(plant_ff(root)),
        "dfdc": lambda: plant_dfdc(root),
        "folders": lambda: plant(root, "real/a, b.mp4", 'fake/"ü".mp4'),
        "csv": lambda: plant_csv(root / "mine.csv", 'path,label,target,source\na.mp4,0,"x, y",\ndeep/b.mp4,1,,a.mp4\n'),
    }[layout]()  # fmt: skip
    found = read_dataset(root / "mine.csv" if layout == "csv" else root)
    assert found.records == sorted(found.records, key=lambda record: record.id)
    assert read_manifest(write_manifest(tmp_path / "manifest.csv", found.records)) == found.records
    for record in found.records:
        status = (found.root / record.path).stat()
        assert (record.size, record.mtime_ns) == (status.st_size, status.st_mtime_ns)


def test_extraction_of_a_csv_file_finds_its_videos_and_names_its_store(tmp_path, monkeypatch, capsys):
    path = plant_csv(tmp_path / "lists" / "mine.csv", "path,label,fps\na.mp4,0,25\ndeep/b.mp4,1,25\n")
    asked, origins = [], []

    def note(files, *arguments):
        asked.extend(path for _, path in files)
        origins.extend(json.loads(one.read_text()) for one in (tmp_path / "out").rglob("origin.json"))
        yield from ()

    monkeypatch.setattr(unit, "rows_from_videos", note)
    monkeypatch.setattr(unit, "make_engine", lambda *arguments: None)
    flags = ["--data", str(path), "--layout", "csv", "--out", str(tmp_path / "out"), "--backbone", "mobilenetv2"]
    folder = pipeline.extract(parse_flags("extract", "", ExtractConfig, [*flags, "--weights", "random"]))
    assert folder.parent == tmp_path / "out" / "mine"
    assert asked == [tmp_path / "lists" / "a.mp4", tmp_path / "lists" / "deep" / "b.mp4"]
    assert {origin["data"] for origin in origins} == {str(path)}
    assert "ignored column fps" in capsys.readouterr().out
