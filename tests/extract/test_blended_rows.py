"""Blended rows: made of kept or just made crops, resumed like other rows, and the same wherever they are made."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from base.errors import UserError
from cache.contents import Contents, load
from cache.store import open_store
from extract.config import ExtractConfig
from extract.drawn.dataset import DrawnConfig, draw_dataset
from extract.pipeline import extract
from extract.unit import extract_videos
from tests.fakes import FakeEngine


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "drawn"
    return draw_dataset(DrawnConfig(folder, people=2, clips=1, youtube=1, fakes=2, workers=1))


@pytest.fixture(autouse=True)
def fake_engine(monkeypatch):
    monkeypatch.setattr("extract.unit.make_engine", FakeEngine)


def config_of(data, out, **changes) -> ExtractConfig:
    config = ExtractConfig(data, out, backbone="mobilenetv2", weights="random", detector="haar", workers=1)
    return replace(config, **changes)


def contents_of(folder) -> Contents:
    return load(open_store(folder))


def blends_in(contents: Contents) -> dict[str, np.ndarray]:
    return {
        record.id: array for record, array in zip(contents.records, contents.arrays, strict=True) if record.is_blend
    }


def test_each_real_clip_gets_its_blends_of_kept_crops_and_no_video_is_decoded_again(data, tmp_path, monkeypatch):
    plain = contents_of(extract(config_of(data, tmp_path)))
    with monkeypatch.context() as patch:
        patch.setattr("extract.steps.map_clips", lambda *_: pytest.fail("a video was decoded"))
        FakeEngine.crops = 0
        folder = extract(config_of(data, tmp_path, blends=2))
        found = contents_of(folder)
        real = sum(record.label == 0 for record in plain.records)
        assert FakeEngine.crops <= 2 * real * 12
        assert len(found.records) == len(plain.records) + 2 * real
        assert not found.missing
        np.testing.assert_array_equal(found.arrays[: len(plain.records)], plain.arrays)
        made = FakeEngine.crops
        extract(config_of(data, tmp_path, blends=2))
        assert made == FakeEngine.crops
    for record, array in zip(found.records, found.arrays, strict=True):
        if record.is_blend:
            source = found.arrays[[other.id for other in found.records].index(record.source)]
            assert (array != source).any(), record.id
    # Without blends again, they are not in the way.
    assert [record.id for record in contents_of(extract(config_of(data, tmp_path))).records] == [
        record.id for record in plain.records
    ]


@pytest.mark.slow
def test_made_on_the_way_without_kept_crops_or_by_another_process_they_are_the_same(data, tmp_path):
    first = blends_in(contents_of(extract(config_of(data, tmp_path / "one", blends=2))))
    config = config_of(data, tmp_path / "two", keep_crops=False)
    extract(replace(config, blends=1))
    again = blends_in(contents_of(extract(replace(config, blends=2))))
    assert first.keys() == again.keys()
    assert len(first) > 3
    for name, array in first.items():
        np.testing.assert_array_equal(again[name], array)


@pytest.mark.slow
def test_a_run_that_was_cut_off_makes_the_blends_that_are_missing(data, tmp_path, monkeypatch):
    def some(*arguments):
        for number, row in enumerate(extract_videos(*arguments)):
            if number == 4:
                raise KeyboardInterrupt
            yield row

    monkeypatch.setattr("extract.unit.FIRST_SECONDS", -1.0)
    monkeypatch.setattr("extract.unit.SHARD_SECONDS", -1.0)
    with monkeypatch.context() as patch:
        patch.setattr("extract.pipeline.extract_videos", some)
        with pytest.raises(KeyboardInterrupt):
            extract(config_of(data, tmp_path, blends=1))
    (folder,) = (tmp_path / "drawn").glob("features-*")
    assert contents_of(folder).missing
    assert not contents_of(extract(config_of(data, tmp_path, blends=1))).missing


def test_a_clip_that_fails_passes_it_on_and_is_not_tried_again(data, tmp_path, monkeypatch):
    broken = tmp_path / "drawn"
    (broken / "Celeb-real").mkdir(parents=True)
    (broken / "Celeb-synthesis").mkdir()
    (broken / "Celeb-real" / "id0_0000.mp4").write_bytes(b"no video")
    whole = next(path for path in sorted((data / "Celeb-real").iterdir()))
    (broken / "Celeb-real" / "id1_0000.mp4").write_bytes(whole.read_bytes())
    found = contents_of(extract(config_of(broken, tmp_path / "out", blends=1)))
    assert [record.id for record, _, _ in found.failures] == [
        "Celeb-real/id0_0000.mp4",
        "Celeb-real/id0_0000.mp4#blend1",
    ]
    monkeypatch.setattr("extract.pipeline.extract_videos", lambda *_: pytest.fail("something was tried again"))
    extract(config_of(broken, tmp_path / "out", blends=1))


@pytest.mark.slow
def test_the_sheet_shows_real_clips_and_their_blends(data, tmp_path):
    (tmp_path / "sheets").mkdir()
    extract(config_of(data, tmp_path, show=tmp_path / "sheets" / "blends.png"))
    sheet = cv2.imread(str(tmp_path / "sheets" / "blends.png"))
    assert sheet is not None
    assert sheet.shape == (24 + 3 * 160, 6 * 160, 3)
    first = sheet[24 : 24 + 160].reshape(160, 6, 160, 3).transpose(1, 0, 2, 3).astype(int)
    for blend in first[1:]:
        assert (blend != first[0]).any()
        np.testing.assert_array_equal(blend[:4], first[0][:4])
    with pytest.raises(UserError, match="no kept crops of real clips"):
        extract(config_of(data, tmp_path / "none", keep_crops=False, show=tmp_path / "blends.png"))
