"""K heads of one shape trained side by side as one Keras model: every weight has a leading axis of K slots.

Each slot has its own batches, dropout, learning rate and weight decay, and learns in one of the folds: with what was
fitted on the train part of that fold. Slots share only the resident frames and the compiled step, so a head learns what
it would learn alone. When a head is done, another takes its slot.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from base.keras_start import sees_gpu
from train.data.inputs import Inputs
from train.heads.architectures import BRANCH, HeadConfig, is_fixed
from train.heads.mapping import forward, mappable_branch

ops: Any = keras.ops  # whose types allow None everywhere
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7
"""Those of keras.optimizers.Adam."""


class Stack:
    """`slots` heads of the shape `config` on the inputs of each of `folds`; each step takes `batch` clips per head."""

    def __init__(self, config: HeadConfig, folds: Sequence[Inputs], slots: int, batch: int) -> None:
        self.slots, self.batch = slots, batch
        self._folds = np.zeros(slots, np.int32)
        self._branch = mappable_branch(config, folds[0].frames.shape[2])
        self._network = _Network(config, folds, self._branch, slots)
        self._adam = _StackedAdam(slots)
        self._losses = _Losses(slots)
        # On a CPU, XLA takes longer to compile than most sweeps take to run.
        compiled: Any = "auto" if keras.backend.backend() != "tensorflow" or sees_gpu() else False
        self._network.compile(self._adam, metrics=[], jit_compile=compiled)
        self._network.losses_by_slot = self._losses
        self._adam.build(self._network.trainable_variables)

    @property
    def vector(self) -> int:
        """Size of the vector of a clip, to which dropout applies."""
        return self._branch.get_layer("batch_norm").gamma.shape[0]

    def put(self, slot: int, rate: float, decay: float, seed: int, fold: int = 0) -> None:
        """Starts a new head at `slot`, in this `fold`, with initial weights that depend on `seed` only."""
        self._folds[slot] = fold
        self.fill(slot, draw_weights(self._branch, np.random.default_rng([seed, 0])))
        self._adam.begin(slot, rate, decay)

    def fill(self, slot: int, weights: Mapping[str, np.ndarray]) -> None:
        """Gives the head at `slot` its `weights`, by name."""
        for name, variable in self._network.stacked.items():
            _set(variable, slot, weights[name])

    def step(self, rows: np.ndarray, keep: np.ndarray, weights: np.ndarray) -> None:
        """Trains each head for one step on its clips `rows` int32 (K, B).

        `keep` float32 (K, B, U) multiplies the vectors of the clips, `weights` float32 (K, B) their losses.
        """
        self._network.train_on_batch({"rows": rows, "folds": self._folds, "keep": keep}, weights)

    def take_losses(self) -> np.ndarray:
        """Returns float64 (K,): the mean loss of the steps since the last call."""
        return self._losses.take()

    def logits(self, rows: np.ndarray) -> np.ndarray:
        """Returns float64 (K, R): the logit of each head for each of its clips `rows` int (K, R)."""
        keep = np.ones((self.slots, self.batch, self.vector), np.float32)
        logits = []
        for start in range(0, rows.shape[1], self.batch):
            chunk = rows.take(range(start, start + self.batch), axis=1, mode="wrap").astype(np.int32)
            batch = {"rows": chunk, "folds": self._folds, "keep": keep}
            logits.append(np.asarray(self._network.predict_on_batch(batch), np.float64))
        return np.concatenate(logits, axis=1)[:, : rows.shape[1]]

    def weights(self, slots: Sequence[int]) -> list[dict[str, np.ndarray]]:
        """Returns a copy of the weights of the heads at `slots`, by name."""
        values = {name: ops.convert_to_numpy(variable) for name, variable in self._network.stacked.items()}
        return [{name: value[slot].copy() for name, value in values.items()} for slot in slots]


class _Network(keras.Model):
    """K heads as one network, whose inputs are rows of the resident clips."""

    def __init__(self, config: HeadConfig, folds: Sequence[Inputs], branch: keras.Model, slots: int) -> None:
        super().__init__(name="stack")
        self._config = config
        self.losses_by_slot: Any = None
        self.stacked = {}
        for weight in branch.weights:
            options = {"name": weight.path.replace("/", "-"), "trainable": weight.trainable}
            self.stacked[weight.path] = self.add_weight((slots, *weight.shape), "zeros", **options)
        # Hidden in a function: weights of a layer that is an attribute would be trained with the stacked ones.
        self._forward = functools.partial(forward, branch, self.stacked)
        clips = folds[0].clips
        shifts, scales = zip(*(inputs.shift_and_scale for inputs in folds), strict=True)
        # As they are stored, frames are those of every fold; projected, each fold has its own.
        own = [folds[0].frames] if folds[0].basis is None else [inputs.frames for inputs in folds]
        self._frames_apart = len(clips.labels) if len(own) > 1 else 0
        self._clips = len(clips.labels)
        resident_values = {
            "frames": own[0] if len(own) == 1 else np.concatenate(own),
            "shift": np.stack(shifts)[:, None, None],
            "scale": np.stack(scales)[:, None, None],
            "mask": clips.mask,
            "labels": clips.labels.astype(np.float32),
            "offsets": np.concatenate([offsets_of(config, inputs) for inputs in folds]).astype(np.float32),
        }
        for name, values in resident_values.items():
            # Begun with its values, for zeros and an assignment would need as much memory again, and twice. Cast to
            # float32, as Keras would do by itself, all frames would be copied in each step.
            options = {"trainable": False, "autocast": False, "name": name}
            begin = functools.partial(_as_it_is, values)
            setattr(self, f"resident_{name}", self.add_weight(values.shape, begin, values.dtype.name, **options))
        self.built = True

    def call(self, inputs: Mapping[str, Any], training: bool = False) -> Any:
        """Returns logits (K, B)."""
        rows, folds, keep = inputs["rows"], inputs["folds"], inputs["keep"]
        own = folds[:, None] * self._frames_apart + rows
        shift, scale = (ops.take(values, folds, axis=0) for values in (self.resident_shift, self.resident_scale))
        frames = (ops.cast(ops.take(self.resident_frames, own, axis=0), "float32") - shift) / scale
        mask = ops.take(self.resident_mask, rows, axis=0)
        logits, moved = self._forward({"frames": frames, "mask": mask, "keep": keep}, training=training)
        if training:
            for name, value in moved.items():
                self.stacked[name].assign(value)
        if self._config.start == "nothing":
            return logits
        return logits + ops.take(self.resident_offsets, folds[:, None] * self._clips + rows, axis=0)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True) -> Any:
        """Returns the sum over heads of the mean weighted binary cross-entropy; `y` holds the weights (K, B)."""
        del sample_weight, training
        labels = ops.take(self.resident_labels, x["rows"], axis=0)  # pyright: ignore[reportOptionalSubscript]
        losses = ops.mean(ops.convert_to_tensor(y) * (ops.softplus(y_pred) - labels * y_pred), axis=1)
        self.losses_by_slot.update_state(losses)
        return ops.sum(losses)


def _as_it_is(values: np.ndarray, shape: tuple[int, ...], dtype: str) -> Any:
    """Begins a weight with `values`, as `keras.initializers` have it, and where it can without a copy."""
    del shape
    return ops.convert_to_tensor(_Shared(values) if keras.backend.backend() == "tensorflow" else values, dtype=dtype)


class _Shared:
    """An array that TensorFlow does not know as one: it copies arrays twice, and uses the memory of this."""

    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self._values


class _Losses(keras.metrics.Metric):
    """The mean loss of each head."""

    def __init__(self, slots: int) -> None:
        super().__init__(name="losses_by_slot")
        self._total = self.add_variable((slots,), "zeros", name="total")
        self._count = self.add_variable((), "zeros", name="count")

    def update_state(self, losses: Any) -> None:
        """Adds the losses (K,) of one step."""
        self._total.assign(self._total + losses)
        self._count.assign(self._count + 1)

    def result(self) -> Any:
        """Returns the mean losses (K,)."""
        return self._total / ops.maximum(self._count, 1)

    def take(self) -> np.ndarray:
        """Returns the mean losses and resets them."""
        losses = np.asarray(self.result(), np.float64)
        self.reset_state()
        return losses


class _StackedAdam(keras.optimizers.Optimizer):
    """Adam with decoupled weight decay (Loshchilov & Hutter, ICLR 2019) and a rate, decay and step count per slot."""

    def __init__(self, slots: int) -> None:
        super().__init__(learning_rate=1.0, name="stacked_adam")
        self._rates = self.add_variable((slots,), name="rates")
        self._decays = self.add_variable((slots,), name="decays")
        self._steps = self.add_variable((slots,), name="steps")

    def build(self, variables: Any) -> None:
        """Creates the moments of `variables`."""
        super().build(variables)
        self._moments = [
            (variable, *(self.add_variable_from_reference(variable, name) for name in ("momentum", "velocity")))
            for variable in variables
        ]

    def begin(self, slot: int, rate: float, decay: float) -> None:
        """Resets `slot` for a new head."""
        for variable, value in ((self._rates, rate), (self._decays, decay), (self._steps, 0.0)):
            _set(variable, slot, value)
        for moment in (moment for _, *pair in self._moments for moment in pair):
            _set(moment, slot, 0.0)

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """Moves each variable (K, ...) that `build` got against its gradient in `grads`, which are in their order."""
        del trainable_variables
        self._steps.assign(self._steps + 1)
        correction = ops.sqrt(1 - ops.power(BETA_2, self._steps)) / (1 - ops.power(BETA_1, self._steps))
        for gradient, (variable, momentum, velocity) in zip(grads, self._moments, strict=True):
            momentum.assign(momentum + (gradient - momentum) * (1 - BETA_1))
            velocity.assign(velocity + (ops.square(gradient) - velocity) * (1 - BETA_2))
            shape = (-1, *([1] * (len(variable.shape) - 1)))
            rate, shrink = (ops.reshape(self._rates * factor, shape) for factor in (correction, self._decays))
            variable.assign(variable * (1 - shrink) - rate * momentum / (ops.sqrt(velocity) + EPSILON))


def offsets_of(config: HeadConfig, inputs: Inputs) -> np.ndarray:
    """Returns float64 (N,): the logit of each clip that a head starts from, zeros if it starts from nothing."""
    if config.start == "nothing":
        return np.zeros(len(inputs.frames))
    assert inputs.baseline is not None, "these inputs were prepared without a baseline"
    return inputs.baseline.offsets


def draw_weights(head: keras.Model, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Returns initial weights of `head` by name, as Keras distributes them, but drawn by numpy for any backend."""
    return {
        weight.path: _draw(weight.path, tuple(weight.shape), random)
        for weight in head.weights
        if not is_fixed(weight.path)
    }


def _draw(name: str, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    layer, kind = name.rsplit("/", 1)
    if layer == BRANCH:
        return np.zeros(shape, np.float32)
    if kind == "recurrent_kernel":  # orthogonal: Saxe et al., ICLR 2014
        across, _ = np.linalg.qr(random.normal(size=shape[::-1]))
        return np.ascontiguousarray(across.T, np.float32)
    if kind == "kernel":  # uniform: Glorot & Bengio, AISTATS 2010
        field = np.prod(shape[:-2])
        limit = np.sqrt(6 / (field * (shape[-2] + shape[-1])))
        return random.uniform(-limit, limit, shape).astype(np.float32)
    values = np.full(shape, 1.0 if kind in ("gamma", "moving_variance") else 0.0, np.float32)
    if name.endswith("lstm_cell/bias"):  # remember at first: Jozefowicz et al., ICML 2015
        values[shape[0] // 4 : shape[0] // 2] = 1
    return values


def _set(variable: Any, slot: int, value: Any) -> None:
    own = np.broadcast_to(np.asarray(value, np.float32), variable.shape[1:])
    variable.assign(ops.scatter_update(variable, [[slot]], own[None]))
