"""Commands on pages are those that the user types, under make or without it."""

import shlex
from pathlib import Path

import pytest

from base.commands import UNDER_MAKE
from evaluate.page.repeat import compare_command, repeat_command
from reelcheck.under_make import words

OTHERS = [Path("a b"), Path("c")]
SETTINGS = {"head": "gru", "name": None, "class_weights": False, "differences": True, "others": OTHERS}


def test_flags_are_typed_as_reelcheck_takes_them(monkeypatch):
    monkeypatch.delenv(UNDER_MAKE, raising=False)
    assert shlex.split(repeat_command("train", SETTINGS)) == [
        "reelcheck", "train", "--head", "gru", "--others", "a b,c", "--no-class-weights", "--differences",
    ]  # fmt: skip
    assert compare_command(["x", "y", "z"], {"seed": 1}) == "reelcheck compare --runs x,y,z --seed 1"


@pytest.fixture
def typed(monkeypatch):
    """Turns a command under make into the words of the verb, as the Makefile does."""
    monkeypatch.setenv(UNDER_MAKE, "1")

    def parse(command):
        make, verb, *variables = shlex.split(command)
        assert make == "make"
        return words(verb, dict(variable.split("=", 1) for variable in variables))

    return parse


def test_variables_are_typed_as_make_takes_them(typed):
    assert typed(repeat_command("train", SETTINGS)) == [
        "train", "--head=gru", "--others=a b,c", "--no-class-weights", "--differences",
    ]  # fmt: skip
    assert typed(compare_command(["x", "y", "z"], {"seed": 1})) == ["compare", "--seed=1", "--runs=x,y,z"]
