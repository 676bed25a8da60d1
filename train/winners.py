"""The best trials of a sweep as ordinary runs: trained once more, which gives the same heads, and pointed to."""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cache.schema import UserError
from train.fit import FitConfig, train_all
from train.material import Material
from train.record import Trained, record
from train.runs import CONFIG, DONE, free_name

BEST = "best"


def write_winners(
    runs: Path, prefix: str, fitted: Mapping[FitConfig, Mapping[str, Any]], material: Material
) -> list[Path]:
    """Returns the run folders, best first, of the trials `fitted`; `runs`/best is made to point to the first.

    Each trial comes with what says where it is from, its `number` too. That is kept in its run, so that a sweep which
    is called again finds the runs of its trials instead of making them anew.
    """
    folders = {one: _find(runs, one, trial) for one, trial in fitted.items()}
    missing = [one for one, folder in folders.items() if folder is None]
    trained = dict(_train(missing, material))
    for one in missing:
        name = free_name(runs, None, f"{prefix}-trial{fitted[one]['number']}")
        named = dataclasses.replace(one, name=name)
        folders[one] = record(runs / name, named, material, trained[one], {"trial": fitted[one]})
    found = [folder for folder in folders.values() if folder is not None]
    if found:
        _point(runs / BEST, found[0])
    return found


def _find(runs: Path, wanted: FitConfig, trial: Mapping[str, Any]) -> Path | None:
    """Returns the finished run of `trial` that was trained as `wanted`, if there is one."""
    known = json.loads(json.dumps({"trial": trial, "config": dataclasses.asdict(wanted)}, default=str))
    for path in sorted(runs.glob(f"*/{CONFIG}")):
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
            same = config["trial"] == known["trial"] and {**config["config"], "name": None} == known["config"]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a run of something else
        if same and not path.parent.is_symlink() and (path.parent / DONE).is_file():
            return path.parent
    return None


def _train(configs: Sequence[FitConfig], material: Material) -> Iterator[tuple[FitConfig, Trained]]:
    for shape in dict.fromkeys(config.shape for config in configs):
        alike = [config for config in configs if config.shape == shape]
        yield from zip(alike, train_all(alike, material), strict=True)


def _point(link: Path, folder: Path) -> None:
    if link.exists() and not link.is_symlink():
        raise UserError(f"{link} is no link, so it cannot point to the best run {folder}; rename it.")
    temporary = link.with_name(f".{link.name}-new")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(folder.name)
    temporary.replace(link)
