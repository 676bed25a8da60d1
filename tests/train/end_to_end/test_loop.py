"""The end-to-end loop on a network small enough to try everything: resuming, keeping the best, refusing."""

import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from base.errors import Unreadable, UserError
from base.files import Unwritable
from cache.schema import CROP_SIZE, FRAMES, TEST
from tests.crops import PROFILE, RECORDS, write_crops
from train.end_to_end.augment import Augmentation
from train.end_to_end.checkpoint import TrainingProgress
from train.end_to_end.config import EndToEndConfig, require_sensible
from train.end_to_end.crop_set import CropSet, find_crops
from train.end_to_end.crops import Blending, CropSequence
from train.end_to_end.loop import _batches, learning_rate_schedule, train_on_crops
from train.end_to_end.stage import train_and_write

CONFIG = EndToEndConfig(learning_rate=0.05, warmup_epochs=1, epochs=4, patience=4, batch=3, accumulate=2)


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> CropSet:
    root = tmp_path_factory.mktemp("crops")
    store = write_crops(root)
    split = root / "split.csv"
    parts = ["train"] * 6 + ["val"] * 3 + ["dropped"] + ["test"] * 2
    split.write_text("id,part\n" + "".join(f"{record.id},{part}\n" for record, part in zip(RECORDS, parts)))  # noqa: B905
    return find_crops([store.folder], PROFILE.crops, split)


def small_network() -> keras.Model:
    keras.utils.set_random_seed(0)
    crops = keras.Input((FRAMES, CROP_SIZE, CROP_SIZE, 3), dtype="uint8", name="crops")
    mask: Any = keras.Input((FRAMES,), dtype="bool", name="mask")
    means = keras.layers.AveragePooling3D((1, CROP_SIZE, CROP_SIZE))(keras.layers.Rescaling(1 / 127.5, -1)(crops))
    clip = keras.layers.GlobalAveragePooling1D()(keras.layers.Reshape((FRAMES, 3))(means), mask=mask)
    clip = keras.layers.Dropout(0.5)(keras.layers.Dense(8, activation="relu")(clip))
    return keras.Model({"crops": crops, "mask": mask}, keras.layers.Dense(1, activation="sigmoid")(clip))


def train(clips: CropSet, folder: Path, **changes: Any):
    config = replace(CONFIG, **changes)
    network = small_network()
    return network, train_on_crops(network, clips, config, folder / "state.npz")


class Stop(Exception):
    pass


def stop_after(epoch: int, monkeypatch) -> None:
    from train.end_to_end.loop import write_checkpoint

    def write(path, settings, found):
        write_checkpoint(path, settings, found)
        if found.progress.epoch == epoch:
            raise Stop

    monkeypatch.setattr("train.end_to_end.loop.write_checkpoint", write)


def equal(first: keras.Model, second: keras.Model) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first.get_weights(), second.get_weights(), strict=True))


def test_a_sequence_reads_what_was_written_with_labels_weights_and_mask(clips):
    sequence = CropSequence(clips, np.arange(11), 4, np.array([0.5, 2.0]))
    batches: list[Any] = [sequence[i] for i in range(len(sequence))]
    assert [len(labels) for _, labels, _ in batches] == [4, 4, 3]
    crops = np.concatenate([inputs["crops"] for inputs, _, _ in batches])
    mask = np.concatenate([inputs["mask"] for inputs, _, _ in batches])
    labels, weights = (np.concatenate([batch[i] for batch in batches]) for i in (1, 2))
    assert (crops.dtype, mask.dtype, labels.dtype, weights.dtype) == (np.uint8, np.bool_, np.float32, np.float32)
    np.testing.assert_array_equal(labels[:, 0], clips.labels)
    np.testing.assert_array_equal(weights, np.where(clips.labels, 2.0, 0.5))
    assert mask.sum(axis=1).tolist() == [5 if number % 4 == 3 else 12 for number in (*range(9), 10, 11)]
    # Fakes are striped: it is the crops of this very clip that were read.
    striped = crops[:, 0, 0].astype(int).sum(axis=(1, 2)) < crops[:, 0, 1].astype(int).sum(axis=(1, 2)) - 160 * 100
    np.testing.assert_array_equal(striped, clips.labels == 1)
    assert not crops[~mask].any()


def test_order_and_augmentation_follow_from_seed_and_epoch(clips):
    def epoch(seed: int, number: int, earlier: int = 0) -> np.ndarray:
        sequence = CropSequence(clips, np.arange(11), 11, None, seed, Augmentation())
        for before in range(earlier):
            sequence.start_epoch(before)
        sequence.start_epoch(number)
        return sequence[0][0]["crops"]

    first = epoch(0, 2)
    np.testing.assert_array_equal(epoch(0, 2, earlier=2), first)
    assert (epoch(0, 3) != first).any()
    assert (epoch(1, 2) != first).any()
    plain = CropSequence(clips, np.arange(11), 11, None, None, Augmentation())
    np.testing.assert_array_equal(plain[0][0]["crops"][0], clips.read(0))


