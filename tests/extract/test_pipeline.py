"""Stage 1 from folder to store: bad clips cost their row, nothing is done twice, a kill at any moment loses nothing."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from base.errors import UserError
from cache.contents import load
from cache.schema import FRAMES, FrameStatus
from cache.store import EXTRACTED, ORIGIN, Writer, open_store, open_writer, read_origin
from extract import cluster, pipeline, steps, unit
from extract.backbones.networks import BACKBONES, backbone_of
from extract.config import ExtractConfig
from extract.video.containers import ClipError
from tests import ROOT
from tests.clips import counting_images, write_clip, write_sound
from tests.fakes import FakeEngine
from train.data.training_set import newest_features


class Stop(Exception):
    """Ends a run at a moment that a test chose."""


@pytest.fixture
def engine(monkeypatch):
    FakeEngine.crops = 0
    monkeypatch.setattr(unit, "make_engine", FakeEngine)
    return FakeEngine


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Eleven videos: eight good ones of 4 to 40 frames, a text file, an empty file, a sound."""
    root = tmp_path_factory.mktemp("set")
    for folder in ("Celeb-real", "Celeb-synthesis"):
        (root / folder).mkdir()
    for i, count in enumerate((40, 30, 20, 13)):
        write_clip(root / f"Celeb-real/id{i}_0000.mp4", counting_images(count))
        write_clip(root / f"Celeb-synthesis/id{i}_id{i + 1}_0000.mp4", counting_images(4 * i + 4)[::-1])
    (root / "Celeb-real/id7_0000.mp4").write_text("no video")
    (root / "Celeb-real/id8_0000.mp4").touch()
    write_sound(root / "Celeb-real/id9_0000.mp4")
    return root


@pytest.fixture
def config(clips, tmp_path):
    return ExtractConfig(clips, tmp_path, "mobilenetv2", "random", detector="none")


def test_every_video_ends_as_a_row(config, engine, capsys):
    contents = load(open_store(pipeline.extract(config)))
    assert contents.arrays.shape == (8, FRAMES, 960)
    assert contents.arrays.dtype == np.float16
    assert {(record.id, outcome) for record, outcome, _ in contents.failures} == {
        ("Celeb-real/id7_0000.mp4", "unreadable"),
        ("Celeb-real/id8_0000.mp4", "empty"),
        ("Celeb-real/id9_0000.mp4", "no_video"),
    }
    assert contents.missing == []
    said = capsys.readouterr().out
    assert "8 ok, 3 failed of 11 videos" in said
    assert "id7_0000.mp4: unreadable" in said
    short = next(i for i, record in enumerate(contents.records) if record.id.endswith("id0_id1_0000.mp4"))
    assert (contents.seen.status[short] == FrameStatus.PAD).tolist() == [False] * 4 + [True] * 8
    assert not contents.arrays[short, 4:].any()
    assert contents.arrays[short, :4].any()


def test_a_lone_failure_is_named_with_its_reason(config, engine, monkeypatch, capsys):
    """Also one that the machine may be at fault for: it was tried twice."""
    decode, reason = steps.map_clips, "ended the process that decoded it (exit code -9)"

    def lose_one(*arguments, **settings):
        for video, result in decode(*arguments, **settings):
            lost = video[0].id == "Celeb-real/id0_0000.mp4"
            yield video, ClipError("crashed", reason, passing=True) if lost else result

    monkeypatch.setattr(steps, "map_clips", lose_one)
    contents = load(open_store(pipeline.extract(config)))
    assert len(contents.records) == 7
    said = capsys.readouterr().out
    assert f"  Celeb-real/id0_0000.mp4: crashed: {reason}; it was tried twice\n" in said
    assert "7 ok, 4 failed of 11 videos" in said


def test_work_that_ends_before_its_first_row_leaves_no_folder(config, engine, monkeypatch, tmp_path):
    """Of weights that do not fit, for example; an empty store would be in the way of `features-*`."""

    def wrong(*_):
        raise UserError("these are the weights of another network")

    monkeypatch.setattr(unit, "make_engine", wrong)
    with pytest.raises(UserError, match="another network"):
        pipeline.extract(config)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", [{"weights": "w.h5"}, {"show": Path("absent/x.png")}])
