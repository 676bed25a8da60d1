"""Copies, moved and grown data sets keep their features; changed files and other data sets of the same name do not."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from base.errors import UserError
from cache.contents import Contents, load
from cache.manifest import read_manifest
from cache.schema import FRAMES
from cache.store import ORIGIN, open_store
from extract import pipeline, same_data
from extract.config import ExtractConfig
from extract.video.decode import play
from tests.cache.test_store import forge
from tests.clips import counting_images, write_clip
from tests.fakes import FakeEngine

CLIPS = 4


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A data set of four clips, and its stores."""
    home = tmp_path_factory.mktemp("made")
    for number in range(CLIPS):
        folder = home / "a" / "set" / ("real", "fake")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        write_clip(folder / f"{number}.mp4", counting_images(12 + number))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("extract.unit.make_engine", FakeEngine)
        pipeline.extract(config_of(home / "a" / "set"))
    return home


@pytest.fixture
def data(made, tmp_path, monkeypatch) -> Path:
    """A copy of both of one's own, with all times as they were, that says where it lies."""
    monkeypatch.setattr("extract.unit.make_engine", FakeEngine)
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    data = tmp_path / "a" / "set"
    pipeline.extract(config_of(data))
    for origin in tmp_path.rglob(ORIGIN):
        origin.write_text(origin.read_text().replace(str(made), str(tmp_path)))
    FakeEngine.crops = 0
    return data


def config_of(data: Path, **changes) -> ExtractConfig:
    config = ExtractConfig(data, data.parents[1] / "out", "mobilenetv2", "random", detector="none", workers=1)
    return replace(config, **changes)


def extracted(data: Path, **changes) -> Contents:
    return load(open_store(pipeline.extract(config_of(data, **changes))))


def clips_extracted() -> float:
    return FakeEngine.crops / FRAMES


def copied(data: Path, folder: str) -> Path:
    """What `cp -r` does: the same bytes, new times."""
    return shutil.copytree(data, data.parents[1] / folder / data.name, copy_function=shutil.copy)


@pytest.mark.parametrize("changes", [{}, {"blends": 1}, {"backbone": "resnet50"}])
def test_a_copy_is_not_decoded_again_and_is_read_once(data, capsys, monkeypatch, changes):
    expected = extracted(data, **changes)
    if "backbone" in changes:  # features that are made of the kept crops
        shutil.rmtree(expected.folders[0])
    seen, copy = clips_extracted(), copied(data, "b")
    monkeypatch.setattr("extract.steps.map_clips", lambda *_: pytest.fail("a video was decoded"))
    found = extracted(copy, **changes)
    assert (found.records, found.checksums, found.missing) == (expected.records, expected.checksums, [])
    assert clips_extracted() == seen + (CLIPS if "backbone" in changes else 0)
    said = "4 videos have another time than when they were extracted, but the same content"
    assert said in capsys.readouterr().out
    monkeypatch.setattr(same_data, "checksum_of", lambda *_: pytest.fail("a copy was read again"))
    for again in (copy, data):
        assert extracted(again, **changes).checksums == expected.checksums


def test_a_changed_file_of_the_same_size_is_extracted_again_and_only_that(data, capsys):
    before = extracted(data)
    changed = data / "real" / "2.mp4"
    content = bytearray(changed.read_bytes())
    content[len(content) // 2] ^= 1
    changed.write_bytes(content)
    copy = copied(data, "b")
    seen = clips_extracted()
    found = extracted(copy)
    assert clips_extracted() - seen == 1
    times = [one.mtime_ns == other.mtime_ns for one, other in zip(found.records, before.records, strict=True)]
    assert [record.id for record, same in zip(found.records, times, strict=True) if not same] == ["real/2.mp4"]
    assert "3 videos have another time" in capsys.readouterr().out


def test_rows_of_an_earlier_version_are_made_again_and_why_is_told(data, capsys):
    """They are found while the times are the same, and say nothing of the content once these are not."""
    for folder in (data.parents[1] / "out" / "set").iterdir():
        for shard in open_store(folder).shards:
            forge(shard, lambda file: file.pop("file_checksum"))
    before = extracted(data)
    assert (clips_extracted(), before.missing) == (0, [])
    found = extracted(copied(data, "b"))
    assert (clips_extracted(), found.checksums, found.missing) == (CLIPS, before.checksums, [])
    assert "4 videos have another time than when they were extracted, and no checksum" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["", "id,size\nreal/0.mp4,1\n", "id,size,mtime_ns,extracted_ns\na,b,c,d\n", "\0"])
def test_the_list_of_copies_is_only_a_memory(data, content):
    copy = copied(data, "b")
    extracted(copy)
    list_of_copies = data.parents[1] / "out" / "set" / same_data.COPIES
    assert len(list_of_copies.read_text().splitlines()) == 1 + CLIPS
    list_of_copies.write_text(content)
    extracted(copy)
    assert clips_extracted() == 0
    assert len(list_of_copies.read_text().splitlines()) == 1 + CLIPS


