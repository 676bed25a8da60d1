"""The best trials of a sweep as ordinary run folders, and the link `best`, which points to the first."""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from base.errors import UserError
from base.files import point_link
from base.keras_start import start_keras
from base.progress import say
from base.temporary import TEMPORARY
from cache.profile import Profile
from train.data.training_set import TrainingSet
from train.fit import FitConfig, finish, train_all
from train.heads.architectures import HeadConfig
from train.runs.folder import DONE, free_name
from train.runs.live import lasting
from train.runs.recipe import RunConfig, read_recipe
from train.runs.trained import Trained, write_trained

if TYPE_CHECKING:
    from train.heads.jobs import HeadProgress

BEST = "best"


@dataclass(frozen=True)
class Winner:
    """One of the best trials: its number, the config that repeats it, its origin in the sweep, and its progress.

    `progress` is None if the trial was trained earlier or elsewhere. It is then trained again, with the same result.
    """

    number: int
    config: FitConfig
    origin: Mapping[str, Any]
    progress: "HeadProgress | None"


def write_winners(runs: Path, prefix: str, winners: Sequence[Winner], training_set: TrainingSet) -> list[Path]:
    """Writes and returns the run folders of `winners`, best first; a run that is there already stays as it is."""
    earlier = list(_earlier_runs(runs))
    there = {winner.number: folder for winner in winners if (folder := _find(earlier, winner))}
    trained = _train([winner for winner in winners if winner.number not in there], training_set)
    for winner in winners:
        if head := trained.get(winner.number):
            there[winner.number] = _write(runs, prefix, winner, head, training_set)
    folders = [there[winner.number] for winner in winners]
    if folders:
        _point(runs / BEST, folders[0])
    return folders


def _write(runs: Path, prefix: str, winner: Winner, trained: Trained, training_set: TrainingSet) -> Path:
    name = free_name(runs, None, f"{prefix}-trial{winner.number}")
    named = dataclasses.replace(winner.config, name=name)
    return write_trained(runs / name, named, training_set, trained, winner.origin)


def _train(winners: Sequence[Winner], training_set: TrainingSet) -> dict[int, Trained]:
    """Returns the trained heads of `winners` by number; heads of one shape are trained side by side."""
    start_keras()
    trained = {
        one.number: finish(one.config, one.progress, training_set) for one in winners if one.progress is not None
    }
    shapes: dict[HeadConfig, list[Winner]] = {}
    for one in (one for one in winners if one.progress is None):
        shapes.setdefault(dataclasses.replace(one.config.head_config, dropout=0.0), []).append(one)
    for same in shapes.values():
        heads = train_all([one.config for one in same], training_set)
        trained |= {one.number: head for one, head in zip(same, heads, strict=True)}
    return trained


def _earlier_runs(runs: Path) -> Iterator[tuple[Path, RunConfig[Profile]]]:
    """Yields the finished runs below `runs` with their configs; a damaged one is named and left out."""
    for folder in sorted(path.parent for path in runs.glob(f"*/{DONE}")):
        if folder.is_symlink() or folder.name.startswith(TEMPORARY):
            continue
        try:
            yield folder, read_recipe(folder)
        except UserError as error:
            say(f"{folder} is left out: {error}")


def _find(earlier: Sequence[tuple[Path, RunConfig[Profile]]], winner: Winner) -> Path | None:
    """Returns the finished run of `winner` among `earlier`, None if there is none."""
    wanted = {"trial": winner.origin, "config": lasting(winner.config)}
    wanted = json.loads(json.dumps(wanted, default=str))
    same = (
        folder
        for folder, config in earlier
        if config.trial == wanted["trial"] and config.config | {"name": None} == wanted["config"]
    )
    return next(same, None)


def _point(link: Path, folder: Path) -> None:
    if link.exists() and not link.is_symlink():
        raise UserError(f"{link} is not a link, so it cannot point to the best run, {folder}; rename it.")
    point_link(link, folder.name)