def test_what_cannot_be_read_or_written_is_found_before_anything_is_made(config, change, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("w.h5").write_text("no weights")
    with pytest.raises(UserError, match=r"w\.h5 is not a weights file|there is no folder absent"):
        pipeline.extract(replace(config, out=tmp_path / "data", **change))
    assert [path.name for path in tmp_path.iterdir()] == ["w.h5"]


def test_a_second_call_extracts_nothing_and_a_changed_clip_itself_only(config, engine, clips, tmp_path):
    config = replace(config, data=shutil.copytree(clips, tmp_path / "own" / clips.name))
    folder = pipeline.extract(config)
    before, seen = load(open_store(folder)), engine.crops
    pipeline.extract(config)
    assert engine.crops == seen
    changed = config.data / "Celeb-real/id1_0000.mp4"
    os.utime(changed)
    pipeline.extract(config)
    assert engine.crops == seen
    changed.write_bytes(changed.read_bytes() + b"\0")
    pipeline.extract(config)
    assert engine.crops == seen + FRAMES
    np.testing.assert_array_equal(load(open_store(folder)).arrays, before.arrays)


def test_a_store_says_when_its_videos_were_gone_through(config, engine, monkeypatch):
    """Though nothing was left to do; and runs, which repeat what a store says of its origin, do not."""
    said = []
    for backbone in ("mobilenetv2", "resnet50", "mobilenetv2"):
        said.append(pipeline.extract(replace(config, backbone=backbone)))
        assert newest_features(config.out) == said[-1]
        for manifest in config.out.glob("*/*/manifest.csv"):
            os.utime(manifest, (1, 1))
    assert EXTRACTED in json.loads((said[0] / ORIGIN).read_text())
    assert EXTRACTED not in read_origin(said[0]).entries()


def test_failures_are_tried_again_only_when_asked(config, engine, tmp_path):
    data = tmp_path / "small"
    (data / "Celeb-real").mkdir(parents=True)
    write_clip(data / "Celeb-real/id0_0000.mp4", counting_images(12))
    slow = write_clip(data / "Celeb-real/id1_0000.mp4", counting_images(12), pixels="yuv420p")
    config = replace(config, data=data, clip_pixels=64)
    with pytest.raises(UserError, match="none of the 2 videos"):
        pipeline.extract(config)
    config = replace(config, clip_pixels=10_000)
    with pytest.raises(UserError, match="none of the 2 videos"):
        pipeline.extract(config)
    folder = pipeline.extract(replace(config, retry_failed=True))
    assert len(load(open_store(folder)).records) == 2
    assert slow.is_file()


def test_a_second_backbone_reads_no_video(config, engine, monkeypatch):
    pipeline.extract(config)
    direct = load(open_store(pipeline.extract(replace(config, backbone="resnet50", keep_crops=False))))

    def refuse(videos, *arguments):
        assert not videos, "a video was decoded again"
        yield from ()

    monkeypatch.setattr(unit, "rows_from_videos", refuse)
    kept = load(open_store(pipeline.extract(replace(config, backbone="resnet50-conv4"))))
    np.testing.assert_array_equal(kept.arrays, direct.arrays[:, :, :1024])
    np.testing.assert_array_equal(kept.seen.times, direct.seen.times)
    assert len(kept.failures) == 3


@pytest.mark.parametrize("backend", ["local", pytest.param("units", marks=pytest.mark.slow)])
def test_crops_that_were_not_kept_are_made_when_asked_for_later(config, engine, monkeypatch, capsys, backend):
    """Also of some videos, while others have them, and with all features there: the backbone has nothing to do then."""
    config = replace(config, workers=1)
    whole = load(open_store(pipeline.extract(replace(config, out=config.out / "whole"))))
    if backend == "units":
        monkeypatch.setattr(cluster, "_run_all", lambda units, _: map(cluster.run_unit, units))
        config = replace(config, backend="loky")
    features = pipeline.extract(replace(config, keep_crops=False))
    assert not list(features.parent.glob("crops-*"))
    seen, append = engine.crops, Writer.append
    with monkeypatch.context() as patch:  # a run that is cut off after its first shard
        patch.setattr(unit, "SHARD_ROWS", 2)
        patch.setattr(Writer, "append", lambda writer, rows: append(writer, rows) and (_ for _ in ()).throw(Stop))
        with pytest.raises((Stop, RuntimeError)):
            pipeline.extract(config)
    (crops,) = features.parent.glob("crops-*")
    assert 0 < len(load(open_store(crops)).missing) < 11
    capsys.readouterr()
    pipeline.extract(config)
    assert "videos have features, but no crops were kept of them" in capsys.readouterr().out
    expected = load(open_store(next((config.out / "whole").glob("*/crops-*"))))
    found = load(open_store(crops))
    assert found.records == expected.records
    assert (found.checksums, found.failures, found.missing) == (expected.checksums, expected.failures, [])
    assert (engine.crops, load(open_store(features)).checksums) == (seen, whole.checksums)


def test_features_and_crops_that_are_missing_are_made_in_one_run(config, engine, clips, tmp_path):
    data = shutil.copytree(clips, tmp_path / "few" / clips.name)
    later = data / "Celeb-real/id1_0000.mp4"
    later.rename(tmp_path / "later.mp4")
    config = replace(config, data=data, workers=1)
    pipeline.extract(replace(config, keep_crops=False))
    (tmp_path / "later.mp4").rename(later)
    seen = engine.crops
    features = load(open_store(pipeline.extract(config)))
    crops = load(open_store(next(features.folders[0].parent.glob("crops-*"))))
    assert engine.crops == seen + FRAMES
    assert (features.missing, crops.missing, len(crops.records)) == ([], [], 8)


def test_a_damaged_crops_shard_is_made_again_with_all_features_there(config, engine):
    config = replace(config, workers=1)
    features = pipeline.extract(config)
    crops = open_store(next(features.parent.glob("crops-*")))
    before = load(crops).checksums
    crops.shards[0].write_bytes(b"no shard")
    pipeline.extract(config)
    assert load(crops).checksums == before


def test_a_damaged_shard_is_set_aside_and_redone(config, engine, capsys):
    folder = pipeline.extract(config)
    before = load(open_store(folder))
    shard = open_store(folder).shards[0]
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"run reelcheck features --data \.\.\. again"):
        load(open_store(folder))
    pipeline.extract(config)
    assert "set aside" in capsys.readouterr().out
    np.testing.assert_array_equal(load(open_store(folder)).arrays, before.arrays)
    assert [path.suffix for path in folder.glob("*.damaged")] == [".damaged"]


