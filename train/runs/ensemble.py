"""Ensembles: finished runs that judge the same clips, joined into a run of their own."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit, logit

from base.commands import flag
from base.errors import UserError
from base.flags import option, required
from base.progress import say
from cache.profile import CropProfile, ForeignProfile, Profile, crops_of, differences, fingerprint, network_of
from cache.schema import VAL
from train.heads.ranking import roc_auc
from train.runs.contents import read_contents, write_run
from train.runs.folder import ENSEMBLE, choose_name
from train.runs.predictions import Predictions
from train.runs.recipe import EnsembleKind, Joined, RunConfig, run_digest

if TYPE_CHECKING:
    import keras

LEAST_PROBABILITY = 1e-6
"""Probabilities are kept this far from 0 and 1, so that their logits are finite."""
MOST_ROUNDS, NEAR = 20_000, 1e-6
"""Rounds of EM at most, and how far from the least log-loss, in nats, they may stop."""
FITTED_TWICE = (
    "The members' weights were fitted on the validation clips, on which threshold and temperature are chosen too, so "
    "these two are a little too sure of themselves; the test clips took no part."
)


@dataclass(frozen=True)
class EnsembleConfig:
    """Which runs to join, and how."""

    members: tuple[Path, ...] = required("run folders to join, as A,B,...")
    runs: Path = option(Path("runs"), "where the run folder goes")
    name: str | None = option(None, "name of the run folder (default: ensemble and kind)")
    kind: EnsembleKind = option(
        "average",
        "average: of probabilities; weighted: with the weights that are best on validation; stacked: a logistic "
        "regression on the members' logits, fitted on validation",
    )


def mixed(joined: Joined, probabilities: np.ndarray) -> np.ndarray:
    """Returns float64 (R,): what an ensemble makes of its members' probabilities of fake, float (M, R)."""
    if joined.kind == "stacked":
        return expit(np.array(joined.weights) @ _logits(probabilities) + joined.intercept)
    return np.array(joined.weights) @ probabilities


def ensemble(config: EnsembleConfig) -> Path:
    """Joins the members and returns the run folder; a UserError says where they do not fit together."""
    start = time.perf_counter()
    name = choose_name(config.runs, config.name, f"ensemble-{config.kind}")
    runs = [read_contents(folder) for folder in config.members]
    members = [run.predictions for run in runs]
    if len(members) < 2:
        raise UserError(f"an ensemble needs two runs or more; name them with {flag('members', 'A,B')}.")
    for folder, member in zip(config.members[1:], members[1:], strict=True):
        _require_same_clips(config.members[0], members[0], folder, member)
    judged = shared_profile(config.members, [run.config for run in runs])
    probabilities = np.array([member.probabilities for member in members])
    joined = fit_mixture(config.kind, probabilities, members[0])
    # Unlike the training clips of any member is unlike; where one does not know, the ensemble does not.
    distances = np.max([member.distances for member in members], axis=0)
    predictions = replace(members[0], probabilities=mixed(joined, probabilities), distances=distances)
    say(_comparison(config, members, joined, predictions))
    if config.kind != "average":
        say(FITTED_TWICE)
    contents = replace(
        runs[0],
        config=_config(config, joined, judged, [run.config for run in runs]),
        history={"epoch": np.zeros(0), "loss": np.zeros(0)},
        predictions=predictions,
        seconds=time.perf_counter() - start,
    )
    return write_run(config.runs / name, lambda _: contents)


