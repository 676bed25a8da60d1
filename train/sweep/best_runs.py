"""The best trials of a sweep as ordinary run folders, and `best`, which points to the first of them."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cache.cli import start_keras
from cache.schema import UserError
from train.data.training_set import Material
from train.fit import FitConfig, finish, train_all
from train.runs.folder import CONFIG, free_name, is_finished
from train.runs.trained import write_trained

if TYPE_CHECKING:
    from train.heads.training import Progress

BEST = "best"


@dataclass(frozen=True)
class Winner:
    """A trial: its number, the run that trains as it did, what says where it is from, and how it went.

    `learnt` is None where it was trained earlier, or elsewhere: then it is trained once more, which gives the same.
    """

    number: int
    config: FitConfig
    origin: Mapping[str, Any]
    learnt: "Progress | None"


def write_winners(runs: Path, prefix: str, winners: Sequence[Winner], material: Material) -> list[Path]:
    """Returns the run folders of `winners`, best first; each keeps its origin, and one already there stays."""
    folders = [_find(runs, winner) or _write(runs, prefix, winner, material) for winner in winners]
    if folders:
        _point(runs / BEST, folders[0])
    return folders


def _write(runs: Path, prefix: str, winner: Winner, material: Material) -> Path:
    start_keras()
    if winner.learnt is None:
        (trained,) = train_all([winner.config], material)
    else:
        trained = finish(winner.config, winner.learnt, material)
    name = free_name(runs, None, f"{prefix}-trial{winner.number}")
    named = dataclasses.replace(winner.config, name=name)
    return write_trained(runs / name, named, material, trained, {"trial": winner.origin})


def _find(runs: Path, winner: Winner) -> Path | None:
    """Returns the finished run of `winner`, if there is one."""
    wanted = {"trial": winner.origin, "config": dataclasses.asdict(winner.config)}
    wanted = json.loads(json.dumps(wanted, default=str))
    for path in sorted(runs.glob(f"*/{CONFIG}")):
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            same = found["trial"] == wanted["trial"] and {**found["config"], "name": None} == wanted["config"]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a run of something else
        if same and not path.parent.is_symlink() and is_finished(path.parent):
            return path.parent
    return None


def _point(link: Path, folder: Path) -> None:
    if link.exists() and not link.is_symlink():
        raise UserError(f"{link} is no link, so it cannot point to the best run {folder}; rename it.")
    temporary = link.with_name(f".{link.name}-new")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(folder.name)
    temporary.replace(link)
