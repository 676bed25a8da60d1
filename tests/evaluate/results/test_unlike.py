"""Clips of another data set, compared with those that a run was trained on."""

import json

import numpy as np

from evaluate.results.unlike import sentence_on_each
from evaluate.studies.protocols import ProtocolsConfig, protocols
from tests.stores import pairs, write_features
from train.runs.predictions import read_predictions


def test_what_lies_beyond_the_limit_is_counted():
    assert sentence_on_each(np.array([0.5, 1.2, 3.0])) == "2 of 3 clips are too unlike the training clips to be called."
    assert sentence_on_each(np.array([0.5, np.nan])) == ""


def test_protocols_says_of_another_data_set_how_unlike_it_is(few_epochs, tmp_path):
    home = write_features(tmp_path / "home", pairs(people=12, clips=2)).folder
    away = write_features(tmp_path / "away", pairs(people=12, clips=2), seed=1, shift=3.0).folder
    page = protocols(ProtocolsConfig(home, (away,), out=tmp_path / "out", head="mean", resamples=20))
    *_, crossed = json.loads((page.parent / "protocols.json").read_text())["protocols"]
    said = " ".join(crossed["warnings"])
    assert "48 of 48 clips are too unlike the training clips to be called." in said
    assert "These 48 clips differ as a whole from the training clips" in said
    assert (read_predictions(page.parent / "on-set.csv").distances > 1).all()