def mix(networks: "Sequence[keras.Model]", ensemble: Joined) -> "keras.Model":
    """Returns `networks`, which take the same inputs by name, joined to one: inputs -> (B, 1)."""
    import keras

    inputs: dict[str, Any] = {
        one.name: keras.Input(one.shape[1:], dtype=one.dtype, name=one.name) for one in networks[0].inputs
    }
    # Members may have one name; layers of one network may not.
    members = [
        keras.Model({each.name: each for each in one.inputs}, one.output, name=f"member{number}")
        for number, one in enumerate(networks)
    ]
    joined = keras.layers.Concatenate()([member(inputs) for member in members])
    if ensemble.kind == "stacked":
        joined = keras.ops.clip(joined, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
        joined = keras.ops.subtract(keras.ops.log(joined), keras.ops.log(keras.ops.subtract(1.0, joined)))
    mixing = keras.layers.Dense(1, activation="sigmoid" if ensemble.kind == "stacked" else None, name="mixture")
    output = mixing(joined)
    mixing.set_weights([np.array(ensemble.weights)[:, None], np.array([ensemble.intercept])])
    return keras.Model(inputs, output, name=f"ensemble_{ensemble.kind}")


def fit_mixture(kind: EnsembleKind, probabilities: np.ndarray, clips: Predictions) -> Joined:
    """Returns how `kind` mixes the members' `probabilities` (M, R) of `clips`, fitted on their validation."""
    count = len(probabilities)
    if kind == "average":
        return Joined(kind, [1 / count] * count)
    rows = np.flatnonzero(clips.parts == VAL)
    labels = clips.labels[rows]
    if len(set(labels.tolist())) < 2:
        raise UserError(
            f"the runs have no validation part with both classes, which {kind} needs; use {flag('kind', 'average')}."
        )
    if kind == "weighted":
        return Joined(kind, mixture_weights(probabilities[:, rows], labels).tolist())
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit(_logits(probabilities[:, rows]).T, labels)
    return Joined(kind, model.coef_[0].tolist(), float(model.intercept_[0]))


def mixture_weights(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns float64 (M,), a sum of 1: the weights with which the mean of `probabilities` (M, R) has least log-loss.

    Dempster, Laird & Rubin, "Maximum likelihood from incomplete data via the EM algorithm", JRSS B 1977.
    """
    likelihoods = _of_truth(probabilities, labels)
    weights = np.full(len(probabilities), 1 / len(probabilities))
    for _ in range(MOST_ROUNDS):
        gains = (likelihoods / (weights @ likelihoods)).mean(axis=1)
        if gains.max() - 1 < NEAR:  # no other weights have a log-loss that is lower by more
            break
        weights = weights * gains
    # Near a single member the last steps are endless, so it is tried itself.
    choices = np.vstack([weights, np.eye(len(weights))])
    return choices[np.argmax(np.log(choices @ likelihoods).mean(axis=1))]


def _require_same_clips(one: Path, first: Predictions, other: Path, second: Predictions) -> None:
    if only := sorted(set(first.ids) ^ set(second.ids)):
        raise UserError(
            f"{one} and {other} do not judge the same clips: {len(only)} are in one of them alone, {only[0]!r} first; "
            "join runs of one data set and split."
        )
    if first.ids != second.ids or (first.labels != second.labels).any() or (first.parts != second.parts).any():
        raise UserError(f"{one} and {other} give their clips other labels, parts or order; join runs of one split.")


def shared_profile(members: Sequence[Path], configs: Sequence[RunConfig[Profile]]) -> CropProfile | ForeignProfile:
    """Returns the profile of the crops that all `members` judge, as their `configs` say; a UserError if they differ.

    Of features that another program made, it is theirs.
    """
    profiles = [one if isinstance(one := config.profile, ForeignProfile) else crops_of(one) for config in configs]
    for folder, profile in zip(members[1:], profiles[1:], strict=True):
        if network_of(profile) != network_of(profiles[0]):
            raise UserError(
                f"{members[0]} and {folder} judge what was made with {differences(profiles[0], profile)}; "
                "join runs of one set of crops."
            )
    return profiles[0]


def _config(
    config: EnsembleConfig, joined: Joined, judged: CropProfile | ForeignProfile, members: Sequence[RunConfig[Profile]]
) -> RunConfig[CropProfile | ForeignProfile]:
    """Returns the config of the ensemble of `members`, given by theirs."""
    folders = [folder.resolve() for folder in config.members]
    digests = [run_digest(folder) for folder in config.members]
    return RunConfig(
        kind=ENSEMBLE,
        config=asdict(config),
        ensemble=replace(joined, members=folders, digests=digests),
        profile=judged,
        fingerprint=fingerprint(judged),
        features=sorted({folder for member in members for folder in member.features_folders}, key=str),
        data_sets=members[0].data_sets,
        origin=members[0].origin,
        about=f"An ensemble, {config.kind}, of {len(members)} runs",
    )


def _comparison(config: EnsembleConfig, members: Sequence[Predictions], joined: Joined, whole: Predictions) -> str:
    """Returns a table of log-loss and ROC AUC on validation: a line a member, mean and spread, and the ensemble."""
    rows = np.flatnonzero(whole.parts == VAL)
    labels = whole.labels[rows]
    if not len(rows):
        return f"{len(members)} runs joined; there is no validation part to compare them on."
    probabilities = np.array([predictions.probabilities[rows] for predictions in (*members, whole)])
    losses, aucs = -np.log(_of_truth(probabilities, labels)).mean(axis=1), roc_auc(_logits(probabilities), labels)
    names = [folder.name for folder in config.members]
    lines = [f"{'on validation':<40}{'log-loss':>10}{'ROC AUC':>10}{'weight':>10}"]
    for name, loss, auc, weight in zip(names, losses, aucs, joined.weights, strict=False):
        lines.append(f"{name:<40}{loss:>10.4f}{auc:>10.3f}{weight:>10.3f}")
    alone = slice(0, len(names))
    lines.append(f"{'mean':<40}{losses[alone].mean():>10.4f}{aucs[alone].mean():>10.3f}")
    lines.append(f"{'standard deviation':<40}{losses[alone].std(ddof=1):>10.4f}{aucs[alone].std(ddof=1):>10.3f}")
    lines.append(f"{config.kind + ' of all':<40}{losses[-1]:>10.4f}{aucs[-1]:>10.3f}")
    return "\n".join(lines)


def _of_truth(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the probabilities of the true labels, from those of fake (M, R)."""
    return np.clip(np.where(labels == 1, probabilities, 1 - probabilities), LEAST_PROBABILITY, None)


def _logits(probabilities: np.ndarray) -> np.ndarray:
    return logit(np.clip(probabilities, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY))
