"""The published recipe, its faults included, beside ours."""

import json
from typing import Any

import cv2
import keras
import numpy as np
import pytest

from cache.profile import fingerprint
from cache.schema import VideoRecord
from evaluate.__main__ import main
from evaluate.studies.published import (
    PublishedConfig,
    first_crops,
    published_batches,
    published_config,
    published_network,
    recipe_notes,
)  # fmt: skip
from extract.backbones.networks import BACKBONES
from extract.drawn.dataset import DrawnConfig, draw_dataset
from tests.clips import write_clip

MJPEG: Any = {"codec": "mjpeg", "pixels": "yuvj420p"}
CASCADE = cv2.data.haarcascades + "haarcascade_frontalface_default.xml"


def test_the_first_twelve_frames_are_taken_and_a_short_clip_ends_in_zeros(tmp_path):
    levels = [20 * number for number in range(1, 13)] + [255] * 30
    images = [np.full((48, 64, 3), level, np.uint8) for level in levels]
    crops = first_crops(write_clip(tmp_path / "long.avi", images, **MJPEG), cv2.CascadeClassifier(CASCADE))
    assert crops.dtype == np.float32
    assert crops.mean(axis=(1, 2, 3)) == pytest.approx(np.array(levels[:12]) / 255, abs=0.02)
    for number, image in enumerate(images):
        (tmp_path / "frames").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "frames" / f"{number:03}.png"), image[:, :, ::-1])
    of_frames = first_crops(tmp_path / "frames", cv2.CascadeClassifier(CASCADE))
    np.testing.assert_allclose(of_frames, crops, atol=0.1)
    short = first_crops(write_clip(tmp_path / "short.avi", images[:5], **MJPEG), cv2.CascadeClassifier(CASCADE))
    assert short[:5].min() > 0
    assert not short[5:].any()


def test_batches_hold_every_clip_once_an_epoch_in_another_order(tmp_path):
    records = []
    for number in range(7):
        name = f"{number}.avi"
        write_clip(tmp_path / name, [np.full((32, 32, 3), 30 * number + 20, np.uint8)] * 12, **MJPEG)
        records.append(VideoRecord(name, name, number % 2, "", "", "", "", 0, 0))

    def seen():
        crops = np.concatenate([batches[index][0] for index in range(len(batches))])
        return (crops.mean(axis=(1, 2, 3, 4)) * 255).round().tolist()

    batches = published_batches(tmp_path, records, 3, 0)
    first = seen()
    batches.on_epoch_end()
    second = seen()
    assert sorted(first) == sorted(second) == pytest.approx([30 * number + 20 for number in range(7)], abs=2)
    assert first != second
    assert len(batches) == 3


def test_everything_is_trainable():
    network = published_network("mobilenetv2", "random")
    assert len(network.trainable_weights) > 150
    assert network.output.shape == (None, 1)


@pytest.mark.slow
def test_both_recipes_are_trained_and_compared_by_one_command(tmp_path, monkeypatch, capsys):
    data = draw_dataset(DrawnConfig(tmp_path / "drawn", people=4, clips=2, youtube=2, fakes=8, workers=1))
    monkeypatch.chdir(tmp_path)
    words = ["published", "--data", str(data), "--backbones", "mobilenetv2", "--weights", "random", "--epochs", "1"]
    main(words)
    *_, header, ours, theirs, _ = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in (header, ours, theirs)] == ["run", "ours-mobilenetv2", "published-mobilenetv2"]
    told = json.loads((tmp_path / "published/comparison/comparison.json").read_text())
    assert set(told["models"]) == {"ours-mobilenetv2", "published-mobilenetv2"}
    for model in told["models"].values():
        assert model["epoch_seconds"] > 0
        assert {"accuracy", "roc_auc", "f1_fake", "f1_real", "kappa"} <= model["over_people"].keys()


def test_a_training_that_was_cut_off_is_said():
    (best,) = recipe_notes([0.7, 0.5, 0.6], 20)
    assert "it took epoch 2 of the 3 that it trained, the best on the test part" in best
    _, cut = recipe_notes([0.7, 0.5], 2)
    assert cut.startswith("The published recipe was cut off after 2 epochs")


@pytest.mark.parametrize("backbone", ["resnet50", "mobilenetv2"])
def test_the_recipe_is_the_published_one_to_the_letter(backbone, tmp_path):
    """Haar on the first twelve frames, no margin, the last layer pooled over the crop, an LSTM from nothing."""
    config = published_config(PublishedConfig(tmp_path), backbone, "random")
    profile = config.profile
    assert profile.backbone == f"{backbone}-top"
    assert [(tap.region, tap.statistic) for tap in profile.taps] == [("crop", "mean")]
    assert (profile.crops.sampling, profile.crops.detector, profile.crops.margin) == ("first", "haar", 0.0)
    assert config.fingerprint == fingerprint(profile)
    pooled = getattr(keras.applications, BACKBONES[profile.backbone].network.builder)(include_top=False, weights=None)
    assert pooled.layers[-1].name == profile.taps[0].layer
    layers = [layer.name.split("_")[0] for layer in published_network(backbone, "random").layers]
    assert layers[-5:] == ["lstm", "dropout", "batch", "dense", "dense"]


def test_pixels_are_divided_by_255_and_nothing_else(tmp_path):
    image = np.full((40, 40, 3), (10, 128, 250), np.uint8)
    crops = first_crops(write_clip(tmp_path / "flat.avi", [image] * 12, **MJPEG), cv2.CascadeClassifier(CASCADE))
    assert crops.mean(axis=(0, 1, 2)) * 255 == pytest.approx([10, 128, 250], abs=4)
