"""Weights that cannot be had are said before any work, and what Keras has in its cache needs no network."""

import urllib.error
import urllib.request
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from base.errors import UserError
from cache.profile import CropProfile, FeatureProfile
from evaluate.studies.published import PublishedConfig, published
from extract import pipeline
from extract.backbones import weights
from extract.backbones.networks import BACKBONES, obtain_weights, require_weights
from extract.config import ExtractConfig
from tests.clips import counting_images, write_clip

UNREACHABLE = (
    r"the ImageNet weights of MobileNetV2 are not in Keras' cache .*\(no route\); put https://.*no_top\.h5 into"
)
NETWORKS = {backbone.network.builder: backbone.network for backbone in BACKBONES.values()}


@pytest.fixture
def asked(monkeypatch, tmp_path) -> list[str]:
    """No network, and an empty cache of Keras; the addresses that were asked for."""
    addresses: list[str] = []

    def urlopen(request, *_, **__):
        addresses.append(getattr(request, "full_url", request))
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(weights.tempfile, "gettempdir", lambda: str(tmp_path))
    (tmp_path / "keras" / "models").mkdir(parents=True)
    return addresses


def cache_file(tmp_path: Path, builder: str, size: int) -> None:
    with (tmp_path / "keras" / "models" / NETWORKS[builder].file).open("wb") as file:
        file.truncate(size)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_keras_gets_the_file_that_is_looked_for(asked, network):
    with pytest.raises(UserError, match="cannot be downloaded"):
        weights.download(network)
    assert asked == [network.url]


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_the_numbers_of_a_network_are_counted_right(network):
    model = getattr(keras.applications, network.builder)(include_top=False, weights=None, input_shape=(160, 160, 3))
    assert model.count_params() == network.count


def test_without_a_network_no_clip_is_opened(asked, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "_extract_all", lambda *_: pytest.fail("it worked first"))
    monkeypatch.setattr(weights, "start_keras", lambda: pytest.fail("it started Keras first"))
    (tmp_path / "set" / "Celeb-real").mkdir(parents=True)
    write_clip(tmp_path / "set/Celeb-real/id0_0000.mp4", counting_images(6))
    with pytest.raises(UserError, match=UNREACHABLE):
        pipeline.extract(ExtractConfig(tmp_path / "set", tmp_path / "out", "mobilenetv2", "imagenet"))
    assert len(asked) == 1
    assert not list(tmp_path.glob("out/set/*"))


def test_without_a_network_no_run_is_tuned_or_judged_with(asked, tmp_path):
    profile = FeatureProfile(CropProfile(), "mobilenetv2", "imagenet", taps=BACKBONES["mobilenetv2"].taps)
    with pytest.raises(UserError, match=UNREACHABLE):
        require_weights(profile, "imagenet", tmp_path)


def test_without_a_network_the_published_recipe_says_so_of_its_last_backbone_first(asked, tmp_path, monkeypatch):
    monkeypatch.setattr("evaluate.studies.published.extract", lambda _: pytest.fail("it worked first"))
    config = PublishedConfig(tmp_path, tmp_path / "out", weights=("random", "imagenet"))
    with pytest.raises(UserError, match=UNREACHABLE):
        published(config)


def test_what_keras_has_needs_no_network(asked, tmp_path):
    size = 4 * NETWORKS["MobileNetV2"].count
    cache_file(tmp_path, "MobileNetV2", size)
    obtain_weights("mobilenetv2", "imagenet")
    assert not asked
    cache_file(tmp_path, "MobileNetV2", size - 1)  # a download that was cut off
    with pytest.raises(UserError, match=UNREACHABLE):
        obtain_weights("mobilenetv2", "imagenet")


def test_a_server_that_answers_is_asked_for_the_file(asked, monkeypatch):
    def refused(*_, **__):
        raise urllib.error.HTTPError("https://host", 405, "no", {}, None)  # pyright: ignore

    monkeypatch.setattr(urllib.request, "urlopen", refused)
    monkeypatch.setattr(weights, "start_keras", lambda: None)
    monkeypatch.setattr(weights, "download", asked.append)
    obtain_weights("mobilenetv2", "imagenet")
    assert asked == [NETWORKS["MobileNetV2"]]


def test_a_file_of_too_few_numbers_is_refused_at_once(tmp_path):
    with h5py.File(tmp_path / "head.h5", "w") as file:
        file["layer/kernel"] = np.zeros(7, np.float32)
    with pytest.raises(UserError, match=r"head\.h5 does not hold weights of ResNet50 .*it has 7 numbers, and they are"):
        obtain_weights("resnet50", str(tmp_path / "head.h5"))