def darker(crops, mask, regions, random):
    """Stands for a blend: half as light, and no other twice."""
    assert regions.shape == (FRAMES, 4)
    return (crops // 2 + np.uint8(random.integers(20)) * mask[:, None, None, None]).astype(np.uint8)


def test_blends_stand_beside_their_real_clips_with_the_same_augmentation(clips):
    flips = Augmentation(flip=0.5, brightness=0, contrast=0, compress=0, blur=0)
    real = int((clips.labels == 0).sum())
    seen = set()
    for epoch in range(4):
        sequence = CropSequence(clips, np.arange(11), 4, None, 0, flips, Blending(darker, 0.5))
        sequence.start_epoch(epoch)
        plain = CropSequence(clips, np.arange(11), 4, None, 0, flips)
        plain.start_epoch(epoch)
        batches: list[Any] = [sequence[i] for i in range(len(sequence))]
        counted = np.concatenate([weights for _, _, weights in batches]) > 0
        crops = np.concatenate([inputs["crops"] for inputs, _, _ in batches])[counted]
        labels = np.concatenate([labels for _, labels, _ in batches])[counted, 0]
        assert len(labels) == 11 + round(real / 2)
        expected = {clip.tobytes() for i in range(len(plain)) for clip in plain[i][0]["crops"]}
        blended = [i for i, clip in enumerate(crops) if clip.tobytes() not in expected]
        assert len(blended) == round(real / 2)
        for i in blended:
            assert (labels[i - 1], labels[i]) == (0, 1)
            change = crops[i].astype(int) - crops[i - 1] // 2
            assert len(np.unique(change[crops[i - 1].any(axis=(1, 2, 3))])) == 1
            seen.add(crops[i].tobytes())
    assert len(seen) == 4 * round(real / 2)


def test_batches_to_train_on_are_all_of_one_size_and_each_clip_counts_alike(clips):
    class_weights = np.array([0.5, 2.0])
    sequence = CropSequence(clips, np.arange(11), 4, class_weights, seed=0)
    batches: list[Any] = [sequence[i] for i in range(len(sequence))]
    assert {len(labels) for _, labels, _ in batches} == {4}
    # What a loss of 1 for every clip comes to: the mean class weight of the clips that are not repeated.
    means = [weights.sum() / 4 for _, _, weights in batches]
    expected = [class_weights[labels[weights > 0, 0].astype(int)].mean() for _, labels, weights in batches]
    np.testing.assert_allclose(means, expected, rtol=1e-6)
    assert sorted(int((weights > 0).sum()) for _, _, weights in batches) == [3, 4, 4]
    once = np.concatenate([inputs["crops"][weights > 0] for inputs, _, weights in batches])
    assert {clip.tobytes() for clip in once} == {clips.read(row).tobytes() for row in range(11)}


def test_class_weights_count_the_blends(clips):
    train, _ = _batches(clips, CONFIG, Blending(darker, 1.0))
    assert train is not None
    labels, weights = (np.concatenate([train[i][part].ravel() for i in range(len(train))]) for part in (1, 2))
    assert (labels[weights > 0] == 1).sum() == 6  # three fakes, and a blend of each of three real clips
    for label in (0, 1):
        assert weights[labels == label].sum() == pytest.approx(len(labels) / 2)


@pytest.mark.slow
def test_training_with_blends_lowers_their_loss_and_resumes(clips, tmp_path, monkeypatch):
    only_real = replace(clips, parts=np.where((clips.labels == 1) & (clips.parts == "train"), TEST, clips.parts))

    def run(folder):
        network = small_network()
        blending = Blending(darker, 1.0)
        return network, train_on_crops(network, only_real, CONFIG, folder / "state.npz", blending)

    whole, progress = run(tmp_path / "whole")
    assert progress.losses[-1][0] < progress.losses[1][0]
    with monkeypatch.context() as patch:
        stop_after(2, patch)
        with pytest.raises(Stop):
            run(tmp_path)
    resumed, _ = run(tmp_path)
    assert equal(resumed, whole)


# Of two batches an epoch, three a step leave a gradient waiting at the end of the first.
@pytest.mark.parametrize(
    ("epoch", "accumulate"), [(1, 3), *(pytest.param(*each, marks=pytest.mark.slow) for each in ((3, 2), (4, 1)))]
)
def test_interrupted_and_resumed_is_uninterrupted(clips, tmp_path, monkeypatch, capsys, epoch, accumulate):
    whole, expected = train(clips, tmp_path / "whole", accumulate=accumulate)
    with monkeypatch.context() as patch:
        stop_after(epoch, patch)
        with pytest.raises(Stop):
            train(clips, tmp_path, accumulate=accumulate)
    capsys.readouterr()
    resumed, found = train(clips, tmp_path, accumulate=accumulate)
    assert f"Going on after epoch {epoch}" in capsys.readouterr().out
    np.testing.assert_array_equal(found.losses, expected.losses)
    assert found.best == expected.best
    assert equal(resumed, whole)


@pytest.mark.slow
def test_each_epoch_has_its_own_order_also_after_an_interruption(clips, tmp_path, monkeypatch):
    epochs, start = [], CropSequence.start_epoch

    def record(self, epoch):
        epochs.append(epoch)
        start(self, epoch)

    monkeypatch.setattr(CropSequence, "start_epoch", record)
    with monkeypatch.context() as patch:
        stop_after(2, patch)
        with pytest.raises(Stop):
            train(clips, tmp_path)
    train(clips, tmp_path)
    made = [0, 0]  # by the two sequences themselves
    assert epochs == [*made, 0, 1, *made, 2, 3]


def test_training_lowers_the_loss_and_the_best_epoch_is_kept(clips, tmp_path):
    network, progress = train(clips, tmp_path, epochs=8, patience=8, accumulate=1)
    losses = np.array(progress.losses)
    assert losses.shape == (9, 2)
    assert np.isnan(losses[0, 0])
    assert losses[-1, 0] < losses[1, 0]
    assert progress.best == np.argmin(losses[:, 1])
    model = keras.Model(network.input, network.output)
    model.compile(loss=keras.losses.BinaryCrossentropy())
    weights = 6 / (2 * np.bincount(clips.labels[clips.rows("train")]))
    found = model.evaluate(CropSequence(clips, clips.rows("val"), 3, weights), verbose=0)  # pyright: ignore
    assert found == pytest.approx(losses[progress.best, 1], abs=1e-6)


@pytest.mark.slow
def test_who_watches_gets_each_epoch_once_and_those_before_an_interruption_again(clips, tmp_path, monkeypatch):
    noted: list[tuple[int, dict[str, float]]] = []
    live: Any = SimpleNamespace(note=lambda epoch, values: noted.append((epoch, values)))
    arguments = clips, replace(CONFIG, epochs=3), tmp_path / "state.npz", None, live
    stop_after(2, monkeypatch)
    with pytest.raises(Stop):
        train_on_crops(small_network(), *arguments)
    monkeypatch.undo()
    assert [epoch for epoch, _ in noted] == [0, 1]
    noted.clear()
    train_on_crops(small_network(), *arguments)
    assert [epoch for epoch, _ in noted] == [0, 1, 2, 3]
    assert all(np.isfinite(values["val_loss"]) for _, values in noted)


def test_an_epoch_and_its_validation_have_a_bar_on_a_terminal(clips, tmp_path, monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr", stream)
    train(clips, tmp_path, epochs=1, warmup_epochs=0)
    assert all(title in stream.getvalue() for title in ("validation:   0%", "epoch 1/1:   0%"))


def test_training_that_only_harms_keeps_the_start_and_stops(clips, tmp_path, monkeypatch):
    start = small_network()
    values = iter([0.5, 0.6, 0.7, 0.8])
    monkeypatch.setattr("train.end_to_end.loop._measure", lambda model, batches: next(values))
    network, progress = train(clips, tmp_path, patience=2)
    assert progress.best == 0
    assert progress.epoch == 2
    assert equal(network, start)


def test_without_validation_all_epochs_are_run_and_the_last_kept(clips, tmp_path):
    parts = np.where(clips.parts == "val", TEST, clips.parts)
    _, progress = train(replace(clips, parts=parts), tmp_path, patience=1)
    assert progress.best == progress.epoch == 4
    assert np.isnan(np.array(progress.losses)[:, 1]).all()


def test_a_loss_that_is_no_number_is_refused_and_leaves_nothing(clips, tmp_path, monkeypatch):
    monkeypatch.setattr("train.end_to_end.loop._run_epoch", lambda *_: float("nan"))
    with pytest.raises(UserError, match=r"loss was nan, .* in epoch 1; try again with --learning-rate below 0\.05"):
        train(clips, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_weight_that_is_no_number_is_refused_and_leaves_nothing(clips, tmp_path, monkeypatch):
    def diverge(model, *_):
        model.trainable_variables[0].assign(np.full(model.trainable_variables[0].shape, np.inf))
        return 0.5

    monkeypatch.setattr("train.end_to_end.loop._run_epoch", diverge)
    monkeypatch.setattr("train.end_to_end.loop._measure", lambda *_: 0.5)
    with pytest.raises(UserError, match="a weight was no finite number in epoch 1; try again with --learning-rate"):
        train(clips, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "kept"),
    [(UserError("its features are not finite"), False), (Unwritable(""), True), (Unreadable(""), True)],
)
def test_a_training_that_gives_no_run_is_not_gone_on_with_for_ever(tmp_path, monkeypatch, error, kept):
    def fail(*_):
        raise error

    config = replace(CONFIG, runs=tmp_path)
    (tmp_path / ".training-x.npz").touch()
    monkeypatch.setattr("train.end_to_end.loop.train_on_crops", lambda *_: TrainingProgress([(0.5, 0.5)], 0, []))
    monkeypatch.setattr("train.end_to_end.stage.write_run", fail)
    start, nothing = SimpleNamespace(clips=None), None
    with pytest.raises(type(error)):
        train_and_write(config, start, "x", nothing, lambda _: nothing)  # pyright: ignore
    assert (tmp_path / ".training-x.npz").exists() == kept


def test_other_settings_and_damaged_files_are_refused(clips, tmp_path):
    train(clips, tmp_path, epochs=2)
    path = tmp_path / "state.npz"
    with pytest.raises(UserError, match="with batch=3 instead of batch=2, epochs=2 instead of epochs=4"):
        train(clips, tmp_path, batch=2)
    whole = path.read_bytes()
    for content in (b"", b"no archive", whole[:-100], whole[:2000] + b"x" + whole[2001:]):
        path.write_bytes(content)
        with pytest.raises(UserError, match="is no interrupted training"):
            train(clips, tmp_path, epochs=2)


def test_the_learning_rate_rises_and_falls_to_zero(clips):
    schedule = learning_rate_schedule(replace(CONFIG, warmup_epochs=2, epochs=6), 10)
    rates = np.array([float(schedule(step)) for step in range(61)])
    assert rates.argmax() == 20
    assert rates.max() == pytest.approx(CONFIG.learning_rate)
    assert rates[10] == pytest.approx(CONFIG.learning_rate / 2)
    assert rates[40] == pytest.approx(CONFIG.learning_rate / 2)
    assert rates[60] == pytest.approx(0, abs=1e-9)
    plain = learning_rate_schedule(replace(CONFIG, warmup_epochs=0), 10)
    assert float(plain(0)) == pytest.approx(CONFIG.learning_rate)


@pytest.mark.parametrize("wrong", [
    {"batch": 0}, {"epochs": 0}, {"patience": 0}, {"accumulate": 0}, {"learning_rate": float("nan")}, {"seed": -1},
    {"warmup_epochs": 4}, {"warmup_epochs": -1},
])  # fmt: skip
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(UserError, match="mend the flag"):
        require_sensible(replace(CONFIG, **wrong))


def test_crops_of_two_data_sets_are_those_of_their_own_clips(tmp_path):
    """Both have clips of the same ids, and each is read from its own store."""
    homes = [write_crops(tmp_path / name).folder.parent.rename(tmp_path / name / name) for name in ("one", "two")]
    split = tmp_path / "split.csv"
    ids = [f"{home.name}/{record.id}" for home in homes for record in RECORDS]
    split.write_text("id,part\n" + "".join(f"{name},train\n" for name in ids[:-2]))
    found = find_crops([next(home.iterdir()) for home in homes], PROFILE.crops, split, even=True)
    assert sorted(record.id for record in found.records) == sorted(ids[:-2])
    for row, record in enumerate(found.records):
        data_set, _, name = record.id.partition("/")
        index, number = found.stored[row]
        assert index.path.parents[1].name == data_set
        assert index.keys[number][0] == name
    assert [len(names) for names in found.by_store()] == [12, 10]
    assert found.factors is not None
    weights = found.factors * np.where(found.labels == 1, 2.0, 1.0)
    sums = {
        (name, label): sum(
            weight
            for weight, record in zip(weights, found.records, strict=True)
            if record.id.startswith(name) and record.label == label
        )
        for name in ("one", "two")
        for label in (0, 1)
    }
    assert sums["one", 0] == pytest.approx(sums["two", 0])
    assert sums["one", 1] == pytest.approx(sums["two", 1])
    batches = CropSequence(found, np.arange(22), 11, np.array([1.0, 2.0]))
    np.testing.assert_allclose(np.concatenate([batches[number][2] for number in range(2)]), weights, rtol=1e-6)
