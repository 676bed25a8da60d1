"""One head trained on resident features, and its probabilities."""

from dataclasses import dataclass

import keras
import numpy as np
from tqdm import tqdm

from cache.schema import UserError
from train.batches import Clips, FeatureBatches, balanced_weights
from train.head import HeadConfig, build_head, frame_statistics, set_normalisation

PREDICTION_BATCH = 256


@dataclass(frozen=True)
class LearnConfig:
    """How a head is trained; `train.fit.FitConfig` says what each field means."""

    learning_rate: float
    batch: int
    epochs: int
    patience: int
    fixed_epochs: int
    class_weights: bool
    seed: int


History = dict[str, list[float]]
"""Losses by epoch: `loss`, and `val_loss` where there is validation; binary cross-entropy in nats a clip, weighted."""


def learn(
    shape: HeadConfig, config: LearnConfig, clips: Clips, train: np.ndarray, val: np.ndarray
) -> tuple[keras.Model, History]:
    """Returns a head trained on the clips `train`, with the weights of the epoch best on `val`, and the losses.

    `train` and `val` are rows of `clips`; without `val` all `fixed_epochs` are run and the last weights kept. Both
    losses carry the class weights of `train`. The same arguments give the same head on a CPU. Raises a UserError if
    the loss stops being a number.
    """
    keras.utils.set_random_seed(config.seed)
    head = build_head(shape, clips.features.shape[2])
    set_normalisation(head, *frame_statistics(clips.features, clips.mask, train))
    # What is compiled is a model around the head, so that the head itself is saved without its optimiser.
    model = keras.Model(head.inputs, head.outputs)
    model.compile(keras.optimizers.Adam(config.learning_rate), keras.losses.BinaryCrossentropy())
    weights = balanced_weights(clips.labels[train]) if config.class_weights else None
    epochs = config.epochs if len(val) else config.fixed_epochs
    history = model.fit(
        FeatureBatches(clips, train, config.batch, weights, config.seed),
        validation_data=FeatureBatches(clips, val, PREDICTION_BATCH, weights) if len(val) else None,
        epochs=epochs,
        callbacks=_callbacks(config, epochs, validated=len(val) > 0),
        shuffle=False,
        verbose=0,  # pyright: ignore[reportArgumentType]
    )
    _require_numbers(history.history, config)
    return head, history.history


def predict(head: keras.Model, clips: Clips, rows: np.ndarray) -> np.ndarray:
    """Returns the probability of fake, float32 (R,), of each of the clips `rows`."""
    return head.predict(FeatureBatches(clips, rows, PREDICTION_BATCH), verbose=0)[:, 0]  # pyright: ignore[reportArgumentType]


def _callbacks(config: LearnConfig, epochs: int, *, validated: bool) -> list[keras.callbacks.Callback]:
    callbacks = [keras.callbacks.TerminateOnNaN(), _Bar(epochs)]
    if validated:
        callbacks.append(
            keras.callbacks.EarlyStopping("val_loss", mode="min", patience=config.patience, restore_best_weights=True)
        )
    return callbacks


class _Bar(keras.callbacks.Callback):
    """Shows a bar over the epochs, with the losses."""

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self._bar = tqdm(total=epochs, unit="epoch", desc="train", mininterval=0.5)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        del epoch
        self._bar.set_postfix({name: f"{value:.4f}" for name, value in (logs or {}).items()}, refresh=False)
        self._bar.update()

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        del logs
        self._bar.close()


def _require_numbers(history: History, config: LearnConfig) -> None:
    for name, values in history.items():
        if not np.isfinite(values).all():
            epoch = int(np.flatnonzero(~np.isfinite(values))[0]) + 1
            raise UserError(
                f"{name} was {values[epoch - 1]} in epoch {epoch}; try again with a --learning-rate below "
                f"{config.learning_rate:g}."
            )
