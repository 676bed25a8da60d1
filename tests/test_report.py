"""The report: everything in the run folder is in it, and a folder that does not fit together is refused by name."""

import csv
import dataclasses
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from cache.schema import UserError
from evaluate.__main__ import main
from evaluate.figures import COLOURS
from evaluate.metrics import choose_threshold, evaluate
from evaluate.predictions import read_predictions
from evaluate.report import ReportConfig, write_report

PROFILE = {"backbone": "resnet50", "weights": "imagenet", "crops": {"margin": 0.3, "detector": "haar"}, "version": 1}
CONFIG = {"features": None, "name": "x", "head": "lstm", "seed": 0, "class_weights": True, "learning_rate": 0.001}
HOSTILE = "<script>alert('x')</script>&\"\\1.mp4"


def clips(train=40, val=30, test=60):
    """Rows (id, label, part); every third clip is real."""
    parts = ["train"] * train + ["val"] * val + ["test"] * test
    return [(f"clip{number:05}.mp4", int(number % 3 > 0), part) for number, part in enumerate(parts)]


def write_csv(path, columns, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


def write_predictions(path, rows, strength, seed):
    generator = np.random.default_rng(seed)
    labels = np.array([label for _, label, _ in rows])
    scores = np.clip(generator.normal(0.5 + strength * (labels - 0.5), 0.2), 0, 1)
    coverage = generator.uniform(0.3, 1, len(rows))
    used = [row for row in zip(*zip(*rows, strict=True), scores, coverage, strict=True) if row[2] != "dropped"]
    write_csv(path, ["id", "label", "part", "probability", "coverage"], used)


def write_run(folder, rows=None, findings=(), notes=(), profile=PROFILE, validated=True):
    """A run folder as training leaves it, of made-up numbers."""
    rows = clips() if rows is None else rows
    folder.mkdir(parents=True)
    write_csv(folder / "split.csv", ["id", "label", "part", "target", "donor", "source"],
              [(*row, "id1", "", "") for row in rows])  # fmt: skip
    write_predictions(folder / "predictions.csv", rows, 0.5, 1)
    write_predictions(folder / "baseline.csv", rows, 0.2, 2)
    history = [(epoch, 0.7 / epoch, 0.7 / epoch + 0.01 * epoch) for epoch in range(1, 13)]
    columns = ["epoch", "loss", "val_loss"] if validated else ["epoch", "loss"]
    write_csv(folder / "history.csv", columns, [row[: len(columns)] for row in history])
    audit = {"split": "official", "dropped": sum(row[2] == "dropped" for row in rows)}
    (folder / "audit.json").write_text(json.dumps(audit | {"notes": list(notes), "findings": list(findings)}))
    config = {"config": CONFIG, "profile": profile, "fingerprint": "1a2b3c4d5e6f", "features": "data/my set/f-1a2b"}
    config |= {"versions": {"python": "3.11", "keras": "3.15.1"}, "origin": {"data": "../celeb-df"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "run.json").write_text('{"created": "2026-01-01T00:00:00"}')
    return folder


def finding(kind, name, train, test):
    return {"kind": kind, "name": name, "parts": ["train", "test"], "videos": {"train": train, "test": test}}


@pytest.fixture
def run_folder(tmp_path):
    return write_run(tmp_path / "runs" / "lstm")


def report(folder, resamples=50):
    return write_report(ReportConfig(run=folder, resamples=resamples)).read_text(encoding="utf-8")


def metrics(folder):
    return json.loads((folder / "report/metrics.json").read_text())


class Reader(HTMLParser):
    """Keeps the elements, attributes and text of a page, and that every element is closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.values, self.words, self.open = set(), [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.values += [(name, value) for name, value in attrs]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.values += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


MEASURES = {
    "scores": {"roc_auc", "pr_auc", "eer", "log_loss", "brier"},
    "measures": {"accuracy", "balanced_accuracy", "kappa", "youden_j"}
    | {f"{name}_{label}" for name in ("precision", "recall", "f1") for label in ("fake", "real")},
}


def test_every_number_is_that_of_the_stored_predictions(run_folder):
    report(run_folder)
    found = metrics(run_folder)["parts"]["test"]
    for model, file in (("head", "predictions.csv"), ("logistic baseline", "baseline.csv")):
        stored = read_predictions(run_folder / file)
        test, val = stored.of("test"), stored.of("val")
        thresholds = {"0.5": 0.5, "chosen on validation": choose_threshold(val.labels, val.probabilities)}
        assert set(found[model]["scores"]) == MEASURES["scores"]
        for name, threshold in thresholds.items():
            assert threshold is not None
            calls = found[model]["decisions"][name]
            expected = evaluate(test.labels, test.probabilities, threshold, resamples=50)
            assert calls["threshold"] == threshold
            assert set(calls["measures"]) == MEASURES["measures"]
            for measure, values in (found[model]["scores"] | calls["measures"]).items():
                assert values == dataclasses.asdict(expected[measure]), measure
            assert sum(calls["confusion"].values()) == len(test.ids)


def test_the_page_is_whole_and_asks_for_nothing(run_folder):
    text = report(run_folder)
    page = Reader(text)
    assert not page.open
    assert not page.tags & {"script", "link", "img", "iframe", "object"}
    for name, value in page.values:
        assert name not in ("src", "srcset", "data", "action")
        assert not name.startswith("on")
        assert not name.endswith("href") or value.startswith("#")
    assert "default-src 'none'" in text
    assert "url(http" not in text
    ids = [value for name, value in page.values if name == "id"]
    assert len(ids) == len(set(ids))


def test_each_figure_is_in_the_page_described_and_in_its_colours(run_folder):
    text = report(run_folder)
    figures = re.findall(r"<svg .*?</svg>", text, flags=re.S)
    names = {"roc", "pr", "confusion", "confusion-chosen", "histogram", "training"}
    assert len(figures) == len(names)
    for figure in figures:
        assert re.match(r'<svg viewBox="[^"]+" role="img" aria-label="[^"]+">', figure)
        assert not any(colour in figure for colour in COLOURS.values())
        assert "var(--ink)" in figure
    assert {path.stem for path in (run_folder / "report/figures").glob("*.png")} == names
    assert {path.stem for path in (run_folder / "report/figures").glob("*.svg")} == names


def test_the_same_run_gives_the_same_page(run_folder):
    assert report(run_folder) == report(run_folder)


def test_names_and_notes_from_files_are_escaped(tmp_path):
    rows = [(HOSTILE, 1, "test"), *clips()]
    found = [finding("identity", HOSTILE, ["clip00000.mp4"], [HOSTILE])]
    text = report(write_run(tmp_path / "<b>run", rows, found, notes=[HOSTILE]))
    assert "script" not in Reader(text).tags
    assert "b" not in {tag for tag, value in Reader(text).values if value == "run"}
    assert HOSTILE in "".join(Reader(text).words)


def test_leaks_are_named_and_counted(tmp_path):
    found = [
        finding("identity", "id7", ["clip00000.mp4"], ["clip00070.mp4", "clip00071.mp4"]),
        finding("identity", "id8", ["clip00001.mp4"], ["clip00071.mp4"]),
        finding("source", "Celeb-real/id7_0000.mp4", ["clip00002.mp4"], ["clip00072.mp4"]),
        finding("duplicate", "clip00003.mp4", ["clip00003.mp4"], ["clip00073.mp4"]),
    ]
    words = "".join(Reader(report(write_run(tmp_path / "run", findings=found, notes=["nine were dropped"]))).words)
    assert "2 of 60 test clips show a person who is also in train" in words
    assert "1 of 60 test clips come from footage that is also in train" in words
    assert "1 of 60 test clips have the very content" in words
    assert "nine were dropped" in words
    for name in ("id7", "id8", "Celeb-real/id7_0000.mp4", "People in more than one part (2)"):
        assert name in words


def test_random_weights_and_a_beaten_head_are_said(tmp_path):
    folder = write_run(tmp_path / "run", profile=PROFILE | {"weights": "random:0"})
    (folder / "predictions.csv").write_bytes((folder / "baseline.csv").read_bytes())
    text = report(folder)
    assert "the plumbing only" in text
    assert "does not beat the baseline" in text


def test_without_validation_no_threshold_is_chosen(tmp_path):
    folder = write_run(tmp_path / "run", clips(val=0), validated=False)
    assert "no threshold was chosen" in report(folder)
    assert list(metrics(folder)["parts"]) == ["test"]
    assert list(metrics(folder)["parts"]["test"]["head"]["decisions"]) == ["0.5"]


def test_one_class_leaves_undefined_what_needs_two(tmp_path):
    rows = [row for row in clips() if row[2] != "test" or row[1] == 1]
    folder = write_run(tmp_path / "run", rows)
    text = report(folder)
    assert "fake clips only" in text
    assert "undefined" in text
    assert not re.search(r"\bnan\b", "".join(Reader(text).words), flags=re.I)
    assert metrics(folder)["parts"]["test"]["head"]["scores"]["roc_auc"]["value"] is None
    assert not (folder / "report/figures/roc.png").exists()


def test_dropped_clips_are_counted(tmp_path):
    rows = [*clips(), ("left.mp4", 1, "dropped"), ("out.mp4", 0, "dropped")]
    folder = write_run(tmp_path / "run", rows)
    assert "Clips dropped to keep the parts apart: 2." in report(folder)
    assert metrics(folder)["counts"]["dropped"] == {"real": 1, "fake": 1, "coverage": None, "few_faces": 0}


def replaced(old: str, new: str):
    return lambda text: text.replace(old, new, 1)


def without(line: int):
    return lambda text: "".join(row for number, row in enumerate(text.splitlines(keepends=True), 1) if number != line)


def with_probability(text: str, value: str) -> str:
    rows = text.splitlines()
    rows[4] = ",".join([*rows[4].split(",")[:3], value, "1.0"])
    return "\n".join(rows)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("predictions.csv", lambda text: with_probability(text, "nan"), r"predictions\.csv, line 5: .* 'nan'"),
        ("predictions.csv", lambda text: with_probability(text, "1.5"), r"line 5: the probability '1\.5'"),
        ("baseline.csv", lambda text: with_probability(text, "x"), r"baseline\.csv, line 5: the probability 'x'"),
        ("predictions.csv", replaced("clip00001.mp4", "clip00000.mp4"), r"line 3: .* a second time"),
        ("predictions.csv", replaced("clip00001.mp4,1", "clip00001.mp4,0"), "'clip00001.mp4' with label 0"),
        ("predictions.csv", replaced("clip00001.mp4,1", "clip00001.mp4,2"), "line 3: the label '2'"),
        ("predictions.csv", replaced("clip00001.mp4,1,train", "clip00001.mp4,1,test"), "label 1 in test"),
        ("predictions.csv", replaced("clip00001.mp4", "other.mp4"), "has the clip 'other.mp4'"),
        ("predictions.csv", without(3), "lacks 1 clips of the run's split, 'clip00001.mp4'"),
        ("predictions.csv", replaced("clip00001.mp4,1,train", "clip00001.mp4,1"), "line 3: .* as many values"),
        ("predictions.csv", replaced("probability", "score"), "no column 'probability'"),
        ("history.csv", replaced("1,0.7", "1,low"), r"history\.csv, line 2: 'low"),
        ("config.json", lambda text: text[:-1], r"config\.json cannot be read as JSON"),
        ("config.json", replaced("fingerprint", "print"), r"config\.json has no 'fingerprint'"),
        ("audit.json", replaced('"findings": [', '"findings": [3'), r"audit\.json: finding 1 lacks"),
    ],
)
def test_a_run_that_does_not_fit_together_is_refused(run_folder, file, change, message):
    path = run_folder / file
    path.write_text(change(path.read_text()))
    with pytest.raises(UserError, match=message):
        report(run_folder)
    assert not (run_folder / "report").exists()


@pytest.mark.parametrize(
    "file", ["run.json", "predictions.csv", "baseline.csv", "config.json", "audit.json", "split.csv", "history.csv"]
)
def test_a_missing_file_is_named(run_folder, file):
    (run_folder / file).unlink()
    with pytest.raises(UserError, match=re.escape(file)):
        report(run_folder)


def test_nothing_to_test_on_and_no_resamples_are_refused(tmp_path):
    with pytest.raises(UserError, match="no clip in its test part"):
        report(write_run(tmp_path / "run", clips(test=0)))
    with pytest.raises(UserError, match="draws no interval"):
        report(write_run(tmp_path / "other"), resamples=0)


def test_the_command_prints_numbers_notes_and_the_path(run_folder, capsys):
    assert main(["report", "--run", str(run_folder), "--resamples", "20"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == str(run_folder / "report/report.html")
    assert lines[0].startswith("test: 20 real, 40 fake")
    value = metrics(run_folder)["parts"]["test"]["head"]["scores"]["roc_auc"]["value"]
    assert f"{value:.3f}" in next(line for line in lines if line.startswith("ROC AUC"))
    assert [line for line in lines if line.startswith("note: ")]
