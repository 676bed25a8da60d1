"""What `reelcheck doctor` finds, and what it says of what is missing."""

import importlib.metadata

import pytest

from base.errors import UserError
from reelcheck import doctor as looking
from reelcheck.cli import dispatch
from reelcheck.doctor import MISSING, OK, WITHOUT, Finding


def found() -> dict[str, Finding]:
    return {finding.thing: finding for finding in looking.findings()}


def test_a_machine_that_runs_the_tests_is_well(capsys):
    assert dispatch(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.split()[0] in (OK, WITHOUT) for line in lines)
    assert {"Python", "packages", "locks", "memory", "Keras", "GPU"} <= {line[9:27].strip() for line in lines}


def _without(*names: str):
    there = importlib.metadata.version

    def version(name: str) -> str:
        if name in names:
            raise importlib.metadata.PackageNotFoundError(name)
        return there(name)

    return version


def test_a_package_that_is_needed_is_named_with_the_command_that_gets_it(monkeypatch, capsys):
    monkeypatch.setattr(importlib.metadata, "version", _without("h5py"))
    assert dispatch(["doctor"]) == 2
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith(MISSING)]
    assert 'missing; pip install "h5py' in line


def test_an_extra_is_not_needed(monkeypatch, capsys):
    monkeypatch.setattr(importlib.metadata, "version", _without("openvino"))
    assert dispatch(["doctor"]) == 0
    assert 'openvino     1 of 1 missing (the fastest engine); pip install "openvino' in capsys.readouterr().out


def test_a_version_that_was_not_tried_is_missing(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.1")
    assert found()["packages"].mark == MISSING


def test_keras_that_cannot_start_is_said_in_its_own_words(monkeypatch):
    def refuse():
        raise UserError("the Keras backend jax is not installed; pip install jax, or unset KERAS_BACKEND.")

    monkeypatch.setattr(looking, "start_keras", refuse)
    assert found()["Keras"] == Finding(
        "Keras", "the Keras backend jax is not installed; pip install jax, or unset KERAS_BACKEND.", MISSING
    )


@pytest.mark.parametrize(("free", "mark"), [(1e9, MISSING), (9e9, OK)])
def test_little_memory_is_said(monkeypatch, free, mark):
    monkeypatch.setattr(looking, "free_memory", lambda: free)
    assert found()["memory"].mark == mark


def test_a_file_system_without_locks_is_said(monkeypatch):
    monkeypatch.setattr(looking, "lock", lambda *_, **__: False)
    assert found()["locks"].mark == WITHOUT


def test_a_folder_that_cannot_be_written_is_missing(monkeypatch):
    def refuse(folder, remedy):
        raise UserError(f"{folder} is read-only; {remedy}.")

    monkeypatch.setattr(looking, "require_writable", refuse)
    assert found()["this folder"].mark == MISSING
