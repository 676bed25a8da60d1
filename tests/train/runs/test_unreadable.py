"""A run folder that may not be read, as of a user with umask 077: a sentence that names the file, no other advice."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from base.errors import UserError
from tests.refused import REFUSED, as_somebody_else, folder_of_all
from train.end_to_end.checkpoint import read_checkpoint
from train.runs.folder import CONFIG, DONE, PREDICTIONS, WEIGHTS, is_finished
from train.runs.load import require_intact
from train.runs.predictions import read_predictions
from train.runs.recipe import read_recipe

READERS = {
    DONE: lambda folder: require_intact(folder / WEIGHTS, 0),
    CONFIG: read_recipe,
    PREDICTIONS: lambda folder: read_predictions(folder / PREDICTIONS),
    WEIGHTS: lambda folder: require_intact(folder / WEIGHTS, 0),
    "training.npz": lambda folder: read_checkpoint(folder / "training.npz", {}),
}


@pytest.fixture
def run() -> Iterator[Path]:
    with folder_of_all() as folder:
        for file in READERS:
            (folder / file).touch()
        (folder / DONE).write_text('{"created": "2026-01-01"}')
        yield folder


@pytest.mark.parametrize("name", READERS)
def test_a_file_that_may_not_be_read_is_neither_absent_nor_damaged(run: Path, name: str):
    (run / name).chmod(0)
    read: Callable[[Path], object] = READERS[name]
    with as_somebody_else(), pytest.raises(UserError, match=f"{run / name} {REFUSED}; mend that, and run again"):
        read(run)


def test_a_run_that_may_not_be_looked_into_is_not_unfinished(run: Path):
    run.chmod(0)
    with as_somebody_else(), pytest.raises(UserError, match=f"{run}/run.json {REFUSED}"):
        is_finished(run)
    run.chmod(0o755)
