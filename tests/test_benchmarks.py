"""Benchmarks: clips are what they are said to be, ratios are medians of pairs, and the docs quote the results."""

import itertools
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from base.errors import UserError
from benchmarks import coverage, good_clips
from benchmarks.__main__ import main
from benchmarks.calibration import COUNTS, simulate
from benchmarks.coverage import LAYOUTS, Row, table_lines
from benchmarks.fold_measures import measure
from benchmarks.folds import fold_parts
from benchmarks.folds import main as measure_folds
from benchmarks.measure import Result, summarise
from benchmarks.ratios import clips
from benchmarks.ratios.stage1 import require_good
from cache.schema import VideoRecord, failed_row, is_blend_id
from evaluate.stats.bootstrap import ends
from evaluate.stats.calibration import LEAST_OF_CLASS
from extract.blended_rows import blend_records
from extract.clips.haar import HaarDetector
from extract.video.decode import sample_frames
from tests import ROOT
from tests.stores import fake, pairs, real, write_features
from train.fit import fit
from train.runs.predictions import read_split

RESULTS = ROOT / "benchmarks" / "results.json"


def test_the_page_on_speed_quotes_the_results_file():
    page = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert results["machine"]["processor"] in " ".join(page.split())
    for row in results["rows"]:
        assert row["figures"]["repeats"] >= 5
        spread = "{:.2f} to {:.2f}".format(*row["spread"])
        line = f"| `{row['name']}` | {row['ratio']:.2f} | {spread} | {row['aim']:g} |"
        assert line in page, f"the page lacks the line {line}"


def test_the_page_on_evaluation_quotes_the_folds_file():
    page = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    folds = json.loads((ROOT / "benchmarks" / "folds-celeb-df-mini.json").read_text(encoding="utf-8"))
    for name, figures in folds["models"].items():
        auc, share = figures["roc_auc"]["over_people"], figures["paired_share"]["over_people"]
        cells = f"| {auc['value']:.2f}, {auc['low']:.2f} to {auc['high']:.2f} | {share['value']:.2f} |"
        assert cells in page, f"the page lacks {cells} of the {name}"


def test_every_published_interval_holds_the_truth_and_the_page_quotes_the_simulation():
    page = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    rows = [Row(**row) for row in json.loads((ROOT / "benchmarks" / "coverage.json").read_text("utf-8"))["rows"]]
    assert {(row.people, row.clips) for row in rows} == set(LAYOUTS)
    for row in rows:
        for name, share in row.coverage.items():
            assert share >= 0.93 or ", " in name, (name, row.people, row.clips, row.roc_auc)
    for line in table_lines(rows):
        assert line in page, f"the page lacks {line}"


def test_intervals_hold_where_percentiles_do_not(monkeypatch):
    monkeypatch.setattr(coverage, "MANY", 20_000)
    (row,) = coverage.simulate(40, 200, 0, areas=[(0.95, 0.95)], layouts=[(5, 20)])
    ours = [share for name, share in row.coverage.items() if ", " not in name]
    assert len(ours) > 15
    assert min(ours) > 0.9
    assert row.coverage["roc_auc, percentiles over people"] < 0.85


def test_the_least_number_of_validation_clips_is_what_the_simulation_says():
    rows = json.loads((ROOT / "benchmarks" / "calibration.json").read_text(encoding="utf-8"))["rows"]
    lowers = {
        count: np.mean([row["lowers"] for row in rows if row["clips"] == count and row["temperature"] != 1])
        for count in COUNTS
    }
    costs = [row["mean_change"] for row in rows if row["clips"] == LEAST_OF_CLASS and row["temperature"] == 1]
    assert min(count for count, share in lowers.items() if share >= 0.9) == LEAST_OF_CLASS
    assert np.mean(costs) < 0.01


def test_more_validation_clips_fit_a_better_temperature():
    few, many = (list(simulate(20, 0, counts=[count])) for count in (4, 200))
    assert np.mean([row.lowers for row in few]) + 0.1 < np.mean([row.lowers for row in many])
    assert all(row.mean_change > 0 for row in many if row.temperature == 1)
    assert all(row.mean_change < 0 for row in many if row.temperature == 4)


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


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["head_epoch", "cold_start"])
def test_a_bench_of_the_present_networks_runs(tmp_path, monkeypatch, name):
    """They build networks of made features, and broke unseen when the networks got another input."""
    monkeypatch.setattr(clips, "FRAMES", 30)
    main(["--only", name, "--repeats", "1", "--clips", str(tmp_path), "--out", str(tmp_path / "results.json")])
    (row,) = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert row["name"] == name
    assert row["ratio"] > 1


def test_the_command_writes_what_it_measured(tmp_path, monkeypatch, capsys):
    result = Result("some", 2.5, (2.0, 3.0), 2.0, {"videos_a_second": 5.0, "repeats": 5})
    monkeypatch.setattr("benchmarks.__main__._benches", lambda: {"some": lambda folder, repeats: iter([result])})
    main(["--out", str(tmp_path / "results.json")])
    written = json.loads((tmp_path / "results.json").read_text())
    assert written["rows"][0] == {**json.loads(json.dumps(result.__dict__))}
    assert written["machine"]["cores"] >= 1
    assert "some" in capsys.readouterr().out


