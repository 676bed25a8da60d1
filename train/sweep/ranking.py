"""What ranks trials: ROC AUC on validation, of one part or as a mean over folds, its error, and the baseline's."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from base.commands import flag
from base.errors import UserError
from cache.schema import TRAIN, VAL
from train.cross_validate import fold_set
from train.data.folds import FOLDS, Deal
from train.data.split import DROPPED, owner
from train.data.training_set import TrainingSet
from train.heads.ranking import roc_auc
from train.sweep.config import LEAST_CLIPS, LEAST_PEOPLE, SweepConfig
from train.sweep.leaderboard import BASELINE

if TYPE_CHECKING:
    from train.heads.jobs import Fold


def number_of_folds(config: SweepConfig, training_set: TrainingSet) -> int:
    """Returns how many folds rank the trials; 1 stands for the validation part.

    A UserError says that neither folds nor the validation part can rank any.
    """
    labels = training_set.contents.labels[training_set.val]
    people = {owner(training_set.contents.records[row]) for row in training_set.val}
    few = min(np.bincount(labels, minlength=2)) < LEAST_CLIPS or len(people) < LEAST_PEOPLE
    wished = config.folds or (FOLDS if few else 1)
    if wished > 1:
        try:
            return len(ranking_sets(training_set, wished, config.split_seed))
        except UserError:
            if config.folds or len(set(labels.tolist())) < 2:
                raise
    if len(set(labels.tolist())) < 2:
        raise UserError(
            f"the {training_set.split.kind} split has {len(training_set.val)} validation videos, and a sweep needs "
            f"both classes there to rank trials; use {flag('folds', FOLDS)}, another {flag('split')}, a larger "
            f"{flag('val')}, or your own parts with {flag('split', 'csv')}."
        )
    return 1


def ranking_sets(training_set: TrainingSet, folds: int, seed: int) -> list[TrainingSet]:
    """Returns the clips with the parts that trials are trained and ranked on, for each of so many folds.

    Each person outside test is validated on once, by heads that saw that person neither as target nor as donor.
    """
    if folds == 1:
        return [training_set]
    records = training_set.contents.records
    inside = [records[row] for row in training_set.rows(TRAIN, VAL) if not records[row].is_blend]
    sets = []
    for parts in Deal(inside, "person", folds, seed).held_out():
        named = dict(zip((record.id for record in inside), parts, strict=True))
        everything = [named.get(record.id, DROPPED) for record in records if not record.is_blend]
        sets.append(fold_set(training_set.contents, everything, training_set.split.kind, training_set.even))
    return sets


def clips_of_each_class(fold: "Fold | TrainingSet") -> tuple[int, int]:
    """Returns how many real and fake clips `fold` validates on."""
    clips = fold.clips if isinstance(fold, TrainingSet) else fold.inputs.clips
    reals, fakes = np.bincount(clips.labels[fold.val], minlength=2).tolist()
    return reals, fakes


def score(areas: Sequence[float], losses: Sequence[float], clips: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """Returns the mean ROC AUC of the folds, its standard error, their mean loss, and the ROC AUC of each.

    `clips` are the real and fake clips of each fold; one that lacks a class has no ROC AUC. The error is what the folds
    differ by, and at least what their clips leave open.
    """
    known = [(area, *counts) for area, counts in zip(areas, clips, strict=True) if not math.isnan(area)]
    own = np.array([area for area, _, _ in known])
    error = float(np.sqrt(sum(auc_error(*one) ** 2 for one in known))) / len(known)
    if len(known) > 1:
        error = max(error, float(own.std(ddof=1)) / math.sqrt(len(known)))
    return {
        "val_auc": float(own.mean()),
        "val_auc_error": error,
        "val_loss": float(np.mean(losses)),
        "val_aucs": own.tolist(),
    }


def auc_error(auc: float, reals: int, fakes: int) -> float:
    """Returns the standard error of a ROC AUC, at 0 and 1 as if half a pair were otherwise.

    Hanley & McNeil, Radiology 1982.
    """
    half = 0.5 / (reals * fakes)
    auc = min(max(auc, half), 1 - half)
    more_fake, more_real = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (fakes - 1) * (more_fake - auc**2) + (reals - 1) * (more_real - auc**2)
    return float(np.sqrt(max(spread, 0.0) / (reals * fakes)))


def baseline_row(sets: Sequence[TrainingSet]) -> dict[str, Any]:
    """Returns the row of the logistic regression on the leaderboard, ranked as trials are."""
    areas, losses = [], []
    for one in sets:
        labels, logits = one.clips.labels[one.val], one.baseline.logits[one.val]
        weights = one.clips.weights(one.train)[one.val]
        areas.append(float(roc_auc(logits[None], labels)[0]))
        losses.append(float((weights * (np.logaddexp(0, logits) - labels * logits)).mean()))
    found = score(areas, losses, [clips_of_each_class(one) for one in sets])
    return {"trial": BASELINE, "state": BASELINE, "head": "logistic regression", **found}


def in_order(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Returns the `rows` of the leaderboard, best first: ties in ROC AUC go to the lower loss."""

    def key(row: Mapping[str, Any]) -> tuple[bool, float, float]:
        area = row.get("val_auc")
        done = row["state"] in ("complete", BASELINE)
        return not done, 1.0 if area is None else -round(area, 9), row.get("val_loss") or 0.0

    return sorted(rows, key=key)


def conclusion(trials: Sequence[Mapping[str, Any]], baseline: Mapping[str, Any]) -> str:
    """Returns in a sentence whether any finished trial differs clearly from the baseline in ROC AUC."""
    done = [row for row in trials if row["state"] == "complete"]
    if not done:
        return "No trial was finished."
    limit = 0.025 / len(done)
    better = [row for row in done if _p_value(row, baseline) < limit and row["val_auc"] > baseline["val_auc"]]
    worse = [row for row in done if _p_value(row, baseline) < limit and row["val_auc"] < baseline["val_auc"]]
    if better:
        return f"{len(better)} of {len(done)} finished trials are clearly better than the baseline."
    if len(worse) == len(done):
        return "Every finished trial is clearly worse than the baseline."
    return "No trial is clearly better than the baseline: what ranks them may be luck."


def _p_value(row: Mapping[str, Any], baseline: Mapping[str, Any]) -> float:
    """Returns the one-sided p-value of the difference of a trial and the baseline.

    Of folds, Student's t on the differences within each; of one part, as if both had been measured apart, which says
    too little rather than too much.
    """
    from scipy.stats import norm, t

    difference = abs(row["val_auc"] - baseline["val_auc"])
    own, other = (np.array(each.get("val_aucs", ())) for each in (row, baseline))  # earlier studies do not have them
    if len(own) < 2:
        return float(norm.sf(difference / math.hypot(row["val_auc_error"], baseline["val_auc_error"])))
    spread = float((own - other).std(ddof=1)) / math.sqrt(len(own))
    return float(t.sf(difference / spread, len(own) - 1)) if spread else 1.0
