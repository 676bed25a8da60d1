"""The stage: a features folder -> trained heads, one per seed, each in its run folder."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from base.errors import UserError
from base.flags import option
from base.keras_start import choose_backend, start_keras
from base.progress import doing, say
from train.data.split import SplitConfig, split_choices
from train.data.training_set import DataConfig, Features, TrainingSet, gather
from train.heads.architectures import HEADS, HeadConfig, Start, require_buildable
from train.runs.ensemble import EnsembleConfig, ensemble
from train.runs.folder import choose_name, free_name
from train.runs.live import Log, forget_live, live_folder, log_option
from train.runs.trained import Trained, write_trained

if TYPE_CHECKING:
    from train.data.inputs import Inputs
    from train.heads.jobs import HeadProgress, LearnConfig


@dataclass(frozen=True)
class FitConfig:
    """What to train, on what, and how."""

    features: Features | None = option(
        None, "features folder, or those of several data sets (default: the latest below data/)"
    )
    runs: Path = option(Path("runs"), "folder for the run folder")
    name: str | None = option(None, "name of the run folder (default: head, backbone and split)")
    split: str = option(
        SplitConfig.kind,
        "by the data set's test list, by person, at random, or by a file; auto: the first of these that there is",
        choices=split_choices,
    )
    split_csv: Path | None = option(None, "for the split csv: file with the columns id and part")
    split_seed: int = option(SplitConfig.seed, "seed of the split")
    val: float = option(SplitConfig.val, "share for validation: whole people out of train, never from test")
    test: float = option(SplitConfig.test, "share for test: whole people; identity split only")
    head: str = option(HeadConfig.head, "temporal head, one of " + ", ".join(HEADS))
    units: int = option(HeadConfig.units, "units of the head's layers over time")
    dropout: float = option(HeadConfig.dropout, "dropout rate of the clip's vector in training")
    dense: int = option(HeadConfig.dense, "units of the dense layer")
    differences: bool = option(HeadConfig.differences, "also give the head each frame's change since the previous one")
    start: Start = option(
        "baseline", "what the head starts from: the logistic regression, to which it learns to add, or nothing"
    )
    learning_rate: float = option(1e-3, "Adam's learning rate")
    weight_decay: float = option(0.0, "decoupled weight decay, as in AdamW")
    components: int = option(0, "principal components to learn from; 0 uses the features themselves")
    batch: int = option(32, "clips per batch")
    epochs: int = option(100, "maximum number of epochs")
    patience: int = option(10, "epochs without a lower validation loss before training stops")
    fixed_epochs: int = option(20, "epochs if there is no validation part")
    class_weights: bool = option(True, "weigh both classes the same, however many clips each has")
    same_people: Path | None = option(
        None, "of several data sets: CSV file with the columns dataset, person, as; others are different people"
    )
    kinds: tuple[str, ...] = option((), "kinds of fakes to train on, as A,B; the test part keeps all (default: all)")
    leave_out_kind: str = option("", "kind of fakes to test on alone, and to train without")
    data_set_weights: bool = option(False, "of several data sets, weigh all the same, however many clips each has")
    seed: int = option(0, "seed of initial weights, dropout and order of clips")
    seeds: int = option(1, "heads to train, with this seed and the following ones; their ensemble is a run of its own")
    log: Log = log_option()

    @property
    def data_config(self) -> DataConfig:
        """The fields that decide the clips."""
        return DataConfig(self.features, self.same_people, self.data_set_weights)

    @property
    def split_config(self) -> SplitConfig:
        """The fields that decide the split."""
        return SplitConfig(
            self.split, self.split_seed, self.val, self.split_csv, self.test, self.kinds, self.leave_out_kind
        )

    @property
    def head_config(self) -> HeadConfig:
        """The fields that decide the network."""
        return HeadConfig(self.head, self.units, self.dropout, self.dense, self.differences, self.start)

    @property
    def learn_config(self) -> "LearnConfig":
        """The fields that decide the training."""
        from train.heads.jobs import LearnConfig

        names = [field.name for field in dataclasses.fields(LearnConfig)]
        return LearnConfig(**{name: getattr(self, name) for name in names})


def as_in_fit(name: str) -> Any:
    """Returns the field `name` of `FitConfig`, for another config that has it too."""
    field = FitConfig.__dataclass_fields__[name]
    return option(field.default, field.metadata["help"])


def fit(config: FitConfig) -> Path:
    """Trains as `config` says; returns the run folder, or the folder of the ensemble if there are several seeds.

    Raises a UserError if the features or the settings cannot be trained on.
    """
    check(config)
    choose_backend()
    choose_name(config.runs, config.name, config.head)  # the default ends with the split, which is not known yet
    return fit_on(gather(config.data_config, config.split_config), config)


def fit_on(training_set: TrainingSet, config: FitConfig) -> Path:
    """Trains on `training_set` as `config` says; returns what `fit` does."""
    config = dataclasses.replace(config, split=training_set.split.kind)
    name = free_name(config.runs, config.name, f"{config.head}-{training_set.profile.backbone}-{config.split}")
    seeds = [
        dataclasses.replace(config, seed=config.seed + number, seeds=1, name=config.name if config.seeds == 1 else None)
        for number in range(config.seeds)
    ]
    names = [name] if config.seeds == 1 else [free_name(config.runs, f"{name}-seed{one.seed}", "") for one in seeds]
    with doing("fitting the baseline"):
        baseline = training_set.baseline  # which it keeps
    say(str(baseline))
    folders = [config.runs / own for own in names]
    for folder in folders:
        forget_live(folder)  # of a training that failed in this process
    trained = train_all(seeds, training_set, folders)
    folders = [
        write_trained(folder, one, training_set, head)
        for folder, one, head in zip(folders, seeds, trained, strict=True)
    ]
    if len(folders) == 1:
        return folders[0]
    return ensemble(EnsembleConfig(tuple(folders), runs=config.runs, name=name))


def check(config: FitConfig) -> None:
    """Raises a UserError if a setting of `config` is out of range."""
    require_buildable(config.head_config)
    least = min(config.batch, config.epochs, config.patience, config.fixed_epochs, config.seeds)
    never_negative = min(config.seed, config.split_seed, config.components, config.weight_decay)
    if least < 1 or not 0 < config.learning_rate < 10 or never_negative < 0:
        raise UserError(
            "batch, epochs, patience, fixed epochs and seeds must be 1 or above, the learning rate above 0 and below "
            "10, and seeds of split and training, components and weight decay 0 or above; correct the flag."
        )


def train_all(configs: Sequence[FitConfig], training_set: TrainingSet, folders: Sequence[Path] = ()) -> list[Trained]:
    """Returns one trained head for each of `configs`, which must agree in head shape, batch and components.

    `folders` are those that their runs will have, for who watches them.
    """
    start_keras()
    from base.progress import progress_bar
    from train.heads.jobs import HeadJob
    from train.heads.training import learn_many, require_numbers
    from train.runs.notes import all_of, logging

    first, inputs = configs[0], inputs_of(configs[0], training_set)
    total = first.epochs if len(training_set.val) else first.fixed_epochs
    trained: dict[int, Trained] = {}
    with progress_bar(total=total, unit="epoch", desc="train") as bar:
        shown = _show_on(bar)
        logs = [logging(config.log, live_folder(folder)) for config, folder in zip(configs, folders, strict=False)]
        notes = [all_of(shown, log) for log in logs] or [shown] * len(configs)
        jobs = [
            HeadJob(config.head_config, config.learn_config, note=note)
            for config, note in zip(configs, notes, strict=True)
        ]
        for job, progress in learn_many(jobs, inputs, training_set.train, training_set.val, len(jobs)):
            require_numbers(progress, job.learn)
            number = jobs.index(job)
            trained[number] = finish(configs[number], progress, training_set)
            say(_outcome(job.learn.seed, job.learn.class_weights, progress))
    return [trained[number] for number in range(len(jobs))]


def inputs_of(config: FitConfig, training_set: TrainingSet) -> "Inputs":
    """Returns the inputs of heads with the shape of `config`. Keras must have been started."""
    from train.heads.training import usable_components

    components = usable_components(config.head_config, config.components)
    return training_set.inputs(components, config.start == "baseline")


def finish(config: FitConfig, progress: "HeadProgress", training_set: TrainingSet) -> Trained:
    """Returns the head of `progress`, trained as `config` says, with its probabilities for all clips of the split."""
    from train.heads.training import finished_head, predict

    head = finished_head(config.head_config, progress, inputs_of(config, training_set))
    probabilities = predict(head, training_set.clips, training_set.used)
    baseline = training_set.baseline.probabilities(training_set.used)
    return Trained(
        config.head_config, head, progress.history, probabilities, baseline, progress.seconds, progress.first
    )


def _show_on(bar):
    def note(progress: "HeadProgress") -> None:
        bar.update(progress.epochs - bar.n if progress.epochs > bar.n else 0)
        bar.set_postfix({name: f"{values[-1]:.4f}" for name, values in progress.history.items()}, refresh=False)

    return note


def _outcome(seed: int, class_weights: bool, progress: "HeadProgress") -> str:
    summary = f"seed {seed}: {progress.epochs} epochs in {progress.seconds:.1f} s"
    if progress.best == 0:
        return f"{summary}; none was better than the baseline on validation, so the head is the baseline."
    if "val_loss" not in progress.history:
        return f"{summary}; there is no validation part, so the last weights are kept."
    loss, auc = (progress.best_value(name) for name in ("val_loss", "val_auc"))
    area = "undefined" if np.isnan(auc) else f"{auc:.3f}"
    # The log-loss of a report counts each clip once, so the two differ where the classes do.
    weighed = ", both classes weighing the same" if class_weights else ""
    reached = f"validation loss {loss:.4f}{weighed}, ROC AUC {area}"
    return f"{summary}; the weights of epoch {progress.best} are kept ({reached})."
