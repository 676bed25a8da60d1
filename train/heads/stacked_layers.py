"""The heads of train.heads.architectures with a leading axis for K of them, so that one pass computes them all.

Each function computes what its head computes (a test compares them): frames (K, B, 12, P) and mask bool (K, B, 12) in,
vectors of the clips (K, B, U) out. Weights have the names that they have in the head and K as first axis:
`lstm/lstm_cell/kernel` is (K, P, 4U). A new head needs its entry in `STACKED`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from train.heads.architectures import BRANCH, DILATIONS, HeadConfig

ops: Any = keras.ops  # whose types allow None everywhere
Tensor = Any
Weights = Mapping[str, Tensor]


def forward(
    config: HeadConfig, weights: Weights, frames: Tensor, mask: Tensor, keep: Tensor, *, training: bool
) -> tuple[Tensor, dict[str, Tensor]]:
    """Returns the logits (K, B) of K heads without the baseline, and new values of the moving averages.

    `keep` (K, B, U) multiplies the vectors of the clips: 0 where dropout drops, 1 / (1 - its rate) elsewhere.
    """
    if config.differences:
        frames = ops.concatenate([frames, _change(frames)], axis=-1)
    clip = STACKED[config.head](weights, frames, mask)
    if training:
        clip = clip * keep
    clip, moved = _batch_norm(weights, clip, training=training)
    hidden = ops.relu(_dense(weights, "dense", clip))
    last = "probability" if config.start == "nothing" else BRANCH
    return _dense(weights, last, hidden)[..., 0], moved


def _change(frames: Tensor) -> Tensor:
    """Returns the change of each frame since the previous one, zeros for the first."""
    return ops.pad(frames[:, :, 1:] - frames[:, :, :-1], [(0, 0), (0, 0), (1, 0), (0, 0)])


def _later(frames: Tensor, steps: int) -> Tensor:
    """Returns the frames delayed by `steps`, with zeros before the first frame."""
    if not steps:
        return frames
    return ops.pad(frames[:, :, :-steps], [(0, 0), (0, 0), (steps, 0), (0, 0)])


def _times(frames: Tensor, kernel: Tensor) -> Tensor:
    """Returns frames (K, ..., P) times kernel (K, P, U): one matrix product per head."""
    shape = frames.shape
    flat = ops.reshape(frames, (shape[0], -1, shape[-1]))
    return ops.reshape(ops.matmul(flat, kernel), (*shape[:-1], kernel.shape[-1]))


def _wide(vector: Tensor, axes: int) -> Tensor:
    """Returns `vector` (K, U) reshaped so that it broadcasts against a tensor with `axes` axes."""
    return ops.reshape(vector, (vector.shape[0], *([1] * (axes - 2)), vector.shape[-1]))


def _dense(weights: Weights, name: str, inputs: Tensor) -> Tensor:
    outputs = _times(inputs, weights[f"{name}/kernel"])
    return outputs + _wide(weights[f"{name}/bias"], len(outputs.shape))


def _batch_norm(weights: Weights, clip: Tensor, *, training: bool) -> tuple[Tensor, dict[str, Tensor]]:
    mean, variance = weights["batch_norm/moving_mean"], weights["batch_norm/moving_variance"]
    moved = {}
    if training:
        mean, variance = ops.mean(clip, axis=1), ops.var(clip, axis=1)
        for name, value in (("batch_norm/moving_mean", mean), ("batch_norm/moving_variance", variance)):
            moved[name] = weights[name] * MOMENTUM + value * (1 - MOMENTUM)
    scale = weights["batch_norm/gamma"] / ops.sqrt(variance + EPSILON)
    return clip * _wide(scale, 3) + _wide(weights["batch_norm/beta"] - mean * scale, 3), moved


MOMENTUM, EPSILON = 0.99, 1e-3
"""Those of keras.layers.BatchNormalization."""


def _recurrent(
    step: Callable[[Tensor, Sequence[Tensor]], Sequence[Tensor]], inputs: Tensor, mask: Tensor, states: int, units: int
) -> Tensor:
    """Returns the first state after the last unpadded frame; `step` gets `inputs` (K, B, 12, G) frame by frame."""
    state = [ops.zeros((*inputs.shape[:2], units), inputs.dtype)] * states
    # Unstacked, not sliced: the gradient of each slice would be as large as all frames.
    for frame, unpadded in zip(ops.unstack(inputs, axis=2), ops.unstack(mask[..., None], axis=2), strict=True):
        after = step(frame, state)
        state = [ops.where(unpadded, new, old) for new, old in zip(after, state, strict=True)]
    return state[0]


def _lstm(weights: Weights, frames: Tensor, mask: Tensor, cell: str = "lstm/lstm_cell") -> Tensor:
    recurrent, bias = weights[f"{cell}/recurrent_kernel"], weights[f"{cell}/bias"]

    def step(frame: Tensor, state: Sequence[Tensor]) -> Sequence[Tensor]:
        hidden, carry = state
        gates = frame + ops.matmul(hidden, recurrent)
        enter, forget, new, leave = ops.split(gates, 4, axis=-1)
        carry = ops.sigmoid(forget) * carry + ops.sigmoid(enter) * ops.tanh(new)
        return ops.sigmoid(leave) * ops.tanh(carry), carry

    inputs = _times(frames, weights[f"{cell}/kernel"])
    return _recurrent(step, inputs + _wide(bias, 4), mask, 2, recurrent.shape[1])


def _bilstm(weights: Weights, frames: Tensor, mask: Tensor) -> Tensor:
    forth = _lstm(weights, frames, mask, "bilstm/forward_lstm/lstm_cell")
    back = _lstm(weights, ops.flip(frames, 2), ops.flip(mask, 2), "bilstm/backward_lstm/lstm_cell")
    return ops.concatenate([forth, back], axis=-1)


def _gru(weights: Weights, frames: Tensor, mask: Tensor) -> Tensor:
    recurrent, bias = weights["gru/gru_cell/recurrent_kernel"], weights["gru/gru_cell/bias"]

    def step(frame: Tensor, state: Sequence[Tensor]) -> Sequence[Tensor]:
        update, reset, new = ops.split(frame, 3, axis=-1)
        gates = ops.matmul(state[0], recurrent) + _wide(bias[:, 1], 3)
        update_now, reset_now, new_now = ops.split(gates, 3, axis=-1)
        share = ops.sigmoid(update + update_now)
        candidate = ops.tanh(new + ops.sigmoid(reset + reset_now) * new_now)
        return [share * state[0] + (1 - share) * candidate]

    inputs = _times(frames, weights["gru/gru_cell/kernel"])
    return _recurrent(step, inputs + _wide(bias[:, 0], 4), mask, 1, recurrent.shape[1])


def _attention(weights: Weights, frames: Tensor, mask: Tensor) -> Tensor:
    embedded = ops.relu(_dense(weights, "embed", frames))
    scores = _dense(weights, "score", ops.tanh(_dense(weights, "look", embedded)))[..., 0]
    shares = ops.softmax(ops.where(mask, scores, -1e9), axis=-1)
    return ops.sum(shares[..., None] * embedded, axis=2)


def _tcn(weights: Weights, frames: Tensor, mask: Tensor) -> Tensor:
    for number, dilation in enumerate(DILATIONS):
        kernel, bias = weights[f"tcn_{number}/kernel"], weights[f"tcn_{number}/bias"]
        taps = [_later(_times(frames, kernel[:, tap]), (2 - tap) * dilation) for tap in range(3)]
        convolved = ops.relu(taps[0] + taps[1] + taps[2] + _wide(bias, 4))
        frames = frames + convolved if number else convolved
    return _mean(weights, frames, mask)


def _mean(_: Weights, frames: Tensor, mask: Tensor) -> Tensor:
    unpadded = ops.cast(mask, frames.dtype)[..., None]
    return ops.sum(frames * unpadded, axis=2) / ops.maximum(ops.sum(unpadded, axis=2), 1.0)


STACKED: dict[str, Callable[[Weights, Tensor, Tensor], Tensor]] = {
    "lstm": _lstm,
    "bilstm": _bilstm,
    "gru": _gru,
    "attention": _attention,
    "tcn": _tcn,
    "mean": _mean,
}
