"""Scores of another detector: which clips count, which are listed, and that reports and comparisons take them."""

import csv
import dataclasses
import json

import numpy as np
import pytest

from base.errors import UserError
from cache.schema import TEST
from detect.detector.load import open_detector
from evaluate.__main__ import main
from evaluate.compare.stage import CompareConfig, compare
from evaluate.report.stage import ReportConfig, write_report
from evaluate.results.read import read_results
from evaluate.stats.metrics import evaluate
from tests.evaluate.report.test_report import Reader
from tests.stores import pairs, write_features
from tests.train.data.test_kinds import of_kinds
from train.data.blended_parts import DROPPED
from train.fit import FitConfig, fit

RECORDS = of_kinds(pairs())
TESTED = [record for record in RECORDS if record.part == TEST]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_features(tmp_path_factory.mktemp("data"), RECORDS).folder


def write_scores(path, records=TESTED, column="id", extra=()):
    random = np.random.default_rng(0)
    rows = [
        (one.id, round(float(np.clip(0.5 + 0.3 * (one.label - 0.5) + random.normal(0, 0.2), 0, 1)), 3))
        for one in records
    ]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([(column, "probability"), *rows, *extra])
    return path


def run_of(tmp_path, scores, data):
    page = write_report(ReportConfig(scores=scores, data=data, out=tmp_path / "run", resamples=20))
    return page.parents[1]


def test_the_report_has_the_numbers_of_the_scores(tmp_path, data):
    run = run_of(tmp_path, write_scores(tmp_path / "other.csv"), data)
    metrics = json.loads((run / "report" / "metrics.json").read_text(), parse_constant=pytest.fail)
    results = read_results(run)
    assert results.baseline is None
    clips = results.head
    with (tmp_path / "other.csv").open(newline="") as file:
        given = {row["id"]: float(row["probability"]) for row in csv.DictReader(file)}
    assert dict(zip(clips.ids, clips.probabilities.tolist(), strict=True)) == given
    area = metrics["parts"]["test"]["head"]["scores"]["roc_auc"]["value"]
    assert area == evaluate(clips.labels, clips.probabilities)["roc_auc"].value
    assert list(metrics["parts"]["test"]) == ["head"]
    assert metrics["head_minus_baseline"] is None
    assert metrics["paired_share"]["head"]["fakes"] == 12
    assert {kind["name"] for kind in metrics["kinds"]} == {"Deepfakes", "FaceSwap/SimSwap", "FaceSwap/InSwap"}
    assert metrics["people"] == 4
    words = " ".join(Reader((run / "report" / "report.html").read_text()).words)
    assert "whether the detector was trained on them is not known" in words
    assert "Scores of another detector, out of other.csv" in words
    assert "baseline" not in " ".join(metrics["summary"] + metrics["notes"])
    assert "nan" not in words.lower().split()


def test_clips_without_a_score_are_listed_and_not_counted(tmp_path, data):
    left_out = TESTED[:3]
    scores = write_scores(tmp_path / "other.csv", TESTED[4:], extra=[(TESTED[3].id, ""), ("nobody.mp4", 0.5)])
    run = run_of(tmp_path, scores, data)
    results = read_results(run)
    assert set(results.head.ids) == {one.id for one in TESTED[4:]}
    assert {name for name, row in results.split.items() if row.part == TEST} == set(results.head.ids)
    assert results.split[TESTED[0].id].part == DROPPED
    lines = (run / "missing.csv").read_text().split()
    assert lines == ["id", *(one.id for one in [*left_out, TESTED[3]])]
    notes = " ".join(results.audit.notes)
    assert f"4 of 24 test clips have no score, and are not counted: {TESTED[0].id}" in notes
    assert "1 line of other.csv, nobody.mp4" in notes


def test_leaks_are_those_of_the_data_set_s_own_parts(tmp_path):
    """Clips of train have no score, and their people are found all the same."""
    parts = {"2": "test"}
    shared = [dataclasses.replace(one, part=parts.get(one.id[-5], "train")) for one in pairs(tested=0)]
    folder = write_features(tmp_path, shared).folder
    tested = [one for one in shared if one.part == TEST]
    run = run_of(tmp_path, write_scores(tmp_path / "other.csv", tested), folder)
    notes = json.loads((run / "report" / "metrics.json").read_text())["notes"]
    assert any(
        note.startswith("24 of 24 test clips show a person who is also in train; of a detector") for note in notes
    )


