"""The measures themselves, each written once for a stack of weight vectors int32 (B, N): a weight for every clip.

A new one is a function and its entry in `SCORE_METRICS` or `CALL_METRICS`: pages, metrics.json and the terminal show
what is there. `evaluate.stats.metrics` computes them for labels and probabilities.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from evaluate.stats.sums import Called, Scored, cumulated, first_level, level_ends, surest_first


def weighted_scores(labels: np.ndarray, probabilities: np.ndarray) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Returns a function of weights (B, N): the values of `SCORE_METRICS` by name."""
    order = np.argsort(-probabilities, kind="stable")
    fake, ends = labels[order] == 1, level_ends(probabilities[order])
    losses, surest = clip_log_losses(labels, probabilities), surest_first(labels, probabilities)

    def measure(weights: np.ndarray) -> dict[str, np.ndarray]:
        false, true = cumulated(weights.take(order, axis=1), fake, ends)
        totals = (false[:, -1].astype(np.int64), true[:, -1].astype(np.int64))
        by_level = (_rises(false), _rises(true), false, true)
        scored = Scored(labels, probabilities, losses, weights, *by_level, *totals, surest)
        return {name: metric.of(scored) for name, metric in SCORE_METRICS.items()}

    return measure


def weighted_calls(
    labels: np.ndarray, probabilities: np.ndarray, thresholds: Sequence[float]
) -> Callable[[np.ndarray], dict[tuple[int, str], np.ndarray]]:
    """Returns a function of weights (B, N): the values of `CALL_METRICS` by (threshold's number, name)."""
    cells = [2 * labels + (probabilities >= threshold) for threshold in thresholds]
    calls = [np.stack([cell == number for number in range(4)]).astype(np.float64) for cell in cells]

    def measure(weights: np.ndarray) -> dict[tuple[int, str], np.ndarray]:
        weights = weights.astype(np.float64)
        values = {}
        for number, cells in enumerate(calls):
            true_real, false_fake, false_real, true_fake = (weights @ cells.T).T
            sums = (true_real + false_fake, true_fake + false_real, true_real + false_real, true_fake + false_fake)
            called = Called(true_real, true_fake, *sums)
            values |= {(number, name): metric.of(called) for name, metric in CALL_METRICS.items()}
        return values

    return measure


