"""Benchmarks: clips are what they are said to be, ratios are medians of pairs, and the docs quote the results."""

import itertools
import json

import cv2
import numpy as np
import pytest

from base.errors import UserError
from benchmarks import choosing, coverage, good_clips, references
from benchmarks.__main__ import main
from benchmarks.calibration import COUNTS, simulate
from benchmarks.coverage import LAYOUTS, Row, table_lines
from benchmarks.measure import Result, summarise
from benchmarks.ratios import clips
from benchmarks.ratios.installing import MOST_REPEATS
from benchmarks.ratios.stage1 import require_good
from cache.schema import VideoRecord, failed_row
from evaluate.stats.calibration import LEAST_OF_CLASS
from extract.clips.haar import HaarDetector
from extract.video.decode import sample_frames
from tests import ROOT
from train.sweep.config import LEAST_CLIPS, LEAST_PEOPLE


def test_the_page_on_speed_quotes_the_results_file():
    page = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")
    results = json.loads((ROOT / "benchmarks" / "results.json").read_text(encoding="utf-8"))
    assert results["machine"]["processor"] in " ".join(page.split())
    for row in results["rows"]:
        assert row["figures"]["repeats"] >= (MOST_REPEATS if row["name"] == "install" else 5)
        spread = "{:.2f} to {:.2f}".format(*row["spread"])
        line = f"| `{row['name']}` | {row['ratio']:.2f} | {spread} | {row['aim']:g} |"
        assert line in page, f"the page lacks the line {line}"


def test_the_page_on_evaluation_quotes_the_cross_validation():
    page = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    for start in ("baseline", "nothing"):
        name = f"crossval-celeb-df-mini-{start}.json"
        found = json.loads((ROOT / "benchmarks" / name).read_text(encoding="utf-8"))
        for model in ("head", "baseline"):
            pooled, within, paired = (found[model][kind] for kind in ("pooled", "within", "paired"))
            cells = f"| {pooled['value']:.2f}, {pooled['low']:.2f} to {pooled['high']:.2f} | {within['value']:.2f} "
            assert f"{cells}| {paired['value']:.2f} |" in page, f"the page lacks {cells} of the {model} of {name}"


def test_where_a_sweep_chooses_by_folds_is_what_the_simulation_says():
    found = json.loads((ROOT / "benchmarks" / "choosing.json").read_text(encoding="utf-8"))
    rows = {(row["people"], row["clips"]): row["lost"] for row in found["rows"]}
    most_people, most_clips = choosing.PEOPLE[-1], choosing.CLIPS[-1]
    assert min(people for people in choosing.PEOPLE if rows[people, most_clips] <= choosing.WORTH) == LEAST_PEOPLE
    assert min(clips for clips in choosing.CLIPS if rows[most_people, clips] <= choosing.WORTH) == LEAST_CLIPS


def test_choosing_by_more_people_loses_less():
    lost = {people: choosing.lost(people, 6, rounds=60, seed=0) for people in (2, 32)}
    assert 0 <= lost[32] < lost[2]


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
@pytest.mark.parametrize("name", ["head_epoch", "detect_default"])
def test_a_bench_of_the_present_networks_runs(tmp_path, monkeypatch, name):
    """They build networks of made features, and broke unseen when the networks got another input."""
    monkeypatch.setattr(clips, "FRAMES", 30)
    main(["--only", name, "--repeats", "1", "--clips", str(tmp_path), "--out", str(tmp_path / "results.json")])
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert rows[0]["name"] == name
    assert all(row["ratio"] > 1 for row in rows)


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


def test_the_page_on_limits_quotes_how_often_people_are_mistaken_across_cuts():
    page = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8")
    figures = json.loads((ROOT / "benchmarks" / "cuts.json").read_text(encoding="utf-8"))
    assert (
        f"{figures['pairs of two']} clips were joined from two people's and {figures['pairs of one']} from one" in page
    )
    for kind, now in figures["rows"].items():
        before = figures["rows by colours alone"][kind]
        shares = [rows[wrong] for wrong in ("two people made one", "one person made two") for rows in (before, now)]
        assert " | ".join(f"{share:.1%}".replace("%", " %") for share in shares) in page, kind


def test_the_page_on_limits_quotes_which_measure_sees_unlike_clips():
    page = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8")
    rows = json.loads((ROOT / "benchmarks" / "unlike.json").read_text(encoding="utf-8"))["beyond"]
    kinds = next(line for line in page.splitlines() if line.startswith("| measure | people of test")).split("|")[2:-1]
    for way, shares in rows.items():
        cells = " | ".join(f"{shares[kind.strip()]:.0%}".replace("%", " %") for kind in kinds)
        assert f"| {way} | {cells} |" in page, way


def test_the_page_on_detection_quotes_whose_clips_a_reference_should_hold():
    page = " ".join((ROOT / "docs" / "detection.md").read_text(encoding="utf-8").split())
    row = json.loads((ROOT / "benchmarks" / "references.json").read_text(encoding="utf-8"))["rows"]["cv-baseline"]
    for name in ("found, the same person", "found, others", "alarms, others", "roc_auc", "relative roc_auc"):
        assert "{:.2f} to {:.2f}".format(*row[name]) in page, name


def test_a_persons_own_level_is_taken_off_by_their_own_real_clips():
    random, people = np.random.default_rng(0), np.repeat(["a", "b", "c"], 12)
    labels = np.tile(np.repeat([0, 1], 6), 3)
    scores = labels + np.repeat([0, 3, 6], 12) + random.normal(0, 0.1, 36)
    found = references.measure(people, labels, scores, rate=0.2, least=3)
    assert found["relative roc_auc"] == 1
    assert found["roc_auc"] < 0.7
    assert found["found, the same person"] == 1
    assert found["found, others"] < 0.5


def test_the_page_on_detection_quotes_how_near_engines_come_to_keras():
    page = (ROOT / "docs" / "detection.md").read_text(encoding="utf-8")
    rows = json.loads((ROOT / "benchmarks" / "parity.json").read_text(encoding="utf-8"))["rows"]
    for row in rows:
        assert row["scores_spread"] > 0.01, "scores that are all the same show nothing"
        line = f"| {row['name']} | {row['scores_spread']:.2f} | {row['openvino']:.0e} | {row['onnx']:.0e} |"
        assert line in page, f"the page lacks the line {line}"
    assert f"the largest is {max(max(row['openvino'], row['onnx']) for row in rows):.0e}" in page
