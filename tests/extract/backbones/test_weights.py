"""Weights that cannot be had are said before any work, and what Keras has in its cache needs no network."""

import io
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from base.errors import UserError
from cache.profile import CropProfile, FeatureProfile
from evaluate.studies.published import PublishedConfig, published
from extract import pipeline
from extract.backbones import engines, weights
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


@pytest.fixture
def served(asked, monkeypatch):
    """A server of 1,000 bytes."""

    class Answer(io.BytesIO):
        content, length = bytes(range(250)) * 4, 1000

    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: Answer(Answer.content))
    return Answer


def cache_file(tmp_path: Path, builder: str, size: int) -> None:
    with (tmp_path / "keras" / "models" / NETWORKS[builder].file).open("wb") as file:
        file.truncate(size)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_keras_would_get_the_file_that_is_looked_for(asked, network):
    make = getattr(keras.applications, network.builder)
    with pytest.raises(Exception, match="no route"):
        make(include_top=False, weights="imagenet", input_shape=(160, 160, 3))
    with pytest.raises(UserError, match="cannot be downloaded"):
        weights.download(network)
    assert asked == [network.url] * 2


def test_a_download_goes_under_our_bar_into_keras_cache_and_says_nothing_else(tmp_path, monkeypatch, capsys, served):
    network = replace(NETWORKS["MobileNetV2"], count=250)
    weights.obtain(network, "imagenet")
    assert (tmp_path / "keras" / "models" / network.file).read_bytes() == served.content
    said = capsys.readouterr()
    assert not said.out
    assert "download MobileNetV2: 100%" in said.err
    assert "1.00k/1.00k" in said.err


@pytest.mark.usefixtures("served")
def test_a_download_that_is_cut_off_is_told(tmp_path):
    with pytest.raises(UserError, match=r"MobileNetV2 .* cannot be downloaded \(it was cut off\)"):
        weights.download(replace(NETWORKS["MobileNetV2"], count=251))


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_the_numbers_of_a_network_are_counted_right(network):
    model = getattr(keras.applications, network.builder)(include_top=False, weights=None, input_shape=(160, 160, 3))
    assert model.count_params() == network.count


def test_without_a_network_no_clip_is_opened(asked, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "_extract_all", lambda *_: pytest.fail("it worked first"))
    monkeypatch.setattr(engines, "start_keras", lambda: pytest.fail("it started Keras first"))
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
    (tmp_path / "set" / "Celeb-real").mkdir(parents=True)
    write_clip(tmp_path / "set/Celeb-real/id0_0000.mp4", counting_images(6))
    config = PublishedConfig(tmp_path / "set", tmp_path / "out", weights=("random", "imagenet"))
    with pytest.raises(UserError, match=UNREACHABLE):
        published(config)


def test_the_published_recipe_looks_for_the_clips_before_it_downloads(asked, tmp_path):
    with pytest.raises(UserError, match="there is no"):
        published(PublishedConfig(tmp_path / "nothing", tmp_path / "out"))
    assert not asked


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
        raise urllib.error.HTTPError("https://host", code, "no", {}, None)  # pyright: ignore

    monkeypatch.setattr(urllib.request, "urlopen", refused)
    monkeypatch.setattr(weights, "download", asked.append)
    code = 405  # it says nothing of files without giving them
    obtain_weights("mobilenetv2", "imagenet")
    assert asked == [NETWORKS["MobileNetV2"]]
    code = 403
    with pytest.raises(UserError, match="the server says 403 no"):
        obtain_weights("mobilenetv2", "imagenet")
    assert len(asked) == 1


def test_a_file_of_too_few_numbers_is_refused_at_once(tmp_path):
    with h5py.File(tmp_path / "head.h5", "w") as file:
        file["layer/kernel"] = np.zeros(7, np.float32)
    with pytest.raises(UserError, match=r"head\.h5 does not hold weights of ResNet50 .*it has 7 numbers, and they are"):
        obtain_weights("resnet50", str(tmp_path / "head.h5"))
