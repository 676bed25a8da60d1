"""What tests of training need."""

from collections.abc import Callable

import numpy as np
import pytest


@pytest.fixture
def step_weights(monkeypatch) -> Callable[[], tuple[float, float]]:
    """Returns the total weights of real and fake in the training steps since the last call."""
    from train.heads.stack import Stack

    step, steps = Stack.step, []

    def watched(self, rows, keep, weights):
        labels = np.asarray(self._network.resident_labels)[rows]
        steps.append([float(weights[labels == label].sum()) for label in (0, 1)])
        step(self, rows, keep, weights)

    def totals() -> tuple[float, float]:
        real, fake = np.sum(steps, axis=0)
        steps.clear()
        return float(real), float(fake)

    monkeypatch.setattr(Stack, "step", watched)
    return totals
