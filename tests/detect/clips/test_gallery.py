"""The gallery: every verdict is on the page, names are harmless, and each kind can be picked without a script."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import evaluate.page
from cache.schema import FRAMES
from detect.clips import gallery
from detect.clips.gallery import Gallery
from detect.clips.sheet import Judged
from detect.clips.verdict_lines import KINDS
from detect.detector.verdict import SeenFrame, Verdict, failed

FRAME = SeenFrame(0.5, "face", (1, 1, 9, 9))
CROPS = np.random.default_rng(0).integers(0, 256, (FRAMES, 160, 160, 3), np.uint8)


def verdict(kind, name: str = "clip.mp4") -> Verdict:
    if kind in ("Undecided", "Failed"):
        return replace(failed(name, "empty", "it holds no frame"), verdict=kind)
    return Verdict(name, kind, 0.7, None, 1.0, "", (FRAME,) * FRAMES)


def page_of(tmp_path: Path, *judged: Judged) -> str:
    drawn = Gallery(tmp_path / "all.html")
    for one in judged:
        drawn.add(one)
    drawn.close()
    return (tmp_path / "all.html").read_text()


def test_each_kind_has_its_count_its_button_and_its_rule(tmp_path):
    text = page_of(tmp_path, *(Judged(verdict(kind), None) for kind in (*KINDS, "Fake")))
    assert "6 verdicts: 2 fake, 1 unsure, 1 real, 1 undecided, 1 failed." in text
    assert len(re.findall('<article class="clip', text)) == 6
    assert text.count("checked>") == 1
    style = (Path(evaluate.page.__file__).parent / "page.css").read_text()
    for kind in map(str.lower, KINDS):
        assert f'id="shown-{kind}"' in text
        assert f'for="shown-{kind}"' in text
        assert f".gallery:has(#shown-{kind}:checked) .clip:not(.{kind})" in style
    assert "<script" not in text


def test_crops_are_shown_until_the_page_is_full_and_counted_after_that(tmp_path, monkeypatch):
    judged = [Judged(verdict("Real", f"{number}.mp4"), CROPS) for number in range(3)]
    text = page_of(tmp_path, *judged)
    assert text.count("<img") == 3
    assert "do not fit" not in text
    monkeypatch.setattr(gallery, "MOST_PICTURES", 1)
    text = page_of(tmp_path, *judged)
    assert text.count("<img") == 1
    assert "The crops of 2 clips do not fit into one page." in text
    assert text.count("<article") == 3


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>.mp4", "\u202egnp.mp4"])
def test_a_name_is_only_text(tmp_path, name):
    text = page_of(tmp_path, Judged(verdict("Fake", name), None))
    assert "<img" not in text
    assert "\u202e" not in text


def test_nothing_judged_is_no_page(tmp_path):
    Gallery(tmp_path / "all.html").close()
    assert not list(tmp_path.iterdir())


def test_what_a_file_claims_is_on_its_card(tmp_path):
    claimed = [replace(verdict(kind), claims=('tag comment says "<b>Sora"',)) for kind in ("Real", "Undecided")]
    text = page_of(tmp_path, *(Judged(one, None) for one in claimed))
    assert text.count("; the file claims: tag comment says &quot;&lt;b&gt;Sora&quot;") == 2