def test_settings_that_change_the_numbers_go_to_another_folder(config, engine):
    folders = {
        pipeline.extract(changed)
        for changed in (config, replace(config, margin=0.1), replace(config, sampling="first"))
    }
    assert len(folders) == 3
    assert pipeline.extract(replace(config, batch=12, workers=1)) in folders


def test_a_second_writer_is_refused(config, engine):
    store = open_store(pipeline.extract(config))
    with open_writer(store), pytest.raises(UserError, match="another process"):
        pipeline.extract(config)


def test_crops_are_on_disk_before_the_features_made_of_them(config, engine, monkeypatch):
    written, append = {"crops": set(), "features": set()}, Writer.append

    def watch(writer, rows):
        kind = writer.store.folder.name.split("-")[0]
        written[kind] |= {row.key for row in rows}
        assert written["features"] <= written["crops"]
        return append(writer, rows)

    keep = unit.Shards.keep
    monkeypatch.setattr(unit, "FIRST_SECONDS", 1e9)
    monkeypatch.setattr(Writer, "append", watch)

    def keep_few(shards, rows):
        for row in keep(shards, rows):
            if shards._earlier:  # features: a shard a row, while crops wait for 64 of them
                shards.flush()
            yield row

    monkeypatch.setattr(unit.Shards, "keep", keep_few)
    pipeline.extract(config)
    assert len(written["features"]) == len(written["crops"]) == 11


@pytest.mark.parametrize("change", [{"margin": -1.0}, {"workers": -1}, {"batch": -1}])
def test_settings_out_of_range_are_refused(config, change):
    with pytest.raises(UserError, match="is out of range; give 0"):
        pipeline.extract(replace(config, **change))


def test_the_command_says_what_is_wrong_in_one_line(tmp_path):
    found = subprocess.run(
        [sys.executable, "-m", "extract", "--data", str(tmp_path / "absent"), "--weights", "random"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 2
    assert found.stderr.startswith("error: ")
    assert found.stderr.count("\n") == 1


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_profile_says_which_taps_its_features_are(backbone, tmp_path):
    """Else the detector could not make the same features again."""
    profile = ExtractConfig(tmp_path, backbone=backbone, weights="random").profile
    assert backbone_of(profile) == backbone
