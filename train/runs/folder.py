"""The run folder: the names of its files, and where runs lie."""

from pathlib import Path

from base.commands import command, flag
from base.errors import UserError
from base.files import require_writable
from base.outside.content import is_regular
from base.outside.values import moment
from base.temporary import TEMPORARY

DONE = "run.json"
"""Written last: a folder with this file holds a finished run."""
CREATED = "created"
"""Its entry that says when the run was finished."""
CONFIG = "config.json"
"""Everything needed to repeat the run and to rebuild its network."""
SPLIT, AUDIT = "split.csv", "audit.json"
HISTORY = "history.csv"
PREDICTIONS, BASELINE = "predictions.csv", "baseline.csv"
"""What the run's network says of each clip, and what a logistic regression on the same features says."""
NEIGHBOURS = "neighbours.npz"
"""The training clips as points, to say how far another clip lies from them; runs made before have none."""
WEIGHTS = "head.weights.h5"
BACKBONE_WEIGHTS = "backbone.weights.h5"
"""The fine-tuned backbone of a run that has one, as `extract.backbones.networks.build_backbone` takes it."""
AGAIN = "train the run again to write it"
"""What to do where one of these files is missing or damaged."""
MODEL_KERAS, MODEL_H5 = "model.keras", "model.h5"
"""The whole network, for other programs to load."""
CROPS, ENSEMBLE, SCORES = "crops", "ensemble", "scores"
"""The `kind` in the config of a run that judges crops, by its own network or by its members', or has nothing but the
scores of another detector; a head's run has none."""


def choose_name(runs: Path, wished: str | None, otherwise: str) -> str:
    """Returns `free_name`, after making sure that a run with it can be written below `runs`; else raises a UserError.

    For the start of the work: nothing is made.
    """
    require_writable(runs, f"choose another {flag('runs')}")
    require_name(otherwise if wished is None else wished, runs)
    return free_name(runs, wished, otherwise)


def free_name(runs: Path, wished: str | None, otherwise: str) -> str:
    """Returns the name of a new run below `runs`: `wished`, refused if taken, or `otherwise` with a free number."""
    if wished is not None:
        if (runs / wished).exists():
            raise UserError(f"{runs / wished} is there already; choose another {flag('name')}, or remove the folder.")
        return wished
    numbered = (otherwise if number == 1 else f"{otherwise}-{number}" for number in range(1, 1_000_000))
    return next(name for name in numbered if not (runs / name).exists())


def require_name(name: str, folder: Path) -> None:
    """Raises a UserError unless `folder` can hold one called `name`, and others whose names are made of it."""
    if Path(name).name != name or not name or name.startswith("."):
        raise UserError(f"{flag('name')} {name!r} is not the name of a folder; give one such as lstm-1.")
    require_writable(folder / name, f"choose another {flag('name')}")


def listed_name(path: Path) -> str:
    """Returns the name by which its folder lists `path`: where case makes no difference, it may be another's by that.

    So it is on most disks of macOS, where `sweeps/Sweep` opens the folder `sweeps/sweep`.
    """
    names = [other.name for other in path.parent.iterdir() if other.name.casefold() == path.name.casefold()]
    return next((name for name in names if path.name not in names), path.name)


def is_finished(folder: Path) -> bool:
    """Returns whether `folder` holds a finished run."""
    return is_regular(folder / DONE)


def require_finished(folder: Path) -> None:
    """Raises a UserError if `folder` holds no finished run."""
    if not is_finished(folder):
        raise UserError(
            f"{folder} holds no finished run (there is no {DONE}); run {command('train')}, or name another run."
        )


def latest(runs: Path) -> Path:
    """Returns the folder of the run below `runs` that was finished last; a UserError if there is none."""
    newest = newest_first(runs)
    if not newest:
        raise UserError(f"there is no finished run below {runs}/; run {command('train')} first, or name a run folder.")
    return newest[0]


def newest_first(runs: Path) -> list[Path]:
    """Returns the folders of the finished runs below `runs`, without links to them, the one finished last first.

    Each says when it was finished; the time of its file decides only between those that say the same, or nothing.
    """
    finished = [path for path in runs.glob(f"*/{DONE}") if not path.parent.name.startswith(TEMPORARY)]
    done = [path for path in finished if not path.parent.is_symlink()]
    done.sort(key=lambda path: (moment(path, CREATED), path.lstat().st_mtime_ns, path), reverse=True)
    return [path.parent for path in done]
