"""Benchmarks: clips are what they are said to be, ratios are medians of pairs, and the README quotes the results."""

import itertools
import json

import cv2
import numpy as np
import pytest

from benchmarks import clips
from benchmarks.__main__ import main
from benchmarks.folds import fold_parts
from benchmarks.measure import Result, summarise
from extract.clips.face_detectors import HaarDetector
from tests import ROOT
from tests.stores import pairs

RESULTS = ROOT / "benchmarks" / "results.json"


def test_the_readme_quotes_the_results_file():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert results["machine"]["processor"] in readme
    for row in results["rows"]:
        assert row["figures"]["repeats"] >= 5
        spread = "{:.2f} to {:.2f}".format(*row["spread"])
        line = f"| `{row['name']}` | {row['ratio']:.2f} | {spread} | {row['aim']:g} |"
        assert line in readme, f"the README lacks the line {line}"


def test_a_ratio_is_the_median_of_pairs():
    found = summarise("some", 2.0, [3.0, 1.0, 2.5], {"videos_a_second": [6.0, 2.0, 5.0]})
    assert found == Result("some", 2.5, (1.0, 3.0), 2.0, {"videos_a_second": 5.0, "repeats": 3})


def test_clips_show_a_face_before_a_room_with_the_spectrum_of_natural_images():
    for image in itertools.islice(clips._film((854, 480), 1), 2):
        assert image.shape == (480, 854, 3)
        assert len(HaarDetector().find(image)) >= 1
    texture = clips._texture(np.random.default_rng(0), 256, 256)
    power = np.abs(np.fft.fft2(texture)) ** 2
    ring = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
    low, high = (power[(ring > edge) & (ring < 2 * edge)].mean() for edge in (0.02, 0.2))
    assert low / high == pytest.approx(100, rel=0.3)  # ten times the frequency, a hundredth of the power


def test_a_clip_is_made_once_and_is_what_was_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(clips, "FRAMES", 12)
    one, again = (clips.make_clips(tmp_path, "480p", 3, different=1) for _ in range(2))
    assert one == again == [tmp_path / "480p" / "clip0.mp4"] * 3
    video = cv2.VideoCapture(str(one[0]))
    assert (video.get(cv2.CAP_PROP_FRAME_COUNT), video.get(cv2.CAP_PROP_FPS)) == (12, 30)


def test_the_command_writes_what_it_measured(tmp_path, monkeypatch, capsys):
    result = Result("some", 2.5, (2.0, 3.0), 2.0, {"videos_a_second": 5.0, "repeats": 5})
    monkeypatch.setattr("benchmarks.__main__._benches", lambda: {"some": lambda folder, repeats: iter([result])})
    main(["--out", str(tmp_path / "results.json")])
    written = json.loads((tmp_path / "results.json").read_text())
    assert written["rows"][0] == {**json.loads(json.dumps(result.__dict__))}
    assert written["machine"]["cores"] >= 1
    assert "some" in capsys.readouterr().out


def test_folds_test_everyone_once_by_models_that_never_saw_them():
    records, tested = pairs(people=11), []
    for parts in fold_parts(records, 5, seed=0):
        people = {part: set() for part in ("train", "val", "test", "")}
        for record, part in zip(records, parts, strict=True):
            people[part] |= {record.target} if part == "test" else set(record.people)
        assert not people["test"] & (people["train"] | people["val"])
        assert {record.label for record, part in zip(records, parts, strict=True) if part == "test"} == {0, 1}
        tested += [record.id for record, part in zip(records, parts, strict=True) if part == "test"]
    assert sorted(tested) == sorted(record.id for record in records)
