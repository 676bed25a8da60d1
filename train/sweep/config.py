"""The config of a sweep, and the checks of its ranges."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from base.commands import flag
from base.errors import UserError
from base.flags import option
from train.data.folds import FOLDS
from train.data.split import SplitConfig, split_choices
from train.data.training_set import Features
from train.fit import FitConfig, as_in_fit, check
from train.heads.architectures import HEADS, Start
from train.runs.live import Log, log_option
from train.sweep.storage import VARIABLE

if TYPE_CHECKING:
    from train.sweep.study import Space, StudyConfig

LEAST_PEOPLE, LEAST_CLIPS = 8, 32
"""Below so many people or clips of a class in validation, a sweep chooses by folds: `benchmarks.choosing` says why."""
VALUES = ("head", "units", "differences", "learning_rate", "dropout", "weight_decay")
"""The values that a trial decides, by the names of their fields in FitConfig."""


@dataclass(frozen=True)
class SweepConfig:
    """What to try, on what, and how."""

    features: Features | None = as_in_fit("features")
    sweeps: Path = option(Path("sweeps"), "folder for the sweep's folder: its study, leaderboard and figures")
    runs: Path = option(Path("runs"), "folder for the run folders of the best")
    name: str = option("sweep", "name of the sweep; an existing name resumes that sweep")
    trials: int = option(64, "trials in total, including those of earlier calls")
    heads: tuple[str, ...] = option(("lstm",), "heads to try, of " + ", ".join(HEADS))
    units: tuple[int, ...] = option((32, 64, 128), "units to try")
    differences: tuple[int, ...] = option((0,), "0: without each frame's change, 1: with it, 0,1: try both")
    learning_rate: tuple[float, ...] = option((3e-4, 1e-2), "lowest and highest learning rate")
    dropout: tuple[float, ...] = option((0.0, 0.6), "lowest and highest dropout")
    weight_decay: tuple[float, ...] = option((1e-6, 1e-1), "lowest and highest weight decay")
    sampler: Literal["tpe", "random", "grid"] = option("tpe", "how values are proposed")
    points: int = option(3, "for the grid: number of values in each range")
    split: str = option(
        SplitConfig.kind,
        "split whose validation part ranks the trials; its test part is never read",
        choices=split_choices,
    )
    split_csv: Path | None = as_in_fit("split_csv")
    split_seed: int = as_in_fit("split_seed")
    val: float = as_in_fit("val")
    test: float = as_in_fit("test")
    folds: int | None = option(
        None,
        "folds of the people outside test, whose mean ranks the trials; 1: validation alone ranks them (default: "
        f"{FOLDS} where validation has fewer than {LEAST_PEOPLE} people or {LEAST_CLIPS} clips of a class, else 1)",
    )
    dense: int = as_in_fit("dense")
    start: Start = as_in_fit("start")
    components: int = option(256, "principal components to learn from; 0 uses the features themselves")
    batch: int = as_in_fit("batch")
    same_people: Path | None = as_in_fit("same_people")
    kinds: tuple[str, ...] = as_in_fit("kinds")
    leave_out_kind: str = as_in_fit("leave_out_kind")
    data_set_weights: bool = as_in_fit("data_set_weights")
    epochs: int = option(54, "maximum number of epochs")
    patience: int = option(8, "epochs without a lower validation loss before a trial stops")
    first_rung: int = option(3, "epochs before the worse trials are first stopped; the next rung is factor times later")
    factor: int = option(3, "one of this many trials continues at each rung")
    best: int = option(3, "how many of the best trials become run folders")
    places: int = option(8, "heads trained side by side; with folds, twice as many")
    seed: int = option(0, "seed of the proposals; trial N trains with seed + N")
    log: Log = log_option("the sweep's folder")
    storage: str | None = option(
        None,
        "URL of the study's storage, which several machines can share; its password is neither shown nor stored "
        f"(default: the environment variable {VARIABLE}, else a file in the sweep's folder)",
    )
    adopt: bool = option(False, "with a storage: take over trials that others started and left unfinished")
    backend: Literal["loky", "ray", "dask"] = option(
        "loky", "joblib's backend for training several shapes of heads at once"
    )
    jobs: int = option(1, "shapes of heads trained at once, each in a process of its own")

    @property
    def space(self) -> "Space":
        """The fields that decide what is tried."""
        from train.sweep.study import Space

        change = tuple(bool(number) for number in self.differences)
        return Space(self.heads, self.units, change, self.learning_rate, self.dropout, self.weight_decay)

    @property
    def folder(self) -> Path:
        """The folder of this sweep."""
        return self.sweeps / self.name

    def study_config(self) -> "StudyConfig":
        """The fields that decide the study."""
        from train.sweep.study import StudyConfig

        storage = self.storage or f"sqlite:///{(self.folder / 'study.db').resolve()}"
        return StudyConfig(self.name, storage, self.sampler, self.points, self.first_rung, self.factor, self.seed)

    def fit_config(self, values: dict[str, Any], seed: int) -> FitConfig:
        """Returns the config that repeats the trial with `values` and `seed`."""
        own = {field.name for field in fields(self)} - {*VALUES, "name", "seed", "log"}
        shared = {field.name: getattr(self, field.name) for field in fields(FitConfig) if field.name in own}
        return FitConfig(**shared, seed=seed, **values)


def require_sensible(config: SweepConfig) -> None:
    """Raises a UserError if a setting of `config` is out of range."""
    for name, least, most in (("learning_rate", 1e-9, 1.0), ("dropout", 0.0, 0.99), ("weight_decay", 1e-12, 10.0)):
        _check_range(name, getattr(config, name), least, most)
    if not (config.heads and config.units and config.differences) or set(config.differences) - {0, 1}:
        raise UserError(
            "heads, units and differences each need a value, and differences only 0 or 1; correct the flag."
        )
    numbers = (config.trials, config.points, config.first_rung, config.best, config.places, config.jobs)
    if min(*numbers, config.folds or 1) < 1 or config.factor < 2:
        raise UserError(
            "trials, points, first rung, best, places, jobs and folds must be 1 or above, factor 2 or above; correct "
            "the flag."
        )
    if config.jobs > 1:
        _require_backend(config.backend)
    for group in config.space.groups:
        check(config.fit_config(group, config.seed))
    shapes, points = len(config.space.groups), len(config.space.grid(config.points))
    if config.sampler == "grid" and config.trials != shapes * points:
        raise UserError(
            f"a grid of {shapes} shapes with {points} points each has {shapes * points} trials, not {config.trials}; "
            f"give {flag('trials', shapes * points)}."
        )


def _check_range(name: str, values: tuple[float, ...], least: float, most: float) -> None:
    if len(values) != 2 or not least <= values[0] <= values[1] <= most:
        shown = ",".join(f"{value:g}" for value in values)
        raise UserError(f"{flag(name, shown)} is no range within {least:g} to {most:g}; give LOWEST,HIGHEST.")


def _require_backend(name: str) -> None:
    """Raises a UserError unless joblib can use the backend `name` in this process."""
    import joblib

    try:
        with joblib.parallel_config(name):
            return
    except (ValueError, ImportError):
        raise UserError(
            f"{flag('backend', name)} is for programs that are connected to a cluster; leave it out, and let several "
            f"machines share one {flag('storage')}."
        ) from None
