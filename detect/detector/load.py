"""Loads a run folder, or an export of one, as a detector."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from base.commands import flag
from base.errors import UserError
from base.keras_start import start_keras
from base.outside.content import is_regular
from cache.profile import FeatureProfile, Profile, crops_of
from detect.detector.config import DetectorConfig
from detect.detector.contract import exported_folder, is_export, needed_file, needed_recogniser
from detect.detector.judge import Detector
from detect.detector.networks import CropScorer, EnsembleScorer, FeatureScorer, Scorer, as_network
from detect.detector.portable import read_exported
from detect.detector.reference import read_reference, require_rate
from evaluate.results.about_run import about_run, about_several
from evaluate.results.read import METRICS, REPORT, find_temperature
from extract.backbones.engines import Engine, make_engine
from train.runs.folder import ENSEMBLE, PREDICTIONS, latest, newest_first
from train.runs.load import Run, build_and_load, load_head, require_head, run_of
from train.runs.neighbours_file import read_neighbours
from train.runs.predictions import Predictions, read_predictions
from train.runs.recipe import Joined, RunConfig, read_config, read_joined

if TYPE_CHECKING:
    import keras


def open_detector(
    folder: Path,
    weights: str | None = None,
    detector_file: Path | None = None,
    engine: str = "keras",
    recogniser_file: Path | None = None,
) -> Detector:
    """Returns the detector of the run in `folder`, run by `engine`.

    All engines but "keras" run an export of the run, without TensorFlow; `folder` may then be the export itself.
    `weights`, `detector_file` and `recogniser_file` are for files that have moved. A UserError says what is missing or
    does not fit.
    """
    if engine != "keras" or is_export(folder):
        if weights:
            raise UserError(f"an export has its weights inside; leave out {flag('weights')}.")
        return read_exported(exported_folder(folder, engine), detector_file, recogniser_file)
    config, predictions = read_config(folder), _predictions(folder)
    crops, temperature = crops_of(config.profile), predictions and find_temperature(predictions)
    file = detector_file or needed_file(crops, config.origin.detector_file)
    recogniser = recogniser_file or needed_recogniser(crops, config.origin.recogniser_file)
    about = about_run(folder, config, predictions)
    return Detector(crops, _scorer(folder, config, weights), temperature, file, about, recogniser)


def open_configured(config: DetectorConfig) -> Detector:
    """Returns the detector that `config` names, by default that of the newest run."""
    run = config.run or newest_evaluated()
    require_rate(config.false_alarms)
    known = config.reference and read_reference(run, config.reference, config.false_alarms, config.strict)
    files = config.weights, config.detector_file
    detector = open_detector(run, *files, config.engine, config.recogniser_file)
    return detector.beside(known) if known else detector


def newest() -> Path:
    """Returns the run below runs/ that was finished last; a UserError if there is none."""
    return latest(Path("runs"))


def newest_evaluated() -> Path:
    """Returns the run below runs/ that was finished last of those with a report; without any, that of all."""
    reported = [run for run in newest_first(Path("runs")) if is_regular(run / REPORT / METRICS)]
    return reported[0] if reported else newest()


def open_ensemble(
    folders: Sequence[Path],
    weights: str | None = None,
    detector_file: Path | None = None,
    recogniser_file: Path | None = None,
) -> Detector:
    """Returns the detector that judges by the mean probability of the runs in `folders`, which share their crops."""
    from train.runs.ensemble import crops_of_all

    if len(folders) < 2:
        raise UserError("an ensemble needs two runs or more; name them as --ensemble runs/a runs/b.")
    configs = [read_config(folder) for folder in folders]
    profile = crops_of_all(folders, configs)
    scorers = [_scorer(folder, config, weights) for folder, config in zip(folders, configs, strict=True)]
    about = about_several([about_run(folder, config, None) for folder, config in zip(folders, configs, strict=True)])
    origin = configs[0].origin
    file = detector_file or needed_file(profile, origin.detector_file)
    recogniser = recogniser_file or needed_recogniser(profile, origin.recogniser_file)
    return Detector(profile, EnsembleScorer(scorers, lambda all: all.mean(axis=0)), None, file, about, recogniser)


def _predictions(folder: Path) -> Predictions | None:
    """Returns what the run in `folder` said of its own clips, None if that file is not there."""
    return read_predictions(folder / PREDICTIONS) if (folder / PREDICTIONS).exists() else None


def _scorer(folder: Path, config: RunConfig[Profile], weights: str | None) -> Scorer:
    """Returns the scorer of the run in `folder`; `weights` are its backbone's, if they have moved.

    What can be checked without Keras is checked before Keras starts, which takes seconds.
    """
    if isinstance(config.profile, FeatureProfile):
        return _feature_scorer(run_of(folder, config), weights)
    if config.kind == ENSEMBLE:
        from train.runs.ensemble import mixed

        joined = read_joined(folder, config)
        members = [_scorer(member, read_config(member), weights) for member in joined.members]
        return EnsembleScorer(members, functools.partial(mixed, joined))
    from train.end_to_end.cnn3d import load_cnn3d

    if weights:
        raise UserError(f"{folder} judges crops without a backbone; leave out {flag('weights')}.")
    return CropScorer(as_network(load_cnn3d(folder, config)))


def build_networks(folder: Path, weights: str | None = None) -> dict[str, "keras.Model"]:
    """Returns the networks of the run in `folder`: the `detector`, and the `backbone` and `head` it is made of.

    The detector takes crops and mask. A run that takes crops directly has a detector alone. The head of an ensemble is
    made of its members' heads; a UserError for one whose members take different features.
    """
    from extract.backbones.networks import backbone_of, build_backbone, require_weights
    from train.end_to_end.cnn3d import load_cnn3d
    from train.end_to_end.finetune import join
    from train.runs.ensemble import mix

    profile, members, joined = judged(folder)
    if not isinstance(profile, FeatureProfile):
        return {"detector": load_cnn3d(*members[0])}
    runs = [run_of(*member) for member in members]
    file = require_weights(profile, weights or runs[0].weights, runs[0].folder)
    backbone = build_backbone(backbone_of(profile), file)
    heads = [load_head(run, profile) for run in runs]
    head = mix(heads, joined) if joined else heads[0]
    return {"detector": join(backbone, head), "backbone": backbone, "head": head}


def judged(folder: Path) -> tuple[Profile, list[tuple[Path, RunConfig[Profile]]], Joined | None]:
    """Returns the profile of what the run's networks judge, and the runs that judge: itself, or an ensemble's members.

    Each comes with its config. A UserError for an ensemble whose members take different features: these have no one
    network.
    """
    config = read_config(folder)
    if config.kind != ENSEMBLE:
        return config.profile, [(folder, config)], None
    joined = read_joined(folder, config)
    members = [(member, read_config(member)) for member in joined.members]
    profiles = [member.profile for _, member in members]
    if not isinstance(profiles[0], FeatureProfile) or any(other != profiles[0] for other in profiles[1:]):
        raise UserError(
            f"the members of {folder} do not all judge the same features, so it has no one network; name one of them."
        )
    return profiles[0], members, joined


def _feature_scorer(run: Run, weights: str | None) -> FeatureScorer:
    from extract.backbones.networks import BACKBONES, backbone_of, require_weights

    name, file = backbone_of(run.profile), require_weights(run.profile, weights or run.weights, run.folder)
    if run.size != BACKBONES[name].features:
        raise UserError(
            f"{run.folder} has a head for {run.size} features, and {name} gives {BACKBONES[name].features}; train the "
            "run again."
        )
    require_head(run)
    start_keras()
    # Keras, which the head needs anyway: converting to a faster engine takes longer than judging a few clips.
    engine = _engine(name, file, run.profile.precision)
    head, neighbours = as_network(build_and_load(run)), read_neighbours(run.folder)
    return FeatureScorer(engine, head, run.config.fingerprint, neighbours)


@functools.lru_cache(maxsize=4)
def _engine(backbone: str, weights: str, precision: str) -> Engine:
    """Returns one engine for all members of an ensemble that need it."""
    return make_engine(backbone, weights, 0, precision, "keras")
