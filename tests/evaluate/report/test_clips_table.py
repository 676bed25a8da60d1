"""The table of test clips: pictures as far as the page stays small, and numbers that are those of the clip."""

import numpy as np

from evaluate.report import clips_table as module
from evaluate.report.clips_table import MOST_PICTURES, list_clips
from evaluate.results.footage import find_footage
from evaluate.results.read import read_results
from evaluate.results.slices import find_failures
from tests.evaluate.report.test_report import read, write_run


def failures(tmp_path):
    results = read_results(write_run(tmp_path / "run"))
    return find_failures(results, find_footage(results), 0)


def test_pictures_end_where_the_page_would_grow_too_large_and_their_count_is_said(tmp_path, monkeypatch):
    found = failures(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (12, 160, 160, 3)).astype(np.uint8)
    monkeypatch.setattr(type(found.footage), "pictures", lambda self, name: noise)
    monkeypatch.setattr(module, "MOST_PICTURES", MOST_PICTURES // 4)
    text = list_clips(found)
    count = text.count("<details")
    assert 0 < count < 60
    assert text.count("<img") == 2 * count
    assert len(text) < MOST_PICTURES // 4 + 60_000
    assert f"The first {count} have their crops; press a picture to see all twelve." in text


def test_without_crops_there_is_no_column_for_them(tmp_path):
    found = failures(tmp_path)
    shown = read(list_clips(found))
    assert "crops" not in shown
    assert "60 test clips, the worst mistake first" in shown
    row = found.wrong[0]
    clips = found.clips
    truth = "fake" if clips.labels[row] else "real"
    called = "real" if clips.labels[row] else "fake"
    assert f"{clips.ids[row]} {truth} {called} {clips.probabilities[row]:.3f}" in shown
