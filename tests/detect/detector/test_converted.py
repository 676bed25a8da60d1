"""A run's networks are converted once: the same scores as by Keras, to 1e-5, without TensorFlow from then on."""

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from base.errors import UserError
from base.outside import kept
from detect.detector import converted as converting
from detect.detector.converted import NotConverted, converted, is_converted
from detect.detector.formats import FORMATS, engines
from detect.detector.load import as_network, open_detector
from detect.detector.networks import Scorer
from extract.backbones.engines import backbone_key, make_engine
from extract.steps import features_of
from tests import ROOT
from tests.crops import draw_crops, mask_with, write_source
from train.end_to_end.cnn3d import Cnn3dConfig, train_cnn3d
from train.fit import FitConfig, fit
from train.heads.architectures import HEADS, HeadConfig, build_head
from train.runs.ensemble import EnsembleConfig, ensemble

SIZE, NEAR = 24, 1e-5
REGIONS = np.full((1, 12, 4), [40, 40, 120, 120], np.uint8)


@pytest.fixture(scope="module")
def run(short_profile, tmp_path_factory) -> Path:
    return write_source(tmp_path_factory.mktemp("source"), profile=short_profile)


@pytest.fixture
def empty(tmp_path, monkeypatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv(kept.VARIABLE, str(tmp_path / "kept"))
    return tmp_path / "kept"


def score(run: Path, engine: str) -> np.ndarray:
    """The probabilities of four clips, one of them of five frames."""
    found: list[Scorer] = []

    def look(scorer: Scorer) -> Scorer:
        found.append(scorer)
        return scorer

    open_detector(run, engine=engine).with_scorer(look)
    probabilities = []
    for label, frames in ((0, 12), (1, 12), (0, 5), (1, 5)):
        crops, mask = draw_crops(np.random.default_rng(label), label, frames)[None], mask_with(frames)[None]
        made = features_of(crops, REGIONS, mask, found[0].engine) if found[0].engine else crops
        probabilities.append(found[0].score(made, REGIONS, mask).probabilities[0])
    return np.array(probabilities)


def assert_same(run: Path, engine: str = "auto") -> None:
    by_keras = score(run, "keras")
    assert np.ptp(by_keras) > 0
    np.testing.assert_allclose(score(run, engine), by_keras, rtol=0, atol=NEAR)


def test_a_run_has_the_same_scores(run):
    assert_same(run)


def test_an_ensemble_has_the_same_scores(run):
    features = next((run.parents[1] / "set").glob("features-*"))
    other = fit(FitConfig(features=features, runs=run.parent, name="other", head="mean", epochs=2, units=8, dense=8))
    assert_same(ensemble(EnsembleConfig((run, other), runs=run.parent, name="both")))


def test_a_network_over_crops_has_the_same_scores(run):
    assert_same(train_cnn3d(Cnn3dConfig(run=run, runs=run.parent, name="motion", width=2, epochs=1, warmup_epochs=0)))


@pytest.mark.slow
@pytest.mark.parametrize("engine", [engine for engine in engines() if engine not in ("auto", "keras", "openvino")])
def test_other_engines_have_the_same_scores_without_an_export(run, engine):
    assert not (run / "export").exists()
    assert_same(run, engine)


QUICK = ("lstm", "attention")


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in HEADS
])  # fmt: skip
def test_every_head_is_the_same(name, empty):
    head = build_head(HeadConfig(name, 8, 0.3, 8, start="nothing"), SIZE)
    inputs = {
        "features": np.random.default_rng(1).normal(0, 3, (4, 12, SIZE)).astype(np.float32),
        "mask": np.stack([mask_with(frames) for frames in (12, 12, 5, 1)]),
    }
    by_keras = as_network(head)(inputs)
    assert np.ptp(by_keras) > 1e-3
    network = converted("openvino", {"head": name}, lambda: head)
    np.testing.assert_allclose(network(inputs), by_keras, rtol=0, atol=NEAR)


