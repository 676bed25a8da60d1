"""Loads a run folder, or an export of one, as a detector."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from base.commands import flag
from base.errors import UserError
from base.keras_start import start_keras
from base.outside.content import checksum, is_regular
from base.progress import doing
from cache.profile import FeatureProfile, Profile, crops_of, uses_regions
from cache.schema import FRAMES
from detect.detector.config import DetectorConfig
from detect.detector.contract import EXPORTS, exported_folder, is_export
from detect.detector.converted import AUTO, KERAS, NotConverted, converted, is_converted, quickest
from detect.detector.face_files import face_files
from detect.detector.judge import Detector
from detect.detector.networks import CropScorer, EnsembleScorer, FeatureScorer, Scorer, as_network
from detect.detector.portable import on_frames, read_exported
from detect.detector.reference import read_reference, require_rate
from evaluate.results.about_run import about_run, about_several
from evaluate.results.read import METRICS, REPORT, find_temperature
from extract.backbones.engines import Engine, backbone_key, make_engine
from train.runs.folder import ENSEMBLE, PREDICTIONS, WEIGHTS, latest, newest_first
from train.runs.load import Run, build_and_load, load_head, require_head, require_intact, run_of
from train.runs.neighbours_file import read_neighbours
from train.runs.predictions import Predictions, read_predictions
from train.runs.recipe import Joined, RunConfig, read_config, read_joined
from train.runs.replay import Network

if TYPE_CHECKING:
    import keras


def open_detector(
    folder: Path,
    weights: str | None = None,
    detector_file: Path | None = None,
    engine: str = AUTO,
    recogniser_file: Path | None = None,
) -> Detector:
    """Returns the detector of the run in `folder`, or of an export of one, run by `engine`.

    All engines but "keras" need no TensorFlow, once they have the run's networks: those of an export, or converted at
    the first call and kept. "auto" is the one that starts fastest of those that are installed. `weights`,
    `detector_file` and `recogniser_file` are for files that have moved. A UserError says what is missing or does not
    fit.
    """
    if is_export(folder) or (engine not in (AUTO, KERAS) and is_export(folder / EXPORTS / engine)):
        if weights:
            raise UserError(f"an export has its weights inside; leave out {flag('weights')}.")
        return read_exported(exported_folder(folder, engine), detector_file, recogniser_file)
    config, predictions = read_config(folder), _predictions(folder)
    crops, temperature = crops_of(config.profile), predictions and find_temperature(predictions)
    file, recogniser = face_files(crops, config.origin, detector_file, recogniser_file)
    about = about_run(folder, config, predictions)
    return Detector(crops, _scorer(folder, config, weights, engine), temperature, file, about, recogniser)


def open_configured(config: DetectorConfig) -> Detector:
    """Returns the detector that `config` names, by default that of the newest run."""
    run = config.run or newest_evaluated()
    require_rate(config.false_alarms)
    known = config.reference and read_reference(run, config.reference, config.false_alarms, config.strict)
    files = config.weights, config.detector_file
    with doing(f"loading {run}"):
        detector = open_detector(run, *files, config.engine, config.recogniser_file)
    return detector.beside(known) if known else detector


def newest_evaluated() -> Path:
    """Returns the run below runs/ that was finished last of those with a report; without any, that of all."""
    reported = [run for run in newest_first(Path("runs")) if is_regular(run / REPORT / METRICS)]
    return reported[0] if reported else latest(Path("runs"))


def open_ensemble(
    folders: Sequence[Path],
    weights: str | None = None,
    detector_file: Path | None = None,
    recogniser_file: Path | None = None,
    engine: str = AUTO,
) -> Detector:
    """Returns the detector that judges by the mean probability of the runs in `folders`, which share their crops."""
    from train.runs.ensemble import shared_profile

    if len(folders) < 2:
        raise UserError("an ensemble needs two runs or more; name them as --ensemble runs/a runs/b.")
    configs = [read_config(folder) for folder in folders]
    profile = crops_of(shared_profile(folders, configs))
    scorers = [_scorer(folder, config, weights, engine) for folder, config in zip(folders, configs, strict=True)]
    about = about_several([about_run(folder, config, None) for folder, config in zip(folders, configs, strict=True)])
    file, recogniser = face_files(profile, configs[0].origin, detector_file, recogniser_file)
    return Detector(profile, EnsembleScorer(scorers, lambda all: all.mean(axis=0)), None, file, about, recogniser)


def _predictions(folder: Path) -> Predictions | None:
    """Returns what the run in `folder` said of its own clips, None if that file is not there."""
    return read_predictions(folder / PREDICTIONS) if (folder / PREDICTIONS).exists() else None


def _scorer(folder: Path, config: RunConfig[Profile], weights: str | None, engine: str) -> Scorer:
    """Returns the scorer of the run in `folder`; `weights` are its backbone's, if they have moved.

    What can be checked without Keras is checked before Keras starts, which takes seconds.
    """
    if config.kind == ENSEMBLE and not isinstance(config.profile, FeatureProfile):
        from train.runs.ensemble import mixed

        joined = read_joined(folder, config)
        members = [_scorer(member, read_config(member), weights, engine) for member in joined.members]
        return EnsembleScorer(members, functools.partial(mixed, joined))
    if engine == AUTO:
        try:
            return _scorer(folder, config, weights, quickest())
        except NotConverted:
            return _scorer(folder, config, weights, KERAS)
    if isinstance(config.profile, FeatureProfile):
        return _feature_scorer(run_of(folder, config), weights, engine)
    if weights:
        raise UserError(f"{folder} judges crops without a backbone; leave out {flag('weights')}.")
    return CropScorer(_crops_network(folder, config, engine))


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
    crops_of(config.profile)  # refuses what nothing here can make of a clip
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


def _feature_scorer(run: Run, weights: str | None, engine: str) -> FeatureScorer:
    from extract.backbones.networks import BACKBONES, backbone_of, require_weights

    name, file = backbone_of(run.profile), weights or run.weights
    if run.profile.precision != "float32":
        engine = KERAS  # which computes in it
    # A network that is kept needs no file of weights; one that somebody names is looked at all the same.
    if weights or not is_converted(engine, backbone_key(name, run.profile.weights)):
        require_weights(run.profile, file, run.folder)
    if run.size != BACKBONES[name].features:
        raise UserError(
            f"{run.folder} has a head for {run.size} features, and {name} gives {BACKBONES[name].features}; train the "
            "run again."
        )
    head = _head(run, engine)
    return FeatureScorer(_engine(run.profile, file, engine), head, run.config.fingerprint, read_neighbours(run.folder))


@functools.lru_cache(maxsize=4)
def _engine(profile: FeatureProfile, weights: str, engine: str) -> Engine:
    """Returns one engine for all members of an ensemble that need it."""
    from extract.backbones.networks import backbone_of, build_backbone

    name = backbone_of(profile)
    if engine == KERAS:
        return make_engine(name, weights, 0, profile.precision, KERAS)

    def build() -> "keras.Model":
        start_keras()
        return build_backbone(name, weights)

    network = converted(engine, backbone_key(name, profile.weights), build)
    return Engine(on_frames(network, uses_regions(profile)), FRAMES, engine)


def _head(run: Run, engine: str) -> Network:
    def build() -> "keras.Model":
        require_head(run)
        return build_and_load(run)

    key = {"head": asdict(run.head), "size": run.size}
    return _saved_network(run.folder / WEIGHTS, run.config, engine, key, build)


def _crops_network(folder: Path, config: RunConfig[Profile], engine: str) -> Network:
    from train.end_to_end.cnn3d import WEIGHTS, load_cnn3d

    key = {"network": config.network and asdict(config.network)}
    return _saved_network(folder / WEIGHTS, config, engine, key, lambda: load_cnn3d(folder, config))


def _saved_network(
    weights: Path,
    config: RunConfig[Profile],
    engine: str,
    key: Mapping[str, object],
    build: "Callable[[], keras.Model]",
) -> Network:
    """Returns the network of a run that has its own file of `weights`, for `engine`."""
    if engine == KERAS:
        return as_network(build())
    require_intact(weights, 0)
    network = converted(engine, {**key, "weights": checksum(weights)}, build)
    if config.replay and (damage := config.replay.damage(network, config.replay.clip(regions=False))):
        raise NotConverted(
            f"{weights}, converted for {engine}, is another network ({damage}); use {flag('engine', KERAS)}."
        )
    return network
