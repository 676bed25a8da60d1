"""Ensembles: members that fit together, weights from validation only, and a run like any other."""

import json
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from base.errors import UserError
from detect.detector.networks import EnsembleScorer, FeatureScorer
from evaluate.report.stage import ReportConfig, write_report
from evaluate.results.read import read_results
from extract.backbones.engines import Engine
from tests.stores import pairs, write_features
from tests.train.test_fit import quick, rows_of
from train.fit import fit
from train.runs.ensemble import EnsembleConfig, ensemble, fit_mixture, mixed, mixture_weights
from train.runs.folder import BASELINE, CONFIG, PREDICTIONS, SPLIT
from train.runs.predictions import Predictions
from train.runs.recipe import Joined, read_config


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_features(tmp_path_factory.mktemp("data"), pairs())


@pytest.fixture(scope="module")
def runs(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    fit(quick(store, folder, head="mean", seeds=3, name="three", learning_rate=1e-2))
    return folder


def probabilities_of(folder) -> np.ndarray:
    return np.array([float(row["probability"]) for row in rows_of(folder / PREDICTIONS)])


def test_seeds_give_a_run_each_and_their_average(runs, store):
    names = sorted(path.name for path in runs.iterdir())
    assert names == ["three", "three-seed0", "three-seed1", "three-seed2"]
    members = [probabilities_of(runs / name) for name in names[1:]]
    assert np.abs(members[0] - members[1]).max() > 1e-3
    np.testing.assert_allclose(probabilities_of(runs / "three"), np.mean(members, axis=0), atol=1e-12)
    alone = fit(quick(store, runs.parent / "alone", head="mean", seed=2, name="one", learning_rate=1e-2))
    np.testing.assert_allclose(probabilities_of(alone), members[2], atol=1e-4)


@pytest.mark.parametrize("kind", ["average", pytest.param("weighted", marks=pytest.mark.slow), "stacked"])
def test_an_ensemble_is_a_run_that_evaluation_accepts(runs, kind):
    members = tuple(runs / f"three-seed{seed}" for seed in range(3))
    folder = ensemble(EnsembleConfig(members, runs=runs.parent / kind, kind=kind))
    found = read_results(folder)
    assert folder.name == f"ensemble-{kind}"
    assert found.head.ids == read_results(members[0]).head.ids
    assert write_report(ReportConfig(run=folder, resamples=20)).is_file()


def test_an_ensemble_names_the_features_of_its_members_as_a_list(tmp_path):
    stores = [write_features(tmp_path / name, pairs(), seed=seed) for seed, name in enumerate(("one", "real and fake"))]
    members = tuple(fit(quick(store, tmp_path / "runs", head="mean", epochs=1)) for store in stores)
    config = read_config(ensemble(EnsembleConfig(members, runs=tmp_path / "runs")))
    assert config.features_folders == [store.folder for store in stores]
    # As ensembles of before have it.
    joined = " and ".join(str(folder) for folder in ("data/a/features-1", "data/b/features-2"))
    found = replace(config, features=joined).features_folders
    assert [str(folder) for folder in found] == ["data/a/features-1", "data/b/features-2"]
    assert replace(config, features=str(stores[1].folder)).features_folders == [stores[1].folder]


def clips_of(count=400, seed=0):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    parts = np.where(np.arange(count) % 2, "val", "test")
    good = 1 / (1 + np.exp(-(2.0 * (labels - 0.5) + random.normal(0, 0.8, count)) * 2))
    probabilities = np.array([good, random.uniform(0.2, 0.8, count)])
    return probabilities, Predictions(
        [str(i) for i in range(count)], labels, parts, good, np.ones(count), np.full(count, np.nan)
    )


def log_loss(probabilities, labels) -> float:
    return float(-np.log(np.where(labels == 1, probabilities, 1 - probabilities)).mean())


def test_weights_are_the_best_on_validation():
    probabilities, clips = clips_of()
    rows = clips.parts == "val"
    found = mixture_weights(probabilities[:, rows], clips.labels[rows])
    assert found.sum() == pytest.approx(1)
    grid = [np.array([share, 1 - share]) for share in np.linspace(0, 1, 201)]
    best = min(grid, key=lambda weights: log_loss(weights @ probabilities[:, rows], clips.labels[rows]))
    assert found[0] == pytest.approx(best[0], abs=0.01)


@pytest.mark.parametrize("seed", range(8))
def test_no_member_alone_is_better_on_validation_than_the_weighted_mean(seed):
    """Members that differ little in what they see and much in how sure they are: the best of them stands alone."""
    random, labels = np.random.default_rng(seed), np.repeat([0, 1], 15)
    scores = random.normal(2 * labels - 1.0, 1) * np.linspace(0.3, 1.5, 5)[:, None] + random.normal(0, 0.05, (5, 30))
    members = 1 / (1 + np.exp(-scores))
    weights = mixture_weights(members, labels)
    assert log_loss(weights @ members, labels) <= min(log_loss(own, labels) for own in members) + 1e-12


@pytest.mark.parametrize("kind", ["weighted", "stacked"])
def test_what_is_fitted_does_not_look_at_the_test_part(kind):
    probabilities, clips = clips_of()
    other = replace(clips, labels=np.where(clips.parts == "test", 1 - clips.labels, clips.labels))
    assert fit_mixture(kind, probabilities, clips) == fit_mixture(kind, probabilities, other)
    mixture, tested = fit_mixture(kind, probabilities, clips), clips.parts == "test"
    noise = log_loss(probabilities[1, tested], clips.labels[tested])
    assert log_loss(mixed(mixture, probabilities[:, tested]), clips.labels[tested]) < noise - 0.1


def test_members_that_do_not_fit_together_are_refused(runs, store, tmp_path):
    one = runs / "three-seed0"
    with pytest.raises(UserError, match="two runs or more"):
        ensemble(EnsembleConfig((one,), runs=tmp_path))
    random = fit(quick(store, tmp_path, head="mean", split="random", val=0.0))
    with pytest.raises(UserError, match=r"do not judge the same clips|other labels, parts or order"):
        ensemble(EnsembleConfig((one, random), runs=tmp_path))
    with pytest.raises(UserError, match="no validation part with both classes"):
        ensemble(EnsembleConfig((random, random), runs=tmp_path, kind="weighted"))
    moved = tmp_path / "moved"
    shutil.copytree(one, moved)
    for name in (SPLIT, PREDICTIONS, BASELINE):
        lines = (moved / name).read_text().splitlines()
        (moved / name).write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(UserError, match="1 are in one of them alone"):
        ensemble(EnsembleConfig((one, moved), runs=tmp_path))


def test_an_ensemble_without_its_description_is_told(runs, tmp_path):
    from detect.detector.load import open_detector

    broken = tmp_path / "broken"
    shutil.copytree(runs / "three", broken)
    config = json.loads((broken / CONFIG).read_text())
    (broken / CONFIG).write_text(json.dumps(config | {"ensemble": {"kind": "average"}}))
    with pytest.raises(UserError, match="does not describe an ensemble"):
        open_detector(broken)


def test_members_judge_what_they_were_trained_on_and_features_are_made_once():
    made = []

    def member(judged, value):
        def run(crops, regions):
            assert regions.tolist() == [[1, 2, 3, 4]] * 24
            made.append(judged)
            return np.full((len(crops), 3), value)

        return FeatureScorer(Engine(run, 24), lambda inputs: inputs["features"][:, 0, :1] / 10, judged)

    judge = EnsembleScorer(
        [member("a", 1), member("a", 2), member("b", 7)], partial(mixed, Joined("average", [0.25, 0.25, 0.5]))
    )
    crops, masks = np.zeros((2, 12, 160, 160, 3), np.uint8), np.ones((2, 12), bool)
    regions = np.tile(np.array([1, 2, 3, 4], np.uint8), (2, 12, 1))
    assert judge.score(crops, regions, masks).probabilities == pytest.approx([0.25 * 0.1 + 0.25 * 0.1 + 0.5 * 0.7] * 2)
    assert made == ["a", "b"]
