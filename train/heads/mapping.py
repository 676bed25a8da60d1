"""The branch of a head mapped over K slots: one pass computes K heads, each with its own weights and clips.

Keras maps any layer. Below are those that it maps slowly, in a form that computes the same from the same weights.
"""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import keras

from train.heads.architectures import HeadConfig, build_branch

ops: Any = keras.ops  # whose types allow None everywhere


def mappable_branch(config: HeadConfig, size: int) -> keras.Model:
    """Returns the branch of the head, built from layers that map fast."""
    return build_branch(config, size, SimpleNamespace(**vars(keras.layers) | LAYERS))


def forward(
    branch: keras.Model, weights: Mapping[str, Any], inputs: Mapping[str, Any], *, training: bool
) -> tuple[Any, dict[str, Any]]:
    """Returns the logits (K, B) of K heads without the baseline, and the values after that of weights without gradient.

    `weights` have the names that they have in the head, and like the `inputs` of the branch a leading axis of K.
    """

    call: Any = branch.stateless_call  # whose types allow losses, too
    learnt, others = branch.trainable_variables, branch.non_trainable_variables

    def one(slot: Any) -> Any:
        values, slot_inputs = slot
        # A seed, which some layers have, is no weight; dropout from outside leaves it unused.
        given = ([values.get(variable.path, variable) for variable in each] for each in (learnt, others))
        logits, after = call(*given, slot_inputs, training=training)
        paths = (variable.path for variable in others)
        return logits[:, 0], {path: value for path, value in zip(paths, after, strict=True) if path in values}

    stacked = {name: ops.convert_to_tensor(value) for name, value in weights.items()}
    return ops.vectorized_map(one, (stacked, dict(inputs)))


class _Conv1D(keras.layers.Conv1D):
    """A matrix product per tap: TensorFlow convolves with one kernel at a time, but multiplies with many at once."""

    def call(self, inputs: Any) -> Any:
        """Returns what the layer of Keras returns; only a causal convolution is computed otherwise."""
        if self.padding != "causal" or self.strides != (1,) or self.groups != 1:
            return super().call(inputs)
        (steps,) = self.dilation_rate
        outputs = self.bias if self.use_bias else 0
        for number, kernel in enumerate(reversed(ops.unstack(self.kernel))):
            product = ops.matmul(inputs, kernel)
            outputs += ops.pad(product, [(0, 0), (number * steps, 0), (0, 0)])[:, : inputs.shape[1]]
        return self.activation(outputs)


class _Projected(keras.layers.RNN):
    """A recurrent layer that multiplies all frames with its kernel at once: many small products take twice as long."""

    CELL: type[keras.layers.Layer]
    """Computes what a cell with Keras' default settings computes, from such products."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        cell: Any = self.cell
        if cell.get_config() == type(cell)(cell.units, name=cell.name).get_config():
            self.cell = self.CELL.from_config(cell.get_config())

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        """Returns what the layer of Keras returns."""
        frames = ops.matmul(sequences, self.cell.kernel) if isinstance(self.cell, self.CELL) else sequences
        return super().call(frames, initial_state, mask, training)


class _LSTMCell(keras.layers.LSTMCell):
    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        del training
        hidden, carry = states
        gates = inputs + ops.matmul(hidden, self.recurrent_kernel) + self.bias
        enter, forget, new, leave = ops.split(gates, 4, axis=-1)
        carry = ops.sigmoid(forget) * carry + ops.sigmoid(enter) * ops.tanh(new)
        hidden = ops.sigmoid(leave) * ops.tanh(carry)
        return hidden, [hidden, carry]


class _GRUCell(keras.layers.GRUCell):
    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        del training
        bias, bias_now = ops.unstack(self.bias)
        update, reset, new = ops.split(inputs + bias, 3, axis=-1)
        gates = ops.matmul(states[0], self.recurrent_kernel) + bias_now
        update_now, reset_now, new_now = ops.split(gates, 3, axis=-1)
        share = ops.sigmoid(update + update_now)
        candidate = ops.tanh(new + ops.sigmoid(reset + reset_now) * new_now)
        hidden = share * states[0] + (1 - share) * candidate
        return hidden, [hidden]


# Registered, for keras.layers.Bidirectional makes its two layers from the config of one.
@keras.saving.register_keras_serializable("reelcheck")
class _LSTM(_Projected, keras.layers.LSTM):
    CELL = _LSTMCell


@keras.saving.register_keras_serializable("reelcheck")
class _GRU(_Projected, keras.layers.GRU):
    CELL = _GRUCell


LAYERS: dict[str, type[keras.layers.Layer]] = {"LSTM": _LSTM, "GRU": _GRU, "Conv1D": _Conv1D}
