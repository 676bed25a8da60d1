"""Fakes of each kind by themselves: in the report, in a cross-validation, by protocol, and of runs compared."""

import dataclasses
import json
from collections import Counter

import numpy as np
import pytest

from cache.schema import TEST
from evaluate.compare.stage import CompareConfig, compare
from evaluate.printed import headline
from evaluate.report.stage import ReportConfig, write_report
from evaluate.results.kinds import Judged, kinds_sentence, measure_kinds
from evaluate.results.read import read_results
from evaluate.stats.metrics import evaluate
from evaluate.studies.cross_validation import CrossvalConfig, crossval
from evaluate.studies.protocols import ProtocolsConfig, protocols
from tests.evaluate.report.test_report import Reader
from tests.stores import pairs, write_features
from tests.train.data.test_kinds import of_kinds
from train.fit import FitConfig, fit


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A features folder whose fakes have three kinds."""
    return write_features(tmp_path_factory.mktemp("kinds"), of_kinds(pairs()), strength=0.5).folder


@pytest.fixture(scope="module")
def run(home, tmp_path_factory):
    runs = tmp_path_factory.mktemp("kinds") / "runs"
    return fit(FitConfig(home, runs, "some", head="mean", epochs=3, kinds=("Deepfakes",)))


def judged(labels, scores, called):
    labels = np.array(labels)
    return Judged(labels, np.array(scores), np.array(called), np.full(len(labels), -1), np.arange(len(labels)))


def test_each_kind_is_measured_against_all_real_clips():
    clips = judged([0, 0, 1, 1, 1], [0.2, 0.6, 0.9, 0.4, 0.3], [False, True, True, False, False])
    one, two = measure_kinds(["", "", "a", "b", "b"], clips, Counter(a=7), 50, 0)
    assert (one.name, one.trained, one.fakes, one.called) == ("b", 0, 2, 0)
    assert (two.name, two.trained, two.fakes, two.called) == ("a", 7, 1, 1)
    assert (one.roc_auc.value, two.roc_auc.value) == (0.5, 1.0)
    assert one.found.value == 0
    assert kinds_sentence([one, two]) == "Found 0 of 2 of b (none in train), 1 of 1 of a."


def test_unnamed_fakes_are_a_kind_of_their_own_and_alone_none():
    clips = judged([0, 1, 1], [0.2, 0.6, 0.9], [False, True, True])
    assert {kind.name for kind in measure_kinds(["", "a", ""], clips, None, 20, 0)} == {"a", "kind unknown"}
    assert measure_kinds(["", "", ""], clips, None, 20, 0) == []


def test_sources_are_those_of_the_kind():
    """A fake that lies below its own source and above that of the others."""
    labels, scores = np.array([1, 0, 0, 1]), np.array([0.5, 0.1, 0.6, 0.9])
    clips = Judged(labels, scores, scores > 0.7, np.array([2, -1, -1, 1]), np.array([0, 1, 0, 1]))
    found = {one.name: one.paired.value for one in measure_kinds(["a", "", "", "b"], clips, None, 20, 0)}
    assert found == {"a": 0.0, "b": 1.0}


def test_the_report_counts_each_kind_and_says_which_training_lacked(run):
    page = write_report(ReportConfig(run=run, resamples=20))
    metrics = json.loads(page.with_name("metrics.json").read_text())
    results = read_results(run)
    clips = results.head.of(TEST)
    assert {kind["name"]: kind["trained"] > 0 for kind in metrics["kinds"]} == {
        "Deepfakes": True, "FaceSwap/InSwap": False, "FaceSwap/SimSwap": False,
    }  # fmt: skip
    assert sum(kind["called"] for kind in metrics["kinds"]) == metrics["calls"]["fake"]["fake"]
    for kind in metrics["kinds"]:
        rows = np.array(
            [not results.split[name].label or results.split[name].kind == kind["name"] for name in clips.ids]
        )
        assert kind["roc_auc"]["value"] == evaluate(clips.labels[rows], clips.probabilities[rows])["roc_auc"].value
    sentence = next(line for line in metrics["summary"] if line.startswith("Found "))
    assert "of FaceSwap/SimSwap (none in train)" in sentence
    assert sentence in headline(page.with_name("metrics.json"))
    words = " ".join(Reader(page.read_text()).words)
    assert sentence in words
    assert "By kind of fake" in words
    assert (page.parent / "tables" / "by-kind.csv").exists()


def test_a_run_without_kinds_says_nothing_of_them(tmp_path):
    run = fit(FitConfig(write_features(tmp_path, pairs()).folder, tmp_path / "runs", head="mean", epochs=2))
    page = write_report(ReportConfig(run=run, resamples=20))
    assert json.loads(page.with_name("metrics.json").read_text())["kinds"] == []
    assert "By kind" not in page.read_text()


def test_runs_compared_are_set_side_by_side_for_each_kind(run, home, tmp_path, capsys):
    other = fit(FitConfig(home, run.parent, "all", head="mean", epochs=3))
    page = compare(CompareConfig((run, other), out=tmp_path / "out", resamples=20))
    numbers = json.loads(page.with_name("comparison.json").read_text())
    assert [line.partition(":")[0] for line in numbers["kinds"]] == ["some", "all"]
    assert "none in train" in numbers["kinds"][0]
    assert "none in train" not in numbers["kinds"][1]
    rows = (page.parent / "tables" / "kinds.csv").read_text().splitlines()
    assert [row.split(",")[:2] for row in rows[1:3]] == [["Deepfakes", "some"], ["Deepfakes", "all"]]
    assert len(rows) == 7


def test_a_cross_validation_and_protocols_divide_by_kind(few_epochs, home, tmp_path):
    page = crossval(CrossvalConfig(home, tmp_path / "cv", repeats=2, folds=3, head="mean", epochs=2, curve=False))
    numbers = json.loads(page.with_name("crossval.json").read_text())
    kinds = {kind["name"]: kind["fakes"] for kind in numbers["head"]["kinds"]}
    assert kinds == {"Deepfakes": 24, "FaceSwap/InSwap": 24, "FaceSwap/SimSwap": 24}
    assert any("in all repetitions" in line and "of 24 of Deepfakes" in line for line in numbers["sentences"])
    assert "Kinds of fake" in page.read_text()
    page = protocols(ProtocolsConfig(home, out=tmp_path / "protocols", head="mean", resamples=20))
    (official, *_) = json.loads(page.with_name("protocols.json").read_text())["protocols"]
    assert {kind["name"] for kind in official["kinds"]} == set(kinds)
    assert "Kinds of fake" in page.read_text()


def test_an_old_run_without_the_column_still_opens(run, tmp_path):
    lines = [line.rsplit(",", 1)[0] for line in (run / "split.csv").read_text().splitlines()]
    (run / "split.csv").rename(tmp_path / "kept.csv")
    try:
        (run / "split.csv").write_text("\n".join(lines))
        assert {row.kind for row in read_results(run).split.values()} == {""}
        results = dataclasses.replace(read_results(run))
        assert results.scope
    finally:
        (tmp_path / "kept.csv").replace(run / "split.csv")
