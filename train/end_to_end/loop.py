"""The training of a network over crops: it can be interrupted after each epoch, and keeps the best epoch's weights."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from base.commands import flag
from base.errors import UserError
from base.progress import passing_bar, say
from cache.schema import FAKE, TRAIN, VAL
from train.data.clips import balanced_weights
from train.end_to_end.augment import Augmentation
from train.end_to_end.checkpoint import Checkpoint, TrainingProgress, read_checkpoint, restore, write_checkpoint
from train.end_to_end.config import EndToEndConfig
from train.end_to_end.crop_set import CropSet
from train.end_to_end.crops import Blending, CropSequence
from train.runs.live import Live

if TYPE_CHECKING:
    from tqdm import tqdm


class Advance(keras.callbacks.Callback):
    """Advances a progress bar with each batch that is trained on, measured or judged."""

    def __init__(self, bar: "tqdm") -> None:
        super().__init__()
        self._bar = bar

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras' interface
        """Advances the bar by one."""
        self._bar.update()

    on_test_batch_end = on_predict_batch_end = on_train_batch_end


def train_on_crops(
    network: keras.Model,
    clips: CropSet,
    config: EndToEndConfig,
    checkpoint: Path,
    blending: Blending | None = None,
    live: Live | None = None,
) -> TrainingProgress:
    """Trains `network` on the train part of `clips`; it then has the weights of the epoch best on validation.

    `network` maps the inputs of `CropSequence` to probabilities (B, 1). Losses are binary cross-entropy with the class
    weights of train, in nats a clip. Without validation all epochs run and the last weights are kept. Each epoch ends
    with everything in the file `checkpoint`, from which the same settings go on; on a CPU the numbers are then the same
    as without the interruption. With `blending`, train has blended clips too; `live` gets the losses of each epoch.
    Raises a UserError if a loss is no longer finite.
    """
    train, val = _batches(clips, config, blending, "regions" in network.input)
    model = _compiled(network, config, len(train))
    progress = _begin(network, model, val, config, checkpoint)
    noted = _note(live, progress, 0)
    while progress.epoch < config.epochs and progress.epoch - progress.best < config.patience:
        start = time.perf_counter()
        loss = _run_epoch(model, train, progress.epoch, config.epochs)
        val_loss, numbers = _measure(model, val), _numbers(network.variables)
        seconds = time.perf_counter() - start
        progress = progress.after(loss, val_loss, numbers, seconds)
        reached = Checkpoint(progress, numbers, _numbers(_state(model)))
        _require_numbers(reached, val is not None, config, checkpoint)
        write_checkpoint(checkpoint, config.settings, reached)
        say(_line(progress, seconds))
        noted = _note(live, progress, noted)
    restore(network.variables, progress.kept, checkpoint)
    return progress


def _begin(
    network: keras.Model, model: keras.Model, val: CropSequence | None, config: EndToEndConfig, checkpoint: Path
) -> TrainingProgress:
    """Returns the progress before the first epoch, or that in `checkpoint`, whose weights `network` then gets."""
    earlier = read_checkpoint(checkpoint, config.settings)
    if earlier is None:
        progress = TrainingProgress([(float("nan"), _measure(model, val))], 0, _numbers(network.variables))
        say(_line(progress, 0.0))
        return progress
    restore([*network.variables, *_state(model)], [*earlier.network, *earlier.optimizer], checkpoint)
    say(f"Going on after epoch {earlier.progress.epoch} of an interrupted training ({checkpoint}).")
    return earlier.progress


def _note(live: Live | None, progress: TrainingProgress, noted: int) -> int:
    """Hands `live` the losses from the epoch `noted` on, those before an interruption too; returns the next epoch."""
    if live is not None:
        for epoch, (loss, val_loss) in list(enumerate(progress.losses))[noted:]:
            live.note(epoch, {"loss": loss, "val_loss": val_loss})
    return len(progress.losses)


def _state(model: keras.Model) -> list[Any]:
    """Returns the optimiser's variables: steps, moments, and gradients accumulated for the next step."""
    optimizer: Any = model.optimizer
    return optimizer.variables


