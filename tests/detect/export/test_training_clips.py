"""The training clips go with an export, so that it too says of a clip that it is unlike them."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from base.errors import UserError
from base.outside.content import checksum
from detect.detector.portable import _neighbours
from detect.export.stage import _copy_neighbours
from tests.strangers import write_head_run
from train.data.neighbours import AXES, BLOCKS, Neighbours
from train.runs.folder import NEIGHBOURS
from train.runs.neighbours_file import write_neighbours

SIZE, CLIPS = 8, 30


def training_clips() -> Neighbours:
    random = np.random.default_rng(0)

    def drawn(*shape: int) -> np.ndarray:
        return random.normal(0, 1, shape).astype(np.float32)

    return Neighbours(
        drawn(SIZE), drawn(SIZE, AXES), drawn(CLIPS, BLOCKS, AXES), np.ones(BLOCKS, np.float32),
        np.zeros(CLIPS, np.int32), near=0.3, apart=0.6, people=30,
    )  # fmt: skip


def contract(folder, **checksums: str) -> Any:
    return SimpleNamespace(folder=folder, checksums=checksums)


def test_an_export_has_the_training_clips_of_its_run(tmp_path):
    run, into = write_head_run(tmp_path / "run"), tmp_path / "export"
    into.mkdir()
    assert _copy_neighbours(run, into) is None
    assert _neighbours(contract(into)) is None
    write_neighbours(training_clips(), run)
    said = _copy_neighbours(run, into)
    assert said is not None
    assert said["file"] == NEIGHBOURS
    features, mask = np.random.default_rng(1).normal(0, 1, (3, 12, SIZE)), np.ones((3, 12), bool)
    exported = _neighbours(contract(into, **{NEIGHBOURS: checksum(into / NEIGHBOURS)}))
    assert exported is not None
    np.testing.assert_array_equal(
        exported.distances(features, mask).mean, training_clips().distances(features, mask).mean
    )


def test_training_clips_that_are_not_those_written_are_refused(tmp_path):
    write_neighbours(training_clips(), tmp_path)
    with pytest.raises(UserError, match=r"neighbours\.npz is not the training clips of the export .* export it again"):
        _neighbours(contract(tmp_path, **{NEIGHBOURS: "another"}))
    (tmp_path / NEIGHBOURS).unlink()
    with pytest.raises(UserError, match=r"neighbours\.npz is not the training clips"):
        _neighbours(contract(tmp_path, **{NEIGHBOURS: "another"}))