def test_a_good_clip_that_fails_is_named_and_the_other_benches_go_on(tmp_path, monkeypatch, capsys):
    def extract(folder, repeats):
        records = [VideoRecord(name, f"{name}.mp4", 0, "", "", "", "", 1, 1) for name in "ab"]
        require_good([failed_row(records[1], "timeout", "was not finished after 300 s")], 2)
        yield

    result = Result("other", 2.5, (2.0, 3.0), 2.0, {"repeats": 5})
    monkeypatch.setattr("benchmarks.__main__._benches", lambda: {"some": extract, "other": lambda *_: iter([result])})
    with pytest.raises(UserError, match="some could not be measured; the reasons are above"):
        main(["--out", str(tmp_path / "results.json")])
    said = capsys.readouterr().out
    reason = "of 2 good clips, 1 have no row and 1 failed: b (timeout: was not finished after 300 s)."
    assert f"some is not measured: {reason}" in said
    assert [row["name"] for row in json.loads((tmp_path / "results.json").read_text())["rows"]] == ["other"]


def test_good_clips_of_each_kind_give_twelve_frames(tmp_path):
    good_clips.draw_good_clips(tmp_path, len(good_clips.KINDS))
    paths = sorted(tmp_path.rglob("*.*"))
    assert {path.suffix[1:] for path in paths} == {suffix for suffix, _ in good_clips.KINDS}
    for path in paths:
        assert len(sample_frames(path).images) == 12


def test_each_run_on_good_clips_counts_its_outcomes_and_names_its_failures(monkeypatch):
    rows = [{"id": "a", "outcome": "ok", "reason": ""}, {"id": "b", "outcome": "timeout", "reason": "too slow"}]
    monkeypatch.setattr(good_clips, "draw_good_clips", lambda *_: None)
    monkeypatch.setattr(good_clips, "extract_once", lambda _: rows)
    *_, last = good_clips.count_outcomes(4, 2, load=0)
    assert (last["clips"], last["outcomes"], last["failures"]) == (4, {"ok": 2, "timeout": 2}, [rows[1]] * 2)


def test_auc_and_paired_share_are_those_counted_by_hand_and_mean_over_repetitions():
    records = [real(0, 0), real(1, 0), fake(0, 1, 0), fake(1, 0, 0), fake(2, 0, 0)]  # the last one's source is not here
    one = np.array([0.1, 0.8, 0.5, 0.7, 0.9])  # 4 of 6 pairs; of the two with their sources, one
    two = np.array([0.5, 0.1, 0.5, 0.2, 0.4])  # a tie counts half: 3.5 of 6; 1.5 of 2
    found = measure(records, np.array([one, two]), resamples=200)
    assert found["roc_auc"].by_repetition == pytest.approx([4 / 6, 3.5 / 6])
    assert found["paired_share"].by_repetition == pytest.approx([1 / 2, 1.5 / 2])
    for name, value in (("roc_auc", 3.75 / 6), ("paired_share", 1.25 / 2)):
        assert found[name].over_clips.value == pytest.approx(value)
        assert found[name].over_people.value == pytest.approx(value)


def test_intervals_over_people_are_wider_where_their_clips_go_together():
    records = pairs(people=12, clips=4)
    luck = np.random.default_rng(0).normal(0, 1, 12).repeat(8)
    found = measure(records, (1 / (1 + np.exp(-luck * [1 if r.label else -1 for r in records])))[None], resamples=500)
    clips, people = ends(found["roc_auc"].over_clips), ends(found["roc_auc"].over_people)
    assert clips is not None
    assert people is not None
    assert people[1] - people[0] > 1.3 * (clips[1] - clips[0])


@pytest.mark.slow
def test_folds_train_what_they_are_told_to_and_write_it(tmp_path, capsys, monkeypatch):
    videos = pairs(people=12, clips=2)
    store = write_features(tmp_path, [*videos, *blend_records(videos, 1)], strength=1.5)
    trained = []

    def quick(config):
        trained.append(config)
        return fit(replace(config, head="mean", epochs=2, fixed_epochs=2))

    monkeypatch.setattr("benchmarks.folds.fit", quick)
    out, flags = tmp_path / "folds", ["--folds", "3", "--seeds", "2"]
    measure_folds(
        [
            "--features",
            str(store.folder),
            "--out",
            str(out),
            *flags,
            "--models",
            "baseline,regression,head,nothing,blends",
        ]
    )
    document = json.loads((out / "folds.json").read_text())
    names = [
        "logistic baseline",
        "baseline, validation too",
        "head",
        "head from nothing",
        "baseline, blends only",
        "head, blends only",
    ]
    assert list(document["models"]) == names
    assert (document["clips"], document["fakes"], document["folds"], document["seeds"]) == (48, 24, 3, 2)
    assert document["profile"]["backbone"] == "mobilenetv2"
    for name in names:
        figures = document["models"][name]["paired_share"]
        assert 0.5 < figures["over_clips"]["low"] <= figures["over_clips"]["value"]
        assert len(figures["by_repetition"]) == 2
        assert name in capsys.readouterr().out or name != names[0]
    assert len(trained) == 2 * 3 * 3  # baseline and head are of one run
    for config in trained:
        blends_only = config.name == "blends"
        assert config.start == ("nothing" if config.name == "nothing" else "baseline")
        rows = list(read_split(config.runs / config.name / "split.csv").values())
        train = [row for row in rows if row.part == "train"]
        assert {row.label for row in train} == {0, 1}
        for row in train:
            assert is_blend_id(row.id) == (blends_only and row.label == 1)
        assert ("val" in {row.part for row in rows}) != blends_only


def test_folds_refuse_what_they_cannot_measure(tmp_path):
    store = write_features(tmp_path, pairs(people=6, clips=1))
    given = ["--features", str(store.folder), "--out", str(tmp_path / "folds"), "--models"]
    with pytest.raises(UserError, match="'hat' is no model to measure"):
        measure_folds([*given, "head,hat"])
    with pytest.raises(UserError, match="holds no blended clips"):
        measure_folds([*given, "blends"])
    assert not (tmp_path / "folds").exists()


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
