"""The stage: a features folder -> trained heads, one a seed, each in its run folder."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cache.cli import option, start_keras
from cache.schema import UserError
from train.data.split import SplitConfig, SplitKind
from train.data.training_set import Material, gather
from train.heads.architectures import HEADS, HeadConfig, require_buildable
from train.runs.ensemble import EnsembleConfig, ensemble
from train.runs.folder import free_name
from train.runs.trained import Trained, write_trained

if TYPE_CHECKING:
    from train.data.inputs import Inputs
    from train.heads.training import LearnConfig, Progress


@dataclass(frozen=True)
class FitConfig:
    """What to train, on what, and how."""

    features: Path | None = option(None, "features folder (default: the one below data/ that was extracted last)")
    runs: Path = option(Path("runs"), "where the run folder goes")
    name: str | None = option(None, "name of the run folder (default: head, backbone and split)")
    split: SplitKind = option(SplitConfig.kind, "who is tested on: the data set's list, other people, chance, a file")
    split_csv: Path | None = option(None, "for the split csv: a file with the columns id and part")
    split_seed: int = option(SplitConfig.seed, "seed of the split")
    val: float = option(SplitConfig.val, "share that validates, taken out of train by person")
    head: str = option(HeadConfig.head, "temporal head, one of " + ", ".join(HEADS))
    units: int = option(HeadConfig.units, "units of the head's layers over time")
    dropout: float = option(HeadConfig.dropout, "share of the clip's vector that is dropped in training")
    dense: int = option(HeadConfig.dense, "units of the dense layer")
    differences: bool = option(HeadConfig.differences, "give the head each frame's change since the one before, too")
    learning_rate: float = option(1e-3, "Adam's learning rate")
    weight_decay: float = option(0.0, "share of the weights, times the learning rate, that is taken off a step")
    components: int = option(0, "principal components of the features to learn from; 0 takes the features themselves")
    batch: int = option(32, "clips a batch")
    epochs: int = option(100, "epochs at most")
    patience: int = option(10, "epochs without a lower validation loss after which training stops")
    fixed_epochs: int = option(20, "epochs where there is no validation part")
    class_weights: bool = option(True, "let real and fake weigh the same, however many there are of each")
    seed: int = option(0, "seed of weights, dropout and order")
    seeds: int = option(1, "heads to train, with this seed and those after it; their ensemble is a run of its own")

    @property
    def split_config(self) -> SplitConfig:
        """The fields that decide the split."""
        return SplitConfig(self.split, self.split_seed, self.val, self.split_csv)

    @property
    def head_config(self) -> HeadConfig:
        """The fields that decide the network."""
        return HeadConfig(self.head, self.units, self.dropout, self.dense, self.differences)

    @property
    def shape(self) -> tuple:
        """What heads of one stack have in common."""
        return self.head, self.units, self.dense, self.differences, self.batch, self.components

    @property
    def learn_config(self) -> "LearnConfig":
        """The fields that decide the training."""
        from train.heads.training import LearnConfig

        names = [field.name for field in dataclasses.fields(LearnConfig)]
        return LearnConfig(**{name: getattr(self, name) for name in names})


def fit(config: FitConfig) -> Path:
    """Trains as `config` says; returns the run folder, that of the ensemble where there are several seeds.

    A UserError says what cannot be trained on.
    """
    check(config)
    material = gather(config.features, config.split_config)
    name = free_name(config.runs, config.name, f"{config.head}-{material.profile.backbone}-{config.split}")
    seeds = [
        dataclasses.replace(config, seed=config.seed + number, seeds=1, name=name if config.seeds == 1 else None)
        for number in range(config.seeds)
    ]
    names = [name] if config.seeds == 1 else [free_name(config.runs, f"{name}-seed{one.seed}", "") for one in seeds]
    trained = train_all(seeds, material)
    folders = [
        write_trained(config.runs / own, one, material, found)
        for own, one, found in zip(names, seeds, trained, strict=True)
    ]
    if len(folders) == 1:
        return folders[0]
    return ensemble(EnsembleConfig(tuple(folders), runs=config.runs, name=name))


def check(config: FitConfig) -> None:
    """Raises a UserError for numbers that nothing can be trained with."""
    require_buildable(config.head_config)
    least = min(config.batch, config.epochs, config.patience, config.fixed_epochs, config.seeds)
    never_negative = min(config.seed, config.split_seed, config.components, config.weight_decay)
    if least < 1 or not 0 < config.learning_rate < 10 or never_negative < 0:
        raise UserError(
            "batch, epochs, patience, fixed-epochs and seeds have to be 1 or above, the learning rate between 0 and "
            "10, seed, components and weight decay 0 or above; mend the flag."
        )


def train_all(configs: Sequence[FitConfig], material: Material) -> list[Trained]:
    """Returns the heads that `configs`, which differ in nothing that a stack has in common, ask for."""
    start_keras()
    from tqdm import tqdm

    from train.heads.training import Job, learn_many, require_numbers

    first, inputs = configs[0], inputs_of(configs[0], material)
    total = first.epochs if len(material.val) else first.fixed_epochs
    found: dict[int, Trained] = {}
    with tqdm(total=total, unit="epoch", desc="train", mininterval=0.5) as bar:
        jobs = [Job(config.head_config, config.learn_config, _shown_on(bar)) for config in configs]
        for job, progress in learn_many(jobs, inputs, material.train, material.val, len(jobs)):
            require_numbers(progress, job.learn)
            number = jobs.index(job)
            found[number] = finish(configs[number], progress, material)
            bar.write(_outcome(job.learn.seed, progress))
    return [found[number] for number in range(len(jobs))]


def inputs_of(config: FitConfig, material: Material) -> "Inputs":
    """Returns what the heads of the shape of `config` learn from. Keras has been started."""
    from train.heads.training import usable_components

    return material.inputs(usable_components(config.head_config, config.components))


def finish(config: FitConfig, progress: "Progress", material: Material) -> Trained:
    """Returns the head that `progress` led to, trained as `config` says, and what it says of all clips."""
    from train.heads.training import finished_head, predict

    head = finished_head(config.head_config, progress, inputs_of(config, material))
    said = predict(head, material.clips, material.used)
    return Trained(config.head_config, head, progress.history, said, material.baseline, progress.seconds)


def _shown_on(bar):
    def watch(progress: "Progress") -> bool:
        bar.update(progress.epochs - bar.n if progress.epochs > bar.n else 0)
        bar.set_postfix({name: f"{values[-1]:.4f}" for name, values in progress.history.items()}, refresh=False)
        return True

    return watch


def _outcome(seed: int, progress: "Progress") -> str:
    stopped = f"seed {seed}: {progress.epochs} epochs in {progress.seconds:.1f} s"
    if "val_loss" not in progress.history:
        return f"{stopped}; no validation part, the last weights are kept."
    loss, auc = (progress.best_value(name) for name in ("val_loss", "val_auc"))
    shown = "undefined" if np.isnan(auc) else f"{auc:.3f}"
    return f"{stopped}; the weights of epoch {progress.best} are kept (validation loss {loss:.4f}, ROC AUC {shown})."