def clip_log_losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Returns the log-loss of each clip in nats, float64 (N,)."""
    # A mistake at probability 1 would cost infinity; scikit-learn clips at the same value.
    tiny = np.finfo(np.float64).eps
    return -np.log(np.clip(np.where(labels == 1, probabilities, 1 - probabilities), tiny, 1 - tiny))


def _rises(sums: np.ndarray) -> np.ndarray:
    """What each level adds: undoes a cumulative sum along the rows."""
    rises = sums.copy()
    rises[:, 1:] -= sums[:, :-1]
    return rises


def _roc_auc(scored: Scored) -> np.ndarray:
    area = _products(scored.real, scored.true) - _products(scored.real, scored.fake) / 2
    return _ratio(area, scored.reals * scored.fakes)


def _pr_auc(scored: Scored) -> np.ndarray:
    """Average precision: the sum of precision times the gain in recall, without interpolation, as in scikit-learn."""
    called = scored.true + scored.false
    precision = scored.true / np.maximum(called, 1, out=called)
    gained = _products(scored.fake, precision)
    # Without real clips the precision is always 1.
    return np.where(scored.reals > 0, _ratio(gained, scored.fakes), np.nan)


def _products(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """The sum of products of each row, float64 (B,)."""
    return np.einsum("bk,bk->b", one, two, dtype=np.float64)


def _equal_error_rate(scored: Scored) -> np.ndarray:
    """The rate at which false alarms and misses are equal, on the ROC curve with its points joined by lines."""
    false, true, reals, fakes = scored.false, scored.true, scored.reals, scored.fakes
    rows = np.arange(len(false))

    def alarms(level: np.ndarray) -> np.ndarray:
        return np.where(level < 0, 0, false[rows, level])

    def excess(level: np.ndarray) -> np.ndarray:
        """The false alarm rate minus the miss rate, times both class sizes: a whole number."""
        return alarms(level) * fakes + np.where(level < 0, 0, true[rows, level]) * reals - reals * fakes

    after = first_level(scored, lambda level: excess(level) >= 0)
    before = after - 1
    step = _ratio(-excess(before), excess(after) - excess(before))
    return _ratio(alarms(before) + step * (alarms(after) - alarms(before)), reals)


def _log_loss(scored: Scored) -> np.ndarray:
    return scored.mean(scored.losses)


def _brier(scored: Scored) -> np.ndarray:
    return scored.mean((scored.probabilities - scored.labels) ** 2)


def _recall_at(rate: float) -> Callable[[Scored], np.ndarray]:
    """The recall of fake at the lowest threshold at which at most the share `rate` of real clips is called fake."""

    def recall(scored: Scored) -> np.ndarray:
        rows, most = np.arange(len(scored.false)), rate * scored.reals
        after = first_level(scored, lambda level: scored.false[rows, level] > most)
        # The last level calls all clips fake, which is within no such rate.
        found = np.where(after > 0, scored.true[rows, after - 1], 0)
        return np.where(scored.reals > 0, _ratio(found, scored.fakes), np.nan)

    return recall


def _area_under_risk(scored: Scored) -> np.ndarray:
    """The mean, over all shares of clips that are called, the surest first, of the share of these that are wrong.

    Calls are made at 0.5. Geifman & El-Yaniv, "Selective classification for deep neural networks", NeurIPS 2017.
    """
    weights, surest = scored.weights.take(scored.surest.order, axis=1), scored.surest
    called, wrong = (np.add.reduceat(own, surest.starts, axis=1) for own in (weights, weights * surest.wrong))
    so_far = np.cumsum(called, axis=1)
    risk = _ratio(np.cumsum(wrong, axis=1), so_far)
    return _products(called, np.nan_to_num(risk)) / so_far[:, -1]


def _accuracy(called: Called) -> np.ndarray:
    return (called.true_real + called.true_fake) / (called.reals + called.fakes)


def _recall_real(called: Called) -> np.ndarray:
    return _ratio(called.true_real, called.reals)


def _recall_fake(called: Called) -> np.ndarray:
    return _ratio(called.true_fake, called.fakes)


def _kappa(called: Called) -> np.ndarray:
    clips = called.reals + called.fakes
    agreed = (called.true_real + called.true_fake) * clips
    by_chance = called.reals * called.called_real + called.fakes * called.called_fake
    return _ratio(agreed - by_chance, clips * clips - by_chance)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """`above / below`, NaN where `below` is 0."""
    return np.divide(above, below, out=np.full(np.shape(below), np.nan), where=below != 0)


Given = TypeVar("Given", Scored, Called)


@dataclass(frozen=True)
class Metric(Generic[Given]):
    """One measure: its `title` in tables, with ↓ where lower is better, and the function `of` what it is made from.

    The function returns a value for each weighting, float64 (B,), NaN where it is undefined. `meaning` is for those who
    do not use it daily; `printed` says whether the terminal shows it too.
    """

    title: str
    of: Callable[[Given], np.ndarray]
    meaning: str = ""
    printed: bool = True


SCORE_METRICS: dict[str, Metric[Scored]] = {
    "roc_auc": Metric(
        "ROC AUC",
        _roc_auc,
        "how often a fake scores above a real clip, both taken at random; 0.5 is guessing, 1 is perfect",
    ),
    "pr_auc": Metric(
        "PR AUC", _pr_auc, "the mean precision over all recalls of fake; guessing gives the share of fakes"
    ),
    "eer": Metric(
        "equal error rate ↓",
        _equal_error_rate,
        "the share of errors at the threshold where both kinds are equally frequent",
    ),
    "recall_at_1": Metric(
        "recall of fake at 1 % false alarms",
        _recall_at(0.01),
        "the share of fakes found by the lowest threshold that calls at most this share of the real clips fake; with "
        "fewer than a hundred real clips, none of them",
    ),
    "recall_at_5": Metric("recall of fake at 5 % false alarms", _recall_at(0.05)),
    "risk": Metric(
        "area under risk and coverage ↓",
        _area_under_risk,
        "the share of wrong calls at 0.5 among the clips that are called, on average over how many are, the surest "
        "first; 0 is perfect, and guessing gives the share of errors",
        printed=False,
    ),
    "log_loss": Metric(
        "log-loss in nats ↓",
        _log_loss,
        "how far the probabilities are from the truth, sure mistakes most; 0.693 is 50 % for every clip",
        printed=False,
    ),
    "brier": Metric(
        "Brier score ↓",
        _brier,
        "the mean squared distance of the probability from the truth; 0.25 is 50 % for every clip",
        printed=False,
    ),
}
"""Measures of the probabilities, which need no threshold."""
CALL_METRICS: dict[str, Metric[Called]] = {
    "accuracy": Metric(
        "accuracy",
        _accuracy,
        "the share of clips that are called right; balanced, the mean of that for real and for fake clips",
    ),
    "balanced_accuracy": Metric("balanced accuracy", lambda called: (_recall_real(called) + _recall_fake(called)) / 2),
    "kappa": Metric(
        "Cohen's kappa",
        _kappa,
        "accuracy beyond what the same calls would reach by luck; 0 is luck, 1 is perfect",
        printed=False,
    ),
    "youden_j": Metric(
        "Youden's J",
        lambda called: _recall_real(called) + _recall_fake(called) - 1,
        "recall of fake plus recall of real minus 1; 0 is luck, 1 is perfect",
        printed=False,
    ),
    "precision_fake": Metric(
        "precision, fake",
        lambda called: _ratio(called.true_fake, called.called_fake),
        "of the clips called fake (or real), the share that are",
        printed=False,
    ),
    "recall_fake": Metric(
        "recall, fake", _recall_fake, "of the fake (or real) clips, the share called so", printed=False
    ),
    "f1_fake": Metric(
        "F1, fake",
        lambda called: _ratio(2 * called.true_fake, called.fakes + called.called_fake),
        "the harmonic mean of precision and recall",
    ),
    "precision_real": Metric(
        "precision, real", lambda called: _ratio(called.true_real, called.called_real), printed=False
    ),
    "recall_real": Metric("recall, real", _recall_real, printed=False),
    "f1_real": Metric(
        "F1, real", lambda called: _ratio(2 * called.true_real, called.reals + called.called_real), printed=False
    ),
}
"""Measures of the calls at a threshold."""


def title_of(name: str) -> str:
    """Returns the title of the metric called `name`."""
    return (SCORE_METRICS | CALL_METRICS)[name].title
