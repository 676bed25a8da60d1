"""Each layout is read as docs/data-sets.md says, and whatever is done to its folder, no clip vanishes in silence."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from base.errors import UserError
from extract.readers.found import VIDEO_SUFFIXES
from extract.readers.layouts import READERS, read_dataset
from extract.video.pictures import PICTURE_SUFFIXES
from tests import ROOT
from tests.extract.readers.trees import TREES

MEDIA = VIDEO_SUFFIXES | PICTURE_SUFFIXES


@pytest.mark.parametrize("name", TREES)
def test_every_record_of_a_tree_is_as_written(tmp_path, name):
    tree = TREES[name]
    found = read_dataset(tree.draw(tmp_path))
    rows = {one.id: (one.label, one.target, one.donor, one.source, one.part, one.kind) for one in found.records}
    assert rows == tree.rows
    for record in found.records:
        path = found.root / record.path
        files = [path] if path.is_file() else sorted(path.iterdir())
        assert record.size == sum(file.stat().st_size for file in files)
        assert record.mtime_ns == max(file.stat().st_mtime_ns for file in files)
        assert record.fps == (0 if path.is_file() else 25)
    assert not [note for note in found.notes if "not read" in note]
    assert {one.id for one in read_dataset(tmp_path, tree.layout).records} == rows.keys()


def test_every_layout_has_a_tree_and_a_row_in_the_docs():
    rows = re.findall(r"^\| `([a-z0-9+-]+)` \|", (ROOT / "docs/data-sets.md").read_text("utf-8"), re.MULTILINE)
    assert set(rows) == set(READERS)
    assert {tree.layout for tree in TREES.values()} == set(READERS) - {"csv"}


def first_clip(root: Path) -> Path:
    return next(path for path in sorted(root.rglob("*")) if path.is_file() and path.suffix in MEDIA)


def without_a_class(root: Path) -> None:
    shutil.rmtree(sorted(path for path in root.rglob("*") if path.is_dir() and first_of(path))[0])


def first_of(folder: Path) -> bool:
    return any(path.suffix in MEDIA for path in folder.iterdir())


def in_another_folder(root: Path) -> None:
    inner = root / "unpacked" / "again"
    inner.mkdir(parents=True)
    for path in list(root.iterdir()):
        if path.name != "unpacked":
            path.rename(inner / path.name)


def a_level_deeper(root: Path) -> None:
    for clip in sorted({path.parent if path.suffix == ".png" else path for path in root.rglob("*") if media(path)}):
        place = clip.parent / "more" / clip.name
        place.parent.mkdir(exist_ok=True)
        clip.rename(place)


def media(path: Path) -> bool:
    return path.suffix.lower() in MEDIA and (path.is_symlink() or path.is_file())


def upper_case(root: Path) -> None:
    for path in sorted(root.rglob("*"), reverse=True):
        path.rename(path.with_name(path.name.upper()))


def plant(root: Path, name: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(b"x")


def linked_folder(root: Path) -> None:
    outside = root.parent / "outside"
    plant(outside, "a.mp4")
    (first_clip(root).parent / "linked").symlink_to(outside)


def odd_name(root: Path) -> None:
    clip = first_clip(root)
    clip.rename(clip.with_stem("Ödd name (1)"))


MUTILATIONS: dict[str, Callable[[Path], object]] = {
    "a class missing": without_a_class,
    "in another folder": in_another_folder,
    "a level deeper": a_level_deeper,
    "a stray clip": lambda root: plant(root, "stray.mp4"),
    "a folder of stray clips": lambda root: plant(root, "elsewhere/deep/stray.webm"),
    "a stray picture": lambda root: plant(root, "cover.jpg"),
    "a picture beside a clip": lambda root: plant(first_clip(root).parent, "cover.png"),
    "numbered pictures beside a clip": lambda root: [plant(first_clip(root).parent, f"{i}.jpg") for i in (901, 902)],
    "upper case": upper_case,
    "a broken link": lambda root: (first_clip(root).parent / "lost.mp4").symlink_to(root / "nowhere.mp4"),
    "a linked folder": linked_folder,
    "hidden and packed by macOS": lambda root: [plant(root, name) for name in ("._a.mp4", "__MACOSX/a.mp4")],
    "an odd name": odd_name,
    "masks": lambda root: [plant(root, f"masks/000_003/{i}.png") for i in (1, 2)],
}


@pytest.mark.parametrize("mutilation", MUTILATIONS)
@pytest.mark.parametrize("name", TREES)
def test_a_mutilated_tree_loses_no_clip_in_silence(tmp_path, name, mutilation):
    root = TREES[name].draw(tmp_path / "set")
    MUTILATIONS[mutilation](root)
    every = {path for path in root.rglob("*") if media(path) and "linked" not in path.parts}
    try:
        found = read_dataset(root)
    except UserError:
        return  # it is told in a sentence
    read = set()
    for record in found.records:
        path = root / record.path
        read |= {path} if not path.is_dir() else {one for one in path.iterdir() if one.stem.isdecimal()}
    counts = [int(match[1]) for note in found.notes if (match := re.search(r"has (\d+) video", note))]
    assert sum(counts) == len(every - read)
    assert all("linked is a link" in " ".join(found.notes) for _ in root.rglob("linked"))


def test_what_is_not_read_is_named_by_its_folders(tmp_path):
    root = TREES["real and fake"].draw(tmp_path)
    for place in ("", "b/", "b/", "c/", "d/", "e/", "f/", "g/"):
        plant(root, f"{place}stray{len(list(root.rglob('*')))}.mp4")
    (note,) = read_dataset(root).notes
    assert note == (
        f"{root} has 8 videos and pictures that are not read: 2 in b/, 1 in the folder itself, 1 in c/, 1 in d/, "
        "1 in e/, 2 in 2 more folders."
    )


def test_a_clip_that_is_there_twice_is_read_as_its_video(tmp_path):
    root = TREES["FaceForensics++ as frames"].draw(tmp_path)
    plant(root, "original_sequences/youtube/c23/videos/000.mp4")
    found = read_dataset(root)
    assert [record.id for record in found.records] == ["Deepfakes/000_003", "youtube/000.mp4"]
    assert found.records[0].source == "youtube/000.mp4"
    assert "1 clip is there as a video and as a folder of numbered pictures: the video is read." in found.notes
    assert f"{root} has 3 videos and pictures that are not read: 3 in original_sequences/youtube/c23/frames/000/." in (
        found.notes
    )


def test_a_folder_with_videos_and_numbered_pictures_has_its_videos_read(tmp_path):
    root = TREES["real and fake"].draw(tmp_path)
    for name in ("real/1.png", "real/2.png"):
        plant(root, name)
    found = read_dataset(root)
    assert len(found.records) == 2
    assert f"{root}/real holds both videos and numbered pictures: the videos are read." in found.notes


def test_what_fits_none_is_answered_by_the_nearest(tmp_path):
    plant(tmp_path / "one", "real/a.mp4")
    with pytest.raises(UserError, match=r"nearest is folders \(real/ and fake/\), and besides real it would need fake"):
        read_dataset(tmp_path / "one")
    plant(tmp_path / "two", "celeb_real/a.mp4")
    with pytest.raises(UserError, match="nearest is celeb-df, and celeb_real would have to be called celeb-real"):
        read_dataset(tmp_path / "two")
    for name in ("real/a.mp4", "fake/a.mp4"):
        plant(tmp_path / "three" / "a", name)
        plant(tmp_path / "three" / "b", name)
    with pytest.raises(UserError, match=r"several data sets, .*three/a and .*three/b among them"):
        read_dataset(tmp_path / "three")


def test_pictures_that_make_no_clip_are_counted_where_there_is_none(tmp_path):
    for name in ("real/a.jpg", "real/1.jpg", "real/2.jpg", "fake/a.jpg"):
        plant(tmp_path, name)
    with pytest.raises(UserError, match=r"has 4 videos and pictures that are not read: 3 in real/, 1 in fake/\."):
        read_dataset(tmp_path)


def test_a_wrapped_data_set_bears_its_own_name(tmp_path):
    found = read_dataset(TREES["FaceForensics++ C23 as it is passed round"].draw(tmp_path / "archive"))
    assert (found.name, found.root) == ("FaceForensics++_C23", tmp_path / "archive")
    assert found.records[0].path.startswith("FaceForensics++_C23/")


def test_a_list_that_only_adds_to_the_folders_may_be_damaged(tmp_path):
    root = TREES["DFDC preview"].draw(tmp_path)
    (root / "dataset.json").write_text("[[")
    found = read_dataset(root)
    assert {record.part for record in found.records} == {""}
    assert any("dataset.json cannot be read as JSON" in note for note in found.notes)
    (root / "dataset.json").write_text('{"original_videos/643755/643755_A_000.mp4": {"label": "fake"}}')
    with pytest.raises(UserError, match=r"calls .*643755_A_000\.mp4 fake, but its folder says otherwise"):
        read_dataset(root)


def test_unreadable_folders_are_named(tmp_path, monkeypatch):
    root = TREES["real and fake"].draw(tmp_path)
    walk = os.walk

    def denied(root, onerror):
        onerror(PermissionError(13, "denied", f"{root}/real/locked"))
        return walk(root)

    monkeypatch.setattr("extract.readers.found.os.walk", denied)
    assert f"{root}/real/locked cannot be read (denied); it is left out." in read_dataset(root).notes
