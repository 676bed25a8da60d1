"""What is said of features is what the profile says, and no more."""

import re
from dataclasses import replace

import pytest

from cache.profile import CropProfile, FeatureProfile, Tap
from evaluate.report.features_text import MORE, PAPERS, detector_text, features_sentences
from evaluate.report.model_card import model_card
from evaluate.results.measures import evaluate_results
from evaluate.results.read import read_results
from extract.backbones.networks import BACKBONES
from tests import ROOT
from tests.evaluate.report.test_report import CONFIG, write_run

PROFILE = FeatureProfile(
    CropProfile(),
    taps=(
        Tap("conv3_block4_out", "face", "mean"),
        Tap("conv3_block4_out", "face", "std"),
        Tap("conv4_block6_out", "face-surround", "mean"),
    ),
)


def test_every_tap_is_named_in_order():
    text = " ".join(features_sentences(PROFILE))
    assert (
        "mean over the face of conv3_block4_out; standard deviation over the face of conv3_block4_out; "
        "mean over the face minus mean over its surround of conv4_block6_out." in text
    )
    assert "He et al., CVPR 2016" in text
    assert "Li et al., CVPR 2020" in text


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ("imagenet", "with the weights of ImageNet."),
        ("random:0", "with random weights."),
        ("sha256:0883955142551cc5", "with the weights of a file (SHA-256 088395514255…)."),
    ],
)
def test_weights_are_named_in_words(weights, words):
    assert next(features_sentences(replace(PROFILE, weights=weights))).endswith(words)


def test_the_last_layer_is_not_praised():
    taps = (Tap("conv5_block3_out", "crop", "mean"),)
    text = " ".join(features_sentences(replace(PROFILE, backbone="resnet50-top", taps=taps)))
    assert "mean over the crop of conv5_block3_out" in text
    assert "Lower layers" not in text
    assert "surround" not in text


def test_features_of_older_profiles_and_runs_on_crops_claim_nothing():
    assert "one late layer" in " ".join(features_sentences(replace(PROFILE, taps=())))
    assert not list(features_sentences(CropProfile()))


def test_no_figure_of_other_clips_is_in_a_report():
    text = " ".join(features_sentences(PROFILE))
    assert "Lower layers" in text
    assert not re.search(r"\b0\.\d", text)
    assert (ROOT / MORE).is_file()


def test_backbones_and_detectors_have_their_papers():
    assert all(name.partition("-")[0] in PAPERS for name in BACKBONES)
    assert "Viola & Jones" in detector_text(CropProfile(detector="haar"))
    assert detector_text(CropProfile(detector="none")) == "none"


@pytest.mark.parametrize(("start", "said"), [("baseline", True), ("nothing", False), (None, False)])
def test_the_card_says_what_the_head_starts_from(tmp_path, start, said):
    settings = CONFIG | ({"start": start} if start else {})
    evaluation = evaluate_results(read_results(write_run(tmp_path / "run", settings=settings)), 5, 0)
    assert any("starts from its baseline" in text for text in model_card(evaluation)["What it is"]) == said
