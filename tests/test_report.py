"""The report: everything in the run folder is in it, and a folder that does not fit together is refused by name."""

import csv
import json
from html.parser import HTMLParser

import numpy as np
import pytest

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
