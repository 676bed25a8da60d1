"""Runs on features from before taps, which were pooled at the network's top: nothing about them changes."""

from dataclasses import replace

import pytest

from base.errors import UserError
from cache.store import create_store, find_rows
from detect.detector.load import build_networks, open_detector
from evaluate.report.stage import ReportConfig, write_report
from extract.steps import rows_from_store
from tests.crops import PROFILE, rows_of, write_source
from tests.stores import pairs, write_features
from train.end_to_end.finetune import FinetuneConfig, finetune
from train.fit import FitConfig, fit
from train.runs.folder import PREDICTIONS
from train.runs.load import load_head, read_run

OLD = replace(PROFILE, crops=replace(PROFILE.crops, version=3), taps=(), version=1)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_source(tmp_path_factory.mktemp("old"), profile=OLD)


@pytest.mark.slow
def test_they_are_trained_evaluated_and_detect(run):
    assert read_run(run).size == 1280
    assert write_report(ReportConfig(run=run, resamples=20)).is_file()
    detector, stored = (
        open_detector(run),
        {row["id"]: float(row["probability"]) for row in rows_of(run / PREDICTIONS)},
    )
    crops = find_rows(create_store(run.parents[1] / "set", OLD.crops))
    for row in detector.with_features(rows_from_store(list(crops.values()))):
        assert detector.probability(row) == pytest.approx(stored[row.id], abs=1e-3)


@pytest.mark.slow
def test_they_are_fine_tuned_and_exported_without_regions(run, tmp_path):
    assert set(build_networks(run)["detector"].input) == {"crops", "mask"}
    tuned = finetune(FinetuneConfig(run=run, runs=tmp_path, layers=2, warmup_epochs=0, epochs=1))
    assert replace(read_run(tuned).profile, weights=OLD.weights) == OLD
    assert open_detector(tuned).engine is not None


def test_their_features_never_mix_with_new_ones(tmp_path):
    old, new = write_features(tmp_path, pairs(), profile=OLD), create_store(tmp_path / "set", PROFILE)
    run = fit(FitConfig(old.folder, tmp_path / "runs", head="mean", epochs=1))
    with pytest.raises(UserError, match=r"taps=none instead of taps=block_6_expand_relu face mean"):
        load_head(read_run(run), new.profile)  # pyright: ignore[reportArgumentType]
