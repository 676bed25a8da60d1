"""The sweep against a loop of keras.fit over the same space; a head's epoch against one of the whole network."""

import contextlib
import io
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Result, summarise, timed
from cache.contents import load
from cache.manifest import read_manifest, write_manifest
from cache.profile import CropProfile, FeatureProfile
from cache.schema import FRAMES, OK, FrameStatus, Row, Seen, VideoRecord, central_region, central_regions
from cache.store import Store, create_store, open_writer, read_indexes
from extract.backbones.networks import BACKBONES
from train.data.batches import FeatureBatches
from train.data.clips import Clips, balanced_weights
from train.data.inputs import prepare
from train.data.training_set import TrainingSet
from train.heads.architectures import HeadConfig, build_head
from train.heads.jobs import HeadJob, LearnConfig
from train.heads.ranking import roc_auc
from train.heads.training import learn_many
from train.sweep.stage import SweepConfig, _gathered, _training_set, sweep

CLIPS, SIZE, SHIFT = 1000, 2048, 0.15
"""Clips and features of the made data set, and the shift of a fake's features, in their standard deviations."""
TRIALS, LOOPED = 64, 4
"""Trials in a repeat: the sweep's, and the loop's."""
LOADED = 8000
"""Clips whose features are loaded: 393 MB."""
SWEEP_AIM, EPOCH_AIM, LOAD_AIM = 10.0, 1000.0, 0.8
END_TO_END_CLIPS, END_TO_END_BATCH = 8, 2
ALL_LAYERS = 10_000
"""More than there are."""


def make_features(root: Path, crops: CropProfile, clips: int = CLIPS) -> Store:
    """Returns a store of `clips` clips of 100 people with 12 x 2048 non-negative features, a third of them real.

    Its profile names `crops`.
    """
    random, rows = np.random.default_rng(0), []
    profile = FeatureProfile(crops, "resnet50", "random:0", taps=BACKBONES["resnet50"].taps)
    store = create_store(root / "made", profile)
    # As in features of photographs, a few directions carry most of the variance.
    mixing = random.normal(0, 1, (64, SIZE)).astype(np.float32)
    direction = random.normal(0, 1, SIZE).astype(np.float32)
    records = []
    for number in range(clips):
        person, label = number % 100, int(number % 3 > 0)
        name = f"{number:05}.mp4"
        records.append(VideoRecord(name, name, label, f"id{person}", "", "", "test" if person >= 80 else "train", 1, 1))
        steady = random.normal(0, 1, 64) + random.normal(0, 0.5, (FRAMES, 64))
        frames = steady.astype(np.float32) @ mixing / 8 + random.normal(0, 1, (FRAMES, SIZE))
        frames += SHIFT * label * direction * random.normal(1, 1)
        array = np.maximum(frames, 0).astype(np.float16)
        status = np.full(FRAMES, FrameStatus.FACE, np.uint8)
        boxes, regions = np.ones((FRAMES, 4), np.int32), central_regions(status, crops.margin)
        rows.append(Row(name, 1, 1, OK, "", Seen(status, np.arange(12.0), boxes, regions), array))
    write_manifest(store.manifest, records)
    with open_writer(store) as writer:
        writer.append(rows)
    return store


def load_bench(repeats: int) -> Iterator[Result]:
    """Yields `load`: megabytes of features a second, against numpy.fromfile of as many bytes from one plain file.

    The row has what two parts of it take: the manifest's rows, and the shards' digests and indexes. The rest is a copy.
    """
    rates: dict[str, list[float]] = {"megabytes_a_second": [], "plain_megabytes_a_second": []}
    parts: dict[str, list[float]] = {"manifest_seconds": [], "shards_seconds": []}
    with tempfile.TemporaryDirectory() as folder:
        store = make_features(Path(folder), CropProfile(), LOADED)
        plain = Path(folder) / "plain"
        load(store).arrays.tofile(plain)
        megabytes = plain.stat().st_size / 1e6
        for _ in range(repeats):
            for name, work in (("", lambda: load(store)), ("plain_", lambda: np.fromfile(plain, np.float16))):
                seconds, _cores = timed(work)
                rates[f"{name}megabytes_a_second"].append(megabytes / seconds)
            parts["manifest_seconds"].append(timed(lambda: read_manifest(store.manifest))[0])
            parts["shards_seconds"].append(timed(lambda: read_indexes(store))[0])
    ratios = np.array(rates["megabytes_a_second"]) / rates["plain_megabytes_a_second"]
    yield summarise("load", LOAD_AIM, ratios.tolist(), rates | parts)


