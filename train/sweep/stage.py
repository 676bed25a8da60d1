"""The sweep: hundreds of heads trained in stacks, the worse ones stopped early, the best written as ordinary runs."""

import functools
import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from base.commands import flag
from base.files import make_folder, require_writable, writing
from base.keras_start import choose_backend, start_keras
from base.machine.memory import out_of_memory
from base.progress import doing, say
from cache.schema import TRAIN, VAL
from train.cross_validate import as_folds
from train.data.split import SplitConfig, owner
from train.data.training_set import DataConfig, TrainingSet, gather
from train.runs.folder import listed_name, require_name
from train.runs.live import LIVE
from train.sweep.best_runs import Winner, write_winners
from train.sweep.config import VALUES, SweepConfig, require_sensible
from train.sweep.leaderboard import Summary, write_leaderboard
from train.sweep.ranking import baseline_row, clips_of_each_class, conclusion, in_order, number_of_folds, ranking_sets
from train.sweep.running import Draw, RunningPage
from train.sweep.storage import shown, storage_errors, storage_of
from train.sweep.watched import WatchedTrial

if TYPE_CHECKING:
    from tqdm import tqdm

    from train.heads.jobs import Fold, HeadJob, HeadProgress
    from train.sweep.study import Group, Trials


def sweep(config: SweepConfig, draw: Draw | None = None) -> Path:
    """Runs trials until there are `trials`, writes the leaderboard and the best runs; returns the sweep's folder.

    `draw` writes its page while it runs. Raises a UserError if the features or the settings cannot be swept.
    """
    for name, folder in (("sweeps", config.sweeps), ("runs", config.runs)):
        require_writable(folder, f"choose another {flag(name)}")
        require_name(config.name, folder)
    from train.sweep.study import alone, as_values, importances, open_study, results

    config = replace(config, storage=storage_of(config.storage))
    require_sensible(config)
    choose_backend()
    training_set = _training_set(config)
    config = replace(config, folds=number_of_folds(config, training_set))
    config = replace(config, name=listed_name(make_folder(config.folder)))  # it resumes what lies there
    start = time.perf_counter()
    _say_what_ranks(config, training_set)
    with writing(config.folder), alone(config.folder), storage_errors(config.study_config().storage):
        progress = _try_all(config, training_set, draw)
        study = open_study(config.study_config(), _made_for(config, training_set))
        trials = in_order(results(study))
        baseline = baseline_row(_ranking_sets(config))
        summary = Summary(
            config=as_values(replace(config, storage=config.storage and shown(config.storage))),
            made_for=_made_for(config, training_set),
            importances=importances(study),
            seconds=round(time.perf_counter() - start, 1),
            runs=_write_best(config, training_set, trials, progress),
            folds=config.folds or 1,
            conclusion=conclusion(trials, baseline),
        )
        write_leaderboard(config.folder, in_order([*trials, baseline]), summary)
    return config.folder


def _say_what_ranks(config: SweepConfig, training_set: TrainingSet) -> None:
    if config.folds == 1:
        with doing("fitting the baseline"):
            baseline = training_set.baseline  # which it keeps
        say(str(baseline))
        return
    people = len({owner(training_set.contents.records[row]) for row in training_set.rows(TRAIN, VAL)})
    say(f"Trials are ranked by the mean over {config.folds} folds of the {people} people outside the test part.")


def _training_set(config: SweepConfig) -> TrainingSet:
    return _gathered(*_clips_of(config))


def _ranking_sets(config: SweepConfig) -> list[TrainingSet]:
    """Returns the clips with the parts that trials are trained and ranked on: one set, or one for each fold."""
    return _dealt(*_clips_of(config), config.folds or 1)


def _clips_of(config: SweepConfig) -> tuple[DataConfig, SplitConfig]:
    every = config.fit_config({}, config.seed)
    return every.data_config, every.split_config


@functools.lru_cache(maxsize=1)
def _gathered(data: DataConfig, split: SplitConfig) -> TrainingSet:
    return gather(data, split)


@functools.lru_cache(maxsize=1)
def _dealt(data: DataConfig, split: SplitConfig, folds: int) -> list[TrainingSet]:
    return ranking_sets(_gathered(data, split), folds, split.seed)


def _made_for(config: SweepConfig, training_set: TrainingSet) -> dict[str, Any]:
    """Returns the settings and data that all trials of a study share."""
    from train.sweep.study import as_values

    names = (
        "dense",
        "start",
        "components",
        "batch",
        "epochs",
        "patience",
        "first_rung",
        "factor",
        "seed",
        "sampler",
        "points",
        "folds",
        "data_set_weights",
    )
    parts = repr(
        [
            (record.id, part)
            for record, part in zip(training_set.contents.records, training_set.split.parts, strict=True)
        ]
    )
    clips = hashlib.sha256(parts.encode()).hexdigest()[:12]
    data = {"features": training_set.contents.fingerprint, "videos and parts": clips}
    return data | {name: getattr(config, name) for name in names} | as_values(config.space)


