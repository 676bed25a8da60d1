"""Who looks on while heads are trained: called with a head's progress after every epoch, and deciding nothing."""

from pathlib import Path
from typing import TYPE_CHECKING

from train.runs.live import Live, Log

if TYPE_CHECKING:
    from tqdm import tqdm

    from train.heads.jobs import HeadProgress, Note


def all_of(*notes: "Note") -> "Note":
    """Returns one function in place of all `notes`."""
    return lambda progress: [note(progress) for note in notes]


def advancing(bar: "tqdm") -> "Note":
    """Returns what advances `bar`, which counts the epochs of all heads, by each epoch."""
    return lambda _: bar.update()


def logging(log: Log, folder: Path) -> "Note":
    """Returns what writes the numbers of all epochs into `folder` if `log` says so."""
    if log == "none":
        return lambda _: None
    live, noted = Live(folder), 0

    def note(progress: "HeadProgress") -> None:
        nonlocal noted
        for row in range(noted, len(progress.history["loss"])):  # the baseline, epoch 0, comes with epoch 1
            live.note(progress.first + row, {name: values[row] for name, values in progress.history.items()})
        noted = len(progress.history["loss"])

    return note
