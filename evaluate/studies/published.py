"""The stage: a data set -> the published recipe beside ours, on the same clips.

The recipe is that of the notebook that Reelcheck starts from, written from its description with its faults: the first
twelve frames, the full-size Haar cascade without a margin, pixels / 255 for every backbone, everything trainable,
videos decoded again in every epoch, and early stopping on the test part. Ours is `features` and `train` with the random
split, which has the same test part. Both become run folders, and the last step compares them all.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from base.commands import flag
from base.errors import UserError
from base.files import require_writable
from base.flags import option, required
from base.keras_start import choose_backend, start_keras
from base.progress import passing_bar, progress_bar, say
from cache.contents import load
from cache.manifest import read_manifest
from cache.profile import CropProfile, FeatureProfile, fingerprint
from cache.schema import CROP_SIZE, FRAMES, TEST, TRAIN, VideoRecord
from cache.store import MANIFEST, open_store
from evaluate.compare.stage import CompareConfig, compare
from evaluate.results.read import PUBLISHED
from extract.backbones.networks import BACKBONES, obtain_weights
from extract.backbones.weights import identify_weights
from extract.config import ExtractConfig
from extract.pipeline import extract
from extract.readers.layouts import read_dataset
from extract.video.decode import sample_frames
from train.data.audit import audit, audit_of
from train.fit import FitConfig, fit
from train.runs.contents import RunContents, numbered_history, read_contents, write_run
from train.runs.folder import free_name
from train.runs.predictions import split_rows
from train.runs.recipe import RunConfig

if TYPE_CHECKING:
    import keras

SIZE = (CROP_SIZE, CROP_SIZE)


@dataclass(frozen=True)
class PublishedConfig:
    """Which data set and backbones, and how long to train by the published recipe."""

    data: Path = required("the data set's folder")
    out: Path = option(Path("published"), "folder for features, runs and the comparison")
    backbones: tuple[str, ...] = option(("resnet50", "mobilenetv2"), "backbones to train by both recipes")
    weights: tuple[str, ...] = option(("imagenet", "imagenet"), "weights of each: imagenet, random, or a file's path")
    epochs: int = option(20, "published recipe: epochs at most")
    patience: int = option(5, "published recipe: epochs without a lower loss on the test part after which it stops")
    batch: int = option(4, "published recipe: clips per batch")
    learning_rate: float = option(1e-3, "published recipe: Adam's learning rate; the default is that of Keras")
    seed: int = option(0, "seed of both recipes")


def published(config: PublishedConfig) -> Path:
    """Trains by both recipes, compares the runs, and returns the path of the comparison's page.

    Raises a UserError that says what cannot be read or trained on.
    """
    choose_backend()
    require_writable(config.out, f"choose another {flag('out')}")
    if len(config.backbones) != len(config.weights):
        raise UserError(
            f"there are {len(config.backbones)} {flag('backbones')} and {len(config.weights)} {flag('weights')}; "
            "give weights for each backbone."
        )
    if unknown := [backbone for backbone in config.backbones if backbone not in BACKBONES]:
        raise UserError(f"there is no backbone {unknown[0]}; take one of {', '.join(BACKBONES)}.")
    read_dataset(config.data)  # says what is wrong with it
    for backbone, weights in zip(config.backbones, config.weights, strict=True):
        identify_weights(weights)  # says what is wrong with a file
        obtain_weights(backbone, weights)
    folders: list[Path] = []
    for backbone, weights in zip(config.backbones, config.weights, strict=True):
        features = extract(
            ExtractConfig(config.data, config.out / "data", backbone=backbone, weights=weights)  # pyright: ignore[reportArgumentType]
        )
        runs = config.out / "runs"
        name = free_name(runs, None, f"ours-{backbone}")
        ours = fit(FitConfig(features=features, runs=runs, name=name, split="random", seed=config.seed))
        folders += [ours, train_published(config, backbone, weights, features, ours)]
    return compare(CompareConfig(runs=tuple(folders), out=config.out / "comparison"))


def train_published(config: PublishedConfig, backbone: str, weights: str, features: Path, ours: Path) -> Path:
    """Trains by the published recipe on the clips of the run `ours`, and returns the run folder."""
    start_keras()
    import keras

    from train.end_to_end.loop import Advance

    root = read_dataset(config.data).root
    records = {record.id: record for record in read_manifest(features / MANIFEST)}
    ours_run = read_contents(ours)
    clips = [records[name] for name in ours_run.predictions.ids]
    contents = load(open_store(features))
    checksums = dict(zip((record.id for record in contents.records), contents.checksums, strict=True))
    in_test = ours_run.predictions.parts == TEST
    keras.utils.set_random_seed(config.seed)
    network = published_network(backbone, weights)
    network.compile(keras.optimizers.Adam(config.learning_rate), "binary_crossentropy")
    start = time.perf_counter()
    stop = keras.callbacks.EarlyStopping("val_loss", patience=config.patience, restore_best_weights=True)
    train_clips, test_clips = ([clips[row] for row in np.flatnonzero(rows)] for rows in (~in_test, in_test))
    train = published_batches(root, train_clips, config.batch, config.seed)
    test, every = (published_batches(root, some, config.batch, None) for some in (test_clips, clips))
    # The recipe's fault: it stops at the epoch that is best on the test part.
    batches = config.epochs * (len(train) + len(test))
    with progress_bar(total=batches, unit="batch", desc=f"published, {backbone}") as bar:
        history = network.fit(
            train,  # pyright: ignore[reportArgumentType]
            validation_data=test,
            epochs=config.epochs,
            callbacks=[stop, Advance(bar), _losses(config.epochs)],
            verbose=0,  # pyright: ignore[reportArgumentType]
        ).history
    seconds = time.perf_counter() - start
    with passing_bar(total=len(every), unit="batch", desc="scores") as bar:
        scores = network.predict(every, verbose=0, callbacks=[Advance(bar)])  # pyright: ignore[reportArgumentType]
    probabilities = scores[:, 0].astype(np.float64)
    # The published recipe has no validation part: those clips train.
    parts = np.where(in_test, TEST, TRAIN)
    notes = list(recipe_notes(history["val_loss"], config.epochs))
    for note in notes:
        say(note)
    baseline = ours_run.baseline
    run = RunContents(
        config=published_config(config, backbone, weights),
        split=split_rows(clips, parts.tolist()),
        audit=audit_of("random", 0, notes, audit(clips, parts.tolist(), [checksums[clip.id] for clip in clips])),
        history=numbered_history({name: history[name] for name in ("loss", "val_loss")}),
        predictions=replace(ours_run.predictions, parts=parts, probabilities=probabilities),
        baseline=baseline and replace(baseline, parts=np.where(baseline.parts == TEST, TEST, TRAIN)),
        seconds=seconds,
    )
    runs = config.out / "runs"
    return write_run(runs / free_name(runs, None, f"published-{backbone}"), lambda _: run)


def recipe_notes(losses: Sequence[float], epochs: int) -> Iterator[str]:
    """Yields what has to be known of a training by the published recipe with these `losses` on the test part."""
    best = int(np.argmin(losses)) + 1
    yield (
        f"The published recipe: it took epoch {best} of the {len(losses)} that it trained, the best on the test part, "
        "which flatters it."
    )
    if len(losses) == epochs:
        yield (
            f"The published recipe was cut off after {epochs} {'epoch' if epochs == 1 else 'epochs'}, the most that "
            f"were allowed, not by its own rule: it may get better with more ({flag('epochs', '20')})."
        )


def _losses(epochs: int) -> "keras.callbacks.Callback":
    """Returns what says the losses of each epoch."""
    import keras

    def tell(epoch: int, logs: Mapping[str, float]) -> None:
        say(f"epoch {epoch + 1} of {epochs}: loss {logs['loss']:.4f}, on the test part {logs['val_loss']:.4f}")

    return keras.callbacks.LambdaCallback(on_epoch_end=tell)


def published_network(backbone: str, weights: str) -> "keras.Model":
    """Returns the published network: crops / 255, float32 (B, 12, 160, 160, 3) -> probability of fake (B, 1)."""
    import keras

    make: Any = getattr(keras.applications, BACKBONES[published_backbone(backbone)].network.builder)
    initial = None if weights == "random" else weights
    trunk = make(include_top=False, weights=initial, input_shape=(*SIZE, 3), pooling="avg")
    crops: Any = keras.Input((FRAMES, *SIZE, 3))
    frames = keras.ops.reshape(crops, (-1, *SIZE, 3))
    x: Any = keras.ops.reshape(trunk(frames), (-1, FRAMES, trunk.output.shape[-1]))
    x = keras.layers.LSTM(64)(x)
    x = keras.layers.Dropout(0.3)(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Dense(64, activation="relu")(x)
    return keras.Model(crops, keras.layers.Dense(1, activation="sigmoid")(x), name="published")


def published_backbone(backbone: str) -> str:
    """Returns the backbone that the published recipe pools: the same network with its last layer.

    >>> published_backbone("resnet50")
    'resnet50-top'
    """
    return backbone if backbone.endswith("-top") else f"{backbone}-top"


def published_batches(root: Path, clips: Sequence[VideoRecord], batch: int, seed: int | None) -> Any:
    """Returns a `keras.utils.PyDataset` that decodes `clips` below `root` again for every batch."""
    import keras

    class Batches(keras.utils.PyDataset):
        """Crops float32 (B, 12, 160, 160, 3) in [0, 1] and labels float32 (B, 1)."""

        def __init__(self) -> None:
            super().__init__()
            self._cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
            self._random = None if seed is None else np.random.default_rng(seed)
            self._order = np.arange(len(clips))
            self.on_epoch_end()

        def __len__(self) -> int:
            # Batches of nearly equal size: batch normalisation cannot train on a last batch of one clip.
            return math.ceil(len(clips) / batch)

        def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
            rows = np.array_split(self._order, len(self))[index]
            crops = np.stack([first_crops(root / clips[row].path, self._cascade) for row in rows])
            return crops, np.array([[clips[row].label] for row in rows], np.float32)

        def on_epoch_end(self) -> None:
            if self._random is not None:
                self._random.shuffle(self._order)

    return Batches()


def first_crops(path: Path, cascade: cv2.CascadeClassifier) -> np.ndarray:
    """Returns the largest face of each of the first twelve frames / 255, float32 (12, 160, 160, 3).

    A frame without a face is taken whole; missing frames are zeros.
    """
    crops = np.zeros((FRAMES, *SIZE, 3), np.float32)
    for number, frame in enumerate(_first_frames(path)):
        faces = cascade.detectMultiScale(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), 1.3, 5)
        if len(faces):
            x, y, width, height = max(faces, key=lambda face: face[2] * face[3])
            frame = frame[y : y + height, x : x + width]
        crops[number] = cv2.resize(frame, SIZE) / 255.0
    return crops


def _first_frames(path: Path) -> Iterator[np.ndarray]:
    """Yields the first twelve frames, uint8 RGB, of a file as the recipe reads it, or of a folder of pictures."""
    if path.is_dir():
        yield from sample_frames(path, "first").images
        return
    video = cv2.VideoCapture(str(path))
    for _ in range(FRAMES):
        read, frame = video.read()
        if not read:
            break
        yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    video.release()


def published_config(config: PublishedConfig, backbone: str, weights: str) -> RunConfig[FeatureProfile]:
    """Returns the config of a run by the published recipe."""
    crops, top = CropProfile(sampling="first", detector="haar", margin=0.0), published_backbone(backbone)
    profile = FeatureProfile(crops, top, identify_weights(weights), taps=BACKBONES[top].taps)
    return RunConfig(
        kind=PUBLISHED,
        about=f"The published recipe with {backbone}: pixels / 255, end to end, early stopping on the test part",
        config=asdict(config),
        profile=profile,
        fingerprint=fingerprint(profile),
    )
