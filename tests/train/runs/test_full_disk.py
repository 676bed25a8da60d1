"""A run on a disk without room for its networks: a sentence before HDF5 is asked, which would crash the process."""

import shutil
from collections import namedtuple

import pytest

from base.errors import UserError
from base.files import write_folder
from train.heads.architectures import HeadConfig, build_head
from train.runs.trained import save_head


def test_networks_that_do_not_fit_are_not_begun(tmp_path, monkeypatch):
    head = build_head(HeadConfig("mean"), 8)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: namedtuple("Usage", "free")(3 * 4 * head.count_params()))
    with pytest.raises(UserError, match=r"run cannot be written \(No space left on device\)"):
        write_folder(tmp_path / "run", lambda into: save_head(head, into))
    assert list(tmp_path.iterdir()) == []
