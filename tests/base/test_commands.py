"""What a message tells the user to type is what that user types."""

import pytest

from base.commands import UNDER_MAKE, command, flag


@pytest.fixture(params=[False, True], ids=["reelcheck", "make"])
def under_make(request, monkeypatch) -> bool:
    monkeypatch.delenv(UNDER_MAKE, raising=False)
    if request.param:
        monkeypatch.setenv(UNDER_MAKE, "1")
    return request.param


def test_commands(under_make):
    assert command("features", data="...") == (
        "make features DATA=..." if under_make else "reelcheck features --data ..."
    )
    assert command("train") == ("make train" if under_make else "reelcheck train")
    assert command("detect", video="my clip.mp4", threshold=0.9) == (
        "make detect VIDEO='my clip.mp4' THRESHOLD=0.9"
        if under_make
        else "reelcheck detect 'my clip.mp4' --threshold 0.9"
    )


def test_flags(under_make):
    assert flag("learning_rate", 0.01) == ("LEARNING_RATE=0.01" if under_make else "--learning-rate 0.01")
    assert flag("split_csv") == ("SPLIT_CSV" if under_make else "--split-csv")
    assert flag("margin", 0) == ("MARGIN=0" if under_make else "--margin 0")
