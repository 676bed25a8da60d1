"""The baseline of every head: a logistic regression on the features of a clip averaged over its frames.

A head starts from it: the baseline's logit is fixed inside the network, and the head learns what to add. On clips that
it was fitted on, the baseline is too sure of itself, so while heads learn, the clips of train carry logits of
regressions that have not seen their people ("out of fold").
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from base.errors import UserError
from train.data.clips import Clips, pool
from train.data.folds import Folds, divide

STRENGTHS = (2e-4, 2e-3, 2e-2, 2e-1)
"""Values tried for scikit-learn's C, strongest regularisation first: most data sets have fewer clips than features."""
DEFAULT_STRENGTH = 2e-2
"""The value of C unless another is better on folds of train by more than chance explains."""
AT_ONCE = 2
"""Folds that are fitted at once: each has a copy of what it is fitted on."""
LEAST_VARIANCE = 1e-6
"""Variance floor, as a fraction of the mean variance of all features."""


@dataclass(frozen=True, eq=False)
class Baseline:
    """A fitted baseline: the logit of fake is the mean of a clip's features times `kernel` float64 (D,), plus `bias`.

    `logits` float64 (N,) are those of all clips; `offsets` float64 (N,) are the same, but out of fold for clips of
    train. `strength` is scikit-learn's C, `folds` the number of folds that it was chosen on, 0 if there were none,
    `by` what no two folds share, and `log_loss` the class-balanced loss out of fold, in nats per clip.
    """

    kernel: np.ndarray
    bias: float
    logits: np.ndarray
    offsets: np.ndarray
    strength: float
    folds: int
    by: str
    log_loss: float | None

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        """Returns the probability of fake, float64 (R,), of the clips `rows`."""
        return expit(self.logits[rows])

    def layer(self, mean: np.ndarray, variance: np.ndarray) -> list[np.ndarray]:
        """Returns kernel (D, 1) and bias (1,) for features normalised by `mean` and `variance` (D,)."""
        kernel, shift = self.kernel * np.sqrt(variance, dtype=np.float64), self.kernel @ mean.astype(np.float64)
        return [kernel[:, None].astype(np.float32), np.array([self.bias + shift], np.float32)]

    @property
    def summary(self) -> dict[str, Any]:
        """How the baseline was fitted, as plain values."""
        return {"strength": self.strength, "folds": self.folds, "by": self.by, "log_loss": self.log_loss}

    def __str__(self) -> str:
        chosen = f"baseline: logistic regression of strength C={self.strength:g}"
        if not self.folds:
            return f"{chosen}; train has too few clips to choose another, or to see the baseline on clips it is new to."
        few = "; train has too few people for folds by person" if self.by == "clip" else ""
        return f"{chosen}, chosen on {self.folds} folds of train by {self.by} (log-loss {self.log_loss:.4f}){few}."


def fit_baseline(clips: Clips, train: np.ndarray, owners: Sequence[str]) -> Baseline:
    """Returns the baseline fitted on the clips `train`, whose `owners` name the person of each of the N clips.

    Features are standardised on `train` and both classes weigh the same. Raises a UserError if a feature is not finite.
    """
    pooled, labels = pool(clips.features, clips.mask), clips.labels[train]
    weights = clips.weights(train)[train]
    if not np.isfinite(pooled).all():
        broken = np.flatnonzero(~np.isfinite(pooled).all(axis=1))
        raise UserError(f"the features of {len(broken)} clips are not all finite; extract them with other weights.")
    folds = divide(labels, [str(owners[row]) for row in train])
    strength, loss, out_of_fold = DEFAULT_STRENGTH, None, None
    if folds is not None:
        tried = _out_of_fold(clips, pooled, train, folds)
        losses = weights * (np.logaddexp(0, tried) - labels * tried)
        row = _choose(losses)
        strength, loss, out_of_fold = STRENGTHS[row], float(losses[row].mean()), tried[row]
    ((kernel, bias),) = _fits(pooled[train], labels, weights, (strength,))
    logits = pooled @ kernel + bias
    offsets = logits.copy()
    if out_of_fold is not None:
        offsets[train] = out_of_fold
    count, by = (0, "") if folds is None else (folds.count, folds.by)
    return Baseline(kernel, bias, logits, offsets, strength, count, by, loss)


def _out_of_fold(clips: Clips, pooled: np.ndarray, train: np.ndarray, folds: Folds) -> np.ndarray:
    """Returns float64 (S, T): for each of `STRENGTHS` the logit of each clip by a regression without its fold."""
    logits = np.empty((len(STRENGTHS), len(train)))

    def fill(number: int) -> None:
        inside = folds.numbers == number
        own, held = train[~inside], train[inside]
        for row, (kernel, bias) in enumerate(_fits(pooled[own], clips.labels[own], clips.weights(own)[own], STRENGTHS)):
            logits[row, inside] = pooled[held] @ kernel + bias

    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(fill, range(folds.count)))
    return logits


def _choose(losses: np.ndarray) -> int:
    """Returns the row of `losses` (S, T) to use: that nearest the default within a standard error of the best.

    Without this rule a few dozen clips choose by chance, and often the strongest regularisation. Breiman et al.,
    "Classification and Regression Trees", 1984.
    """
    excess = losses - losses[losses.mean(axis=1).argmin()]
    errors = excess.std(axis=1) / np.sqrt(losses.shape[1])
    default = STRENGTHS.index(DEFAULT_STRENGTH)
    good = np.flatnonzero(excess.mean(axis=1) <= errors)
    return int(min(good, key=lambda row: abs(row - default)))


def _fits(
    pooled: np.ndarray, labels: np.ndarray, weights: np.ndarray, strengths: Sequence[float]
) -> Iterator[tuple[np.ndarray, float]]:
    """Yields kernel (D,) and bias of a regression for each of `strengths`, each starting from the one before."""
    from sklearn.linear_model import LogisticRegression

    mean, variance = pooled.mean(axis=0), pooled.var(axis=0)
    scale = np.sqrt(np.maximum(variance, LEAST_VARIANCE * variance.mean()) + np.finfo(float).tiny)
    standardised = pooled - mean
    standardised /= scale  # in place: a copy would be a fifth of all features
    model = LogisticRegression(max_iter=1000, warm_start=True)
    for strength in strengths:
        model.set_params(C=strength).fit(standardised, labels, weights)
        kernel = np.asarray(model.coef_)[0] / scale
        yield kernel, float(np.asarray(model.intercept_)[0] - kernel @ mean)