def sweep_bench(repeats: int) -> Iterator[Result]:
    """Yields `sweep`: trials a minute of a whole sweep of 64, against one model and keras.fit for each trial."""
    rates: dict[str, list[float]] = {"trials_a_minute": [], "loop_trials_a_minute": []}
    aucs: dict[str, list[float]] = {"best_val_auc": [], "loop_best_val_auc": []}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        store = make_features(root, CropProfile())
        for number in range(repeats):
            config = SweepConfig(
                store.folder,
                root / "sweeps",
                root / "runs",
                name=f"s{number}",
                trials=TRIALS,
                folds=1,
                seed=100 * number,
            )
            _gathered.cache_clear()
            seconds, _ = timed(lambda config=config: _quietly(sweep, config))
            rates["trials_a_minute"].append(60 * TRIALS / seconds)
            aucs["best_val_auc"].append(_best(config.folder))
            training_set, random = _training_set(config), np.random.default_rng(number)
            start = time.perf_counter()
            found = [_keras_trial(training_set, config, random) for _ in range(LOOPED)]
            rates["loop_trials_a_minute"].append(60 * LOOPED / (time.perf_counter() - start))
            aucs["loop_best_val_auc"].append(max(found))
    ratios = np.array(rates["trials_a_minute"]) / rates["loop_trials_a_minute"]
    # The loop's best is over all repeats; else few trials would be compared with many.
    aucs["loop_best_val_auc"] = [max(aucs["loop_best_val_auc"])]
    yield summarise("sweep", SWEEP_AIM, ratios.tolist(), rates | aucs)


def _quietly(function: Any, *arguments: Any) -> Any:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return function(*arguments)


def _best(folder: Path) -> float:
    rows = (folder / "leaderboard.csv").read_text(encoding="utf-8").splitlines()[1:]
    return next(float(area) for _, _, state, area, *_ in (row.split(",") for row in rows) if state == "complete")


def _keras_trial(training_set: TrainingSet, config: SweepConfig, random: np.random.Generator) -> float:
    """Trains one model of the sweep's space as one would by hand; returns its ROC AUC on validation."""
    import keras

    low, high = config.dropout
    shape = HeadConfig(units=int(random.choice(config.units)), dropout=random.uniform(low, high))
    logs = (np.log(values) for values in (config.learning_rate, config.weight_decay))
    rate, decay = (float(np.exp(random.uniform(first, last))) for first, last in logs)
    keras.utils.set_random_seed(int(random.integers(2**31)))
    clips, train, val = training_set.clips, training_set.train, training_set.val
    keras.backend.clear_session()
    model = _plain_lstm(shape, training_set.inputs(0, False))
    model.compile(keras.optimizers.AdamW(rate, weight_decay=decay), keras.losses.BinaryCrossentropy())
    weights = balanced_weights(clips.labels[train])
    model.fit(
        _WeightedBatches(clips, train, config.batch, weights),
        validation_data=_WeightedBatches(clips, val, 256, weights),
        epochs=config.epochs,
        callbacks=[keras.callbacks.EarlyStopping("val_loss", patience=config.patience, restore_best_weights=True)],
        shuffle=False,
        verbose=0,  # pyright: ignore[reportArgumentType]
    )
    said = model.predict(FeatureBatches(clips, val, 256), verbose=0)[:, 0]  # pyright: ignore[reportArgumentType]
    return float(roc_auc(said[None], clips.labels[val])[0])


class _WeightedBatches(FeatureBatches):
    """Batches with labels and weights, in another order each epoch."""

    def __init__(self, clips: Clips, rows: np.ndarray, batch: int, class_weights: np.ndarray) -> None:
        super().__init__(clips, rows, batch)
        self._rows, self._class_weights, self._random = rows, class_weights, np.random.default_rng(0)

    def __getitem__(self, index: int) -> Any:
        labels = self._clips.labels[self._batches[index]]
        return *super().__getitem__(index), labels[:, None].astype(np.float32), self._class_weights[labels]

    def on_epoch_end(self) -> None:
        """Shuffles the clips; Keras calls this."""
        self._batches = np.array_split(self._random.permutation(self._rows), len(self))