def test_tensorflow_is_not_loaded_for_a_run_whose_networks_are_kept(run, tmp_path):
    from tests.clips import counting_images, write_clip

    clip = write_clip(tmp_path / "clip.mp4", counting_images(20))
    open_detector(run)
    program = """
import sys
from detect.__main__ import main
from tests.short import register
register()
status = main(sys.argv[1:])
loaded = {"tensorflow", "keras", "scipy.stats", "sklearn", "matplotlib"} & sys.modules.keys()
assert not loaded, loaded
sys.exit(status)
"""
    command = [sys.executable, "-c", program, str(clip), "--run", str(run)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 2, found.stderr
    assert found.stdout.splitlines()[-1].startswith("Undecided")


def test_features_are_made_by_the_backbone_that_verdicts_keep(empty, monkeypatch):
    by_keras = make_engine("mobilenetv2", "random", 12, name="keras")
    made = make_engine("mobilenetv2", "random", 12, name="openvino")
    assert is_converted("openvino", backbone_key("mobilenetv2", "random:0"))
    crops, regions = draw_crops(np.random.default_rng(0), 0), REGIONS[0]
    expected = made.features(crops, regions)
    np.testing.assert_allclose(expected, by_keras.features(crops, regions), rtol=0, atol=1e-3)
    monkeypatch.setattr("extract.backbones.engines.start_keras", None)  # not called again
    again = make_engine("mobilenetv2", "random", 12, name="openvino")
    assert np.array_equal(again.features(crops, regions), expected)


def test_damaged_weights_are_refused_although_their_network_is_kept(run, tmp_path):
    damaged = Path(shutil.copytree(run, tmp_path / "run"))
    open_detector(damaged)
    weights = damaged / "head.weights.h5"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(UserError, match=r"head\.weights\.h5 does not hold the weights of the run"):
        open_detector(damaged)


def test_other_weights_have_another_network(run, empty):
    open_detector(run)
    kept_before = {path.name for path in empty.iterdir()}
    config = FitConfig(next((run.parents[1] / "set").glob("features-*")), run.parent, "next", units=8, dense=8, seed=1)
    open_detector(fit(dataclasses.replace(config, epochs=1)))
    assert len({path.name for path in empty.iterdir()} - kept_before) == 1  # the backbone is the same


def _without_a_converter(*_):
    raise ValueError("no such operation")


def test_what_cannot_be_converted_is_run_by_keras(run, empty, monkeypatch):
    monkeypatch.setitem(FORMATS, "openvino", dataclasses.replace(FORMATS["openvino"], write=_without_a_converter))
    with pytest.raises(NotConverted, match=r"cannot be converted for openvino \(no such operation\); use --engine ker"):
        open_detector(run, engine="openvino")
    assert np.array_equal(score(run, "auto"), score(run, "keras"))


def test_a_kept_network_that_its_runtime_refuses_is_to_be_removed(empty, monkeypatch):
    def refused(_):
        raise RuntimeError("written by a later version")

    monkeypatch.setitem(FORMATS, "openvino", dataclasses.replace(FORMATS["openvino"], read=refused))
    head = build_head(HeadConfig("mean", 8, 0.3, 8, start="nothing"), SIZE)
    with pytest.raises(UserError, match=r"\(written by a later version\); remove .*, and it is made again\.$"):
        converted("openvino", {"head": "refused"}, lambda: head)


def test_a_conversion_with_other_numbers_is_not_used(run, empty, monkeypatch):
    monkeypatch.setattr(
        "detect.detector.load.converted",
        lambda *words: lambda inputs: np.full((len(inputs["mask"]), 1), 0.123),
    )
    with pytest.raises(NotConverted, match="is another network"):
        open_detector(run, engine="openvino")


def test_without_an_engine_that_starts_fast_keras_judges(run, monkeypatch):
    monkeypatch.setattr(converting.importlib.util, "find_spec", lambda name: None)
    assert converting.quickest() == "keras"
    monkeypatch.undo()
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr(converting, "backend", lambda: "jax")
    assert converting.quickest() == "keras"