def _batches(
    clips: CropSet, config: EndToEndConfig, blending: Blending | None, with_regions: bool = False
) -> tuple[CropSequence, CropSequence | None]:
    train, val = clips.rows(TRAIN), clips.rows(VAL)
    labels = clips.labels[train]
    blends = 0 if blending is None else blending.count(labels)
    weights = balanced_weights(np.append(labels, np.full(blends, FAKE)))
    augmentation = Augmentation() if config.augment else None
    return (
        CropSequence(clips, train, config.batch, weights, config.seed, augmentation, blending, with_regions),
        CropSequence(clips, val, config.batch, weights, with_regions=with_regions) if len(val) else None,
    )


def _compiled(network: keras.Model, config: EndToEndConfig, batches: int) -> keras.Model:
    """Returns a compiled model around `network`, which itself is then saved without an optimiser."""
    rate: Any = learning_rate_schedule(config, batches)
    steps = config.accumulate if config.accumulate > 1 else None
    optimizer = keras.optimizers.Adam(rate, gradient_accumulation_steps=steps)
    model = keras.Model(network.input, network.output)
    model.compile(optimizer, keras.losses.BinaryCrossentropy())
    optimizer.build(model.trainable_variables)
    return model


def learning_rate_schedule(config: EndToEndConfig, batches: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Returns the learning rate by batch: it rises linearly over the warm-up, then falls to zero as half a cosine.

    The decay is that of Loshchilov & Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017,
    without restarts; Keras counts every batch, also when gradients are accumulated.
    """
    warm, rest = config.warmup_epochs * batches, (config.epochs - config.warmup_epochs) * batches
    if not warm:
        return keras.optimizers.schedules.CosineDecay(config.learning_rate, rest)
    return keras.optimizers.schedules.CosineDecay(0.0, rest, warmup_target=config.learning_rate, warmup_steps=warm)


def _run_epoch(model: keras.Model, train: CropSequence, epoch: int, epochs: int) -> float:
    """Trains for the epoch after `epoch`; returns its mean loss."""
    train.start_epoch(epoch)
    with passing_bar(total=len(train), unit="batch", desc=f"epoch {epoch + 1}/{epochs}") as bar:
        epoch_history = model.fit(train, callbacks=[Advance(bar)], shuffle=False, verbose=0)  # pyright: ignore[reportArgumentType]
    return epoch_history.history["loss"][0]


def _measure(model: keras.Model, batches: CropSequence | None) -> float:
    """Returns the loss on `batches`, NaN if there are none."""
    if batches is None:
        return float("nan")
    with passing_bar(total=len(batches), unit="batch", desc="validation") as bar:
        logs: Any = model.evaluate(batches, verbose=0, callbacks=[Advance(bar)], return_dict=True)  # pyright: ignore[reportArgumentType]
    return float(logs["loss"])


def _numbers(variables: list[Any]) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _require_numbers(reached: Checkpoint, validated: bool, config: EndToEndConfig, checkpoint: Path) -> None:
    """Raises a UserError for numbers that are not finite, and removes the checkpoint, which is of no use then."""
    loss, val_loss = reached.progress.losses[-1]
    found = ""
    if not np.isfinite([loss, val_loss] if validated else [loss]).all():
        found = f"the loss was {loss}, on validation {val_loss},"
    elif not all(np.isfinite(numbers).all() for numbers in (*reached.network, *reached.optimizer)):
        found = "a weight was no finite number"
    if found:
        checkpoint.unlink(missing_ok=True)
        raise UserError(
            f"{found} in epoch {reached.progress.epoch}; "
            f"try again with {flag('learning_rate')} below {config.learning_rate:g}."
        )


def _line(progress: TrainingProgress, seconds: float) -> str:
    loss, val_loss = progress.losses[-1]
    losses = [f"{name} {value:.4f}" for name, value in (("loss", loss), ("validation", val_loss)) if np.isfinite(value)]
    if not progress.epoch:
        return f"epoch 0, before any training: {losses[0] if losses else 'there is no validation part'}"
    best = ", the lowest so far" if progress.best == progress.epoch and len(losses) > 1 else ""
    return f"epoch {progress.epoch}: {', '.join(losses)}{best} ({seconds:.1f} s)"