def _plain_lstm(shape: HeadConfig, inputs: Any) -> Any:
    """Returns the published head as one would write it, with Keras' rolled LSTM, which is built and traced sooner."""
    import keras

    layers = keras.layers
    features = keras.Input((FRAMES, SIZE), name="features")
    mask: Any = keras.Input((FRAMES,), dtype="bool", name="mask")
    frames = layers.Rescaling(1 / np.sqrt(inputs.variance), -inputs.mean / np.sqrt(inputs.variance))(features)
    clip = layers.LSTM(shape.units)(frames, mask=mask)
    clip = layers.BatchNormalization()(layers.Dropout(shape.dropout)(clip))
    clip = layers.Dense(shape.dense, activation="relu")(clip)
    return keras.Model({"features": features, "mask": mask}, layers.Dense(1, activation="sigmoid")(clip))


def head_epoch(repeats: int) -> Iterator[Result]:
    """Yields `head_epoch`: clips a second of the published head on features, against the whole ResNet50 on crops."""
    random = np.random.default_rng(0)
    features = np.maximum(random.normal(0, 1, (CLIPS, FRAMES, SIZE)), 0).astype(np.float16)
    clips = Clips(features, np.ones((CLIPS, FRAMES), bool), np.arange(CLIPS) % 2)
    inputs, rows = prepare(clips, np.arange(CLIPS), 0), np.arange(CLIPS)
    config = LearnConfig(1e-3, 32, 6, 6, 6, True, 0)
    network = whole_network("float32", ALL_LAYERS, False)  # XLA on a CPU compiles for minutes
    crops = random.integers(0, 256, (END_TO_END_BATCH, FRAMES, 160, 160, 3), np.uint8)
    given = {"crops": crops, "mask": np.ones((END_TO_END_BATCH, FRAMES), bool)}
    given["regions"] = np.full((END_TO_END_BATCH, FRAMES, 4), central_region(CropProfile().margin), np.uint8)
    network.train_on_batch(given, np.array([[0.0], [1.0]]))
    rates: dict[str, list[float]] = {"clips_a_second": [], "end_to_end_clips_a_second": []}
    for _repeat in range(repeats):
        rates["clips_a_second"].append(CLIPS / _epoch_seconds(inputs, rows, config))
        start = time.perf_counter()
        for _ in range(END_TO_END_CLIPS // END_TO_END_BATCH):
            network.train_on_batch(given, np.array([[0.0], [1.0]]))
        rates["end_to_end_clips_a_second"].append(END_TO_END_CLIPS / (time.perf_counter() - start))
    ratios = np.array(rates["clips_a_second"]) / rates["end_to_end_clips_a_second"]
    yield summarise("head_epoch", EPOCH_AIM, ratios.tolist(), rates)


def _epoch_seconds(inputs: Any, rows: np.ndarray, config: LearnConfig) -> float:
    """Returns the median seconds of an epoch, the first, which compiles, left out."""
    ends: list[float] = []
    job = HeadJob(HeadConfig(), replace(config), lambda _: ends.append(time.perf_counter()) is None)
    list(learn_many([job], inputs, rows, np.arange(0), 1))
    return float(np.median(np.diff(ends)))


def whole_network(precision: str, layers: int, compiled: Any) -> Any:
    """Returns ResNet50 with the published head, its last `layers` layers with weights trainable.

    `precision` is Keras' dtype policy, `compiled` what Keras' `jit_compile` takes.
    """
    import keras

    from extract.backbones.networks import build_backbone, trunk_of
    from train.end_to_end.finetune import join, open_layers

    backbone = build_backbone("resnet50", "random", precision)
    open_layers(backbone, trunk_of(backbone, "resnet50"), layers)
    network = join(backbone, build_head(HeadConfig(), SIZE))
    network.compile(keras.optimizers.Adam(1e-5), keras.losses.BinaryCrossentropy(), jit_compile=compiled)
    return network