def other_content(data: Path) -> Path:
    copy = copied(data, "b")
    for number, path in enumerate(sorted(copy.rglob("*.mp4"))):
        write_clip(path, counting_images(30 + number))
    return copy


def other_names(data: Path) -> Path:
    copy = copied(data, "b")
    for path in sorted(copy.rglob("*.mp4")):
        path.rename(path.with_name(f"x{path.name}"))
    return copy


@pytest.mark.parametrize("other", [other_content, other_names])
@pytest.mark.parametrize("changes", [{}, {"backbone": "resnet50", "keep_crops": False}])
def test_another_data_set_of_the_same_name_is_refused_with_both_paths(data, other: Callable, changes):
    extracted(data)
    stranger, root = other(data), data.parents[1] / "out" / "set"
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    with pytest.raises(UserError) as error:
        extracted(stranger, **changes)
    assert f"{root} belongs to the data set {data}, and {stranger} is another one" in str(error.value)
    assert "0 of its 4 videos are there; rename its folder" in str(error.value)
    assert "--out" in str(error.value)
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    assert len(extracted(stranger, out=data.parents[1] / "out 2").records) == CLIPS


def test_a_data_set_that_was_moved_and_has_grown_or_shrunk_is_the_same(data):
    moved = data.parents[1] / "b" / "set"
    moved.parent.mkdir()
    data.rename(moved)
    write_clip(moved / "real" / "9.mp4", counting_images(20))
    seen = clips_extracted()
    assert len(extracted(moved).records) == CLIPS + 1
    assert clips_extracted() - seen == 1
    again = data.parents[1] / "c" / "set"
    again.parent.mkdir()
    moved.rename(again)
    for name in ("real/0.mp4", "real/2.mp4", "real/9.mp4"):
        (again / name).unlink()
    assert len(extracted(again).records) == 2
    assert clips_extracted() - seen == 1


def test_a_moved_data_set_that_has_more_than_doubled_is_the_same(data):
    """All videos known before are there; that these are few of those there are now says nothing."""
    moved = data.parents[1] / "b" / "set"
    moved.parent.mkdir()
    data.rename(moved)
    for number in range(CLIPS + 2):
        shutil.copy(moved / "real" / "0.mp4", moved / "real" / f"new{number}.mp4")
    assert len(extracted(moved).records) == 2 * CLIPS + 2
    assert clips_extracted() == CLIPS + 2


def test_a_data_set_may_change_altogether_where_it_is(data):
    for number, path in enumerate(sorted(data.rglob("*.mp4"))):
        write_clip(path, counting_images(30 + number))
    assert len(extracted(data).records) == CLIPS
    assert clips_extracted() == CLIPS


@pytest.fixture
def frames(data, tmp_path) -> Path:
    """The same clips as folders of numbered pictures."""
    folder = tmp_path / "frames" / "set"
    for clip in data.rglob("*.mp4"):
        (folder / clip.parent.name / clip.stem).mkdir(parents=True)
        for number, (_, image) in enumerate(play(clip)):
            Image.fromarray(image()).save(folder / clip.parent.name / clip.stem / f"{number:03}.png")
    return folder


def test_clips_as_frames_have_the_crops_of_their_videos_and_a_rate_in_the_manifest(data, frames, capsys):
    videos = extracted(data)
    found = extracted(frames, out=frames.parents[1] / "out of frames")
    assert {(one.fps, one.path) for one in found.records} == {(25.0, one.id) for one in found.records}
    assert [one.id for one in found.records] == [one.id.removesuffix(".mp4") for one in videos.records]
    assert found.arrays.tobytes() == videos.arrays.tobytes()
    assert "4 folders of numbered pictures are clips, 25 numbers a second (--fps ..." in capsys.readouterr().out
    assert read_manifest(found.stores[0].manifest) == found.records


def test_frames_are_extracted_again_if_one_of_them_or_their_rate_changes_and_not_if_they_are_copied(frames, capsys):
    out = frames.parents[1] / "out of frames"
    extracted(frames, out=out)
    assert clips_extracted() == CLIPS
    times = extracted(frames, out=out).seen.times
    copy = shutil.copytree(frames, frames.parents[1] / "copy" / "set", copy_function=shutil.copy)
    extracted(copy, out=out)
    assert clips_extracted() == CLIPS
    Image.new("RGB", (64, 64)).save(frames / "real" / "0" / "003.png")
    extracted(frames, out=out)
    assert clips_extracted() == CLIPS + 1
    slower = extracted(frames, out=out, fps=12.5)
    assert clips_extracted() == 2 * CLIPS + 1
    np.testing.assert_allclose(slower.seen.times, times * 2)
    assert {one.fps for one in slower.records} == {12.5}