def _try_all(config: SweepConfig, training_set: TrainingSet, draw: Draw | None) -> "dict[int, HeadProgress]":
    """Runs the missing trials; returns the progress of the best of them, by number."""
    import joblib

    from train.sweep.study import open_study

    open_study(config.study_config(), _made_for(config, training_set))
    groups = config.space.groups
    counts = [config.trials // len(groups) + (number < config.trials % len(groups)) for number in range(len(groups))]
    start_keras()  # also where others train: the heads that come back are of Keras
    with joblib.parallel_config(config.backend if config.jobs > 1 else "loky", n_jobs=config.jobs):
        groups_progress: Any = joblib.Parallel()(
            joblib.delayed(try_group)(config, group, count, draw) for group, count in zip(groups, counts, strict=True)
        )
    return {number: progress for one in groups_progress for number, progress in one.items()}


def try_group(config: SweepConfig, group: "Group", count: int, draw: Draw | None = None) -> "dict[int, HeadProgress]":
    """Runs trials of one shape until the study has `count`; returns the progress of the best of them, by number."""
    start_keras()
    from train.heads.memory import slots_that_fit
    from train.sweep.study import Trials, open_study

    first = config.fit_config(group, config.seed)
    study = open_study(config.study_config(), _made_for(config, _training_set(config)))
    trials = Trials(study, config.study_config(), config.space, group, count)
    if config.storage is None or config.adopt:
        trials.adopt()
    folds = as_folds(first, _ranking_sets(config))
    places = config.places if len(folds) == 1 else 2 * config.places  # more, and few would wait for the last heads
    wanted = min(places, count * len(folds))
    slots = slots_that_fit(wanted, first.head_config, folds[0].inputs, config.batch)
    best: dict[int, HeadProgress] = {}
    page = RunningPage(draw, config.folder, config.trials)
    while True:
        try:
            _train_trials(config, trials, folds, slots, best, page)
            return best
        except Exception as error:
            if slots == 1 or not out_of_memory(error):
                raise
        slots //= 2
        say(f"memory is short: training {slots} trials side by side from here on.")


def _train_trials(
    config: SweepConfig,
    trials: "Trials",
    folds: "list[Fold]",
    slots: int,
    best: "dict[int, HeadProgress]",
    page: RunningPage,
) -> None:
    """Runs trials until none are left, and keeps the progress of the best complete ones in `best`.

    A trial ranked by folds has one head in each, and none that is trained as a run is; so nothing of it is kept.
    """
    from optuna.trial import TrialState

    from base.progress import progress_bar
    from train.heads.training import learn_folds

    clips = [clips_of_each_class(fold) for fold in folds]
    watched: dict[HeadJob, WatchedTrial] = {}
    total, ended = trials.left, 0
    with progress_bar(total=total * len(folds) * config.epochs, unit="epoch", desc=trials.title) as bar:
        jobs = _jobs(config, trials, len(folds), watched, bar)
        for job, progress in learn_folds(jobs, folds, slots):
            bar.update(config.epochs - progress.epochs)
            trial = watched.pop(job)
            if not trial.end(job.fold, progress):
                continue
            ended += 1
            bar.set_postfix_str(f"{ended} of {total} trials", refresh=False)
            state = TrialState.FAIL if trial.broken else TrialState.PRUNED if trial.pruned else TrialState.COMPLETE
            trials.tell(trial.trial, state, trial.result(job.learn.seed, clips))
            if state == TrialState.COMPLETE and len(folds) == 1:
                best[trial.trial.number] = progress
                if len(best) > config.best:
                    best.pop(min(best, key=lambda number: _rank(best[number])))
            page.look(lambda: in_order([*trials.results, baseline_row(_ranking_sets(config))]), len(folds))


def _rank(progress: "HeadProgress") -> tuple[float, float]:
    return progress.best_value("val_auc"), -progress.best_value("val_loss")


def _jobs(
    config: SweepConfig, trials: "Trials", folds: int, watched: "dict[HeadJob, WatchedTrial]", bar: "tqdm"
) -> "Iterator[HeadJob]":
    from train.heads.jobs import HeadJob
    from train.runs.notes import advancing, all_of, logging

    for trial, values in trials:
        fitted = config.fit_config(values, config.seed + trial.number)
        watch = WatchedTrial(trial, config, folds)
        for fold in range(folds):
            log = logging(config.log, config.folder / LIVE / f"trial-{trial.number}" / (f"fold-{fold}" * (folds > 1)))
            look, note = functools.partial(watch.look, fold), all_of(advancing(bar), log)
            job = HeadJob(fitted.head_config, fitted.learn_config, look, fold, note)
            watched[job] = watch
            yield job


def _write_best(
    config: SweepConfig,
    training_set: TrainingSet,
    ranked: Sequence[Mapping[str, Any]],
    progress: "dict[int, HeadProgress]",
) -> list[Path]:
    made_for = {"sweep": config.name, **_made_for(config, training_set)}
    winners = [
        Winner(
            row["trial"],
            config.fit_config({name: row[name] for name in VALUES}, row["seed"]),
            made_for | {"trial": row["trial"]},
            progress.get(row["trial"]),
        )
        for row in ranked[: config.best]
        if row["state"] == "complete"
    ]
    return write_winners(config.runs, config.name, winners, training_set)
