"""Opening a run reads each of its files once."""

import os
from collections import Counter

from detect.detector.load import open_detector
from tests.strangers import write_head_run
from train.runs.folder import CONFIG, DONE, PREDICTIONS


def test_a_run_is_opened_with_one_look_at_each_file(tmp_path, monkeypatch):
    run, opened, really = write_head_run(tmp_path / "run"), Counter(), os.open

    def count(path, *how, **more):
        opened[str(path)] += 1
        return really(path, *how, **more)

    open_detector(run)  # so that its networks are kept
    monkeypatch.setattr(os, "open", count)
    open_detector(run)
    assert {name: opened[str(run / name)] for name in (CONFIG, DONE, PREDICTIONS)} == {
        CONFIG: 1,
        DONE: 1,
        PREDICTIONS: 1,
    }