def test_a_folder_of_clips_without_parts_is_tested_whole(tmp_path):
    for name in ("real/a.mp4", "real/b.mp4", "fake/a.mp4", "fake/b.mp4"):
        (tmp_path / "clips" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "clips" / name).touch()
    file = tmp_path / "mine.csv"
    file.write_text("path;probability\nreal/a.mp4;0.1\nreal/b.mp4;0.2\nfake/a.mp4;0.9\nfake/b.mp4;0.1\n")
    results = read_results(run_of(tmp_path, file, tmp_path / "clips"))
    assert len(results.head.of(TEST).ids) == 4
    assert results.config.data_set == "clips"
    assert np.isnan(results.head.coverage).all()


def test_they_are_compared_with_a_run_of_ours(tmp_path, data):
    ours = fit(FitConfig(data, tmp_path / "runs", "ours", split="official", head="mean", epochs=2))
    theirs = run_of(tmp_path, write_scores(tmp_path / "other.csv"), data)
    page = compare(CompareConfig((ours, theirs), out=tmp_path / "out", resamples=20))
    numbers = json.loads(page.with_name("comparison.json").read_text(), parse_constant=pytest.fail)
    assert numbers["models"]["run"]["head_minus_baseline"] is None
    assert [line.partition(":")[0] for line in numbers["baselines"]] == ["ours"]
    assert {line.partition(":")[0] for line in numbers["kinds"]} == {"ours", "run"}


def test_clips_without_a_score_are_left_out_of_a_comparison_and_said_to_be(tmp_path, data, capsys):
    ours = fit(FitConfig(data, tmp_path / "runs", "ours", split="official", head="mean", epochs=2))
    theirs = run_of(tmp_path, write_scores(tmp_path / "other.csv", TESTED[4:]), data)
    capsys.readouterr()
    page = compare(CompareConfig((ours, theirs), out=tmp_path / "out", resamples=20))
    numbers = json.loads(page.with_name("comparison.json").read_text(), parse_constant=pytest.fail)
    sentence = (
        "Compared on the 20 test clips of which all have a score; left out, and counted nowhere, are 4 of the 24 of "
        "ours."
    )
    assert sentence in capsys.readouterr().out
    assert numbers["warnings"][0] == sentence
    assert sentence in " ".join(Reader(page.read_text()).words)
    assert {name: one["left_out"] for name, one in numbers["models"].items()} == {"ours": 4, "run": 0}
    assert (numbers["clips"], numbers["fake"]) == (20, sum(one.label for one in TESTED[4:]))
    both = read_results(ours).head.of(TEST)
    kept = both.rows(np.flatnonzero([name in {one.id for one in TESTED[4:]} for name in both.ids]))
    area = numbers["models"]["ours"]["over_people"]["roc_auc"]["value"]
    assert area == pytest.approx(evaluate(kept.labels, kept.probabilities)["roc_auc"].value)


def test_a_comparison_needs_both_classes_among_the_clips_that_both_have(tmp_path, data):
    ours = fit(FitConfig(data, tmp_path / "runs", "ours", split="official", head="mean", epochs=2))
    reals = [one for one in TESTED if not one.label][:5]
    theirs = run_of(tmp_path, write_scores(tmp_path / "other.csv", reals), data)
    with pytest.raises(UserError, match="have 5 real and 0 fake test clips in common, and some of each are needed"):
        compare(CompareConfig((ours, theirs), out=tmp_path / "out", resamples=20))


def test_they_judge_no_clip(tmp_path, data):
    run = run_of(tmp_path, write_scores(tmp_path / "other.csv"), data)
    with pytest.raises(UserError, match="other made was brought in from outside"):
        open_detector(run)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("name,probability\nx,0.5\n", "has no column that names clips; give one of id, path, clip"),
        ("id,score\nx,0.5\n", "has no column probability"),
        ("id,probability\n{0},1.2\n", "line 2: '1.2' is no probability"),
        ("id,probability\n{0},nan\n", "line 2: 'nan' is no probability"),
        ("id,probability\n{0},0.5\n{0},0.6\n", "line 3: .* has a score already"),
        ("id,probability\nx,0.5\n", "has no score of the 24 test clips"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, data, text, what):
    (tmp_path / "other.csv").write_text(text.format(TESTED[0].id))
    with pytest.raises(UserError, match=what):
        run_of(tmp_path, tmp_path / "other.csv", data)
    assert not (tmp_path / "run").exists()


def test_scores_need_their_data_set(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="needs the data set that they are of"):
        main(["report", "--scores", "other.csv"])
