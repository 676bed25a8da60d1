"""What is printed: no name in it turns the order of letters, or is taken for a command by a terminal."""

import ast
import io
from dataclasses import replace

import pytest

from base import progress
from base.ending import run
from base.errors import UserError
from cache.__main__ import main
from tests import ROOT
from tests.stores import pairs, write_features

MARK, SHOWN = "\u202e", "\\u202e"
"""It turns what follows it, such as a suffix, and what is shown in its place."""


def test_lines_stay_lines_and_what_is_hidden_in_them_is_shown(capsys):
    told: list[str] = []
    with progress.quiet(told.append, bars=False):
        progress.say(f"a\n  b{MARK}gpj.mp4")
    progress.say(f"a\n  b{MARK}gpj.mp4")
    progress.show(f"c\x1b[31m{MARK}\rd", end="")
    progress.show(f"e{MARK}", beside=True)
    said = capsys.readouterr()
    assert told == ["a\n  b\\u202egpj.mp4"]
    assert (said.out, said.err) == ("a\n  b\\u202egpj.mp4\nc\\x1b[31m\\u202e\\rd", "e\\u202e\n")


def test_nothing_is_printed_in_another_way():
    for package in ("base", "cache", "extract", "train", "evaluate", "detect", "reelcheck"):
        for path in (ROOT / package).rglob("*.py"):
            calls = [node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
            prints = any(isinstance(call, ast.Name) and call.id == "print" for call in calls)
            assert prints == (path == ROOT / "base" / "progress.py"), path


@pytest.fixture
def store(tmp_path):
    """A store whose clips and people all have a mark in their names; each twin is in another part."""
    turned = [
        replace(one, id=f"{MARK}{one.id}", path=f"{MARK}{one.path}", target=f"{MARK}{one.target}", part=part)
        for one, part in zip(pairs(4, 2, 0), ["train", "test"] * 8, strict=True)
    ]
    return write_features(tmp_path / f"set{MARK}", turned)


def test_what_a_store_holds_is_told_with_the_marks_shown(store, capsys):
    assert main(["info", str(store.folder)]) == 0
    said = capsys.readouterr().out
    assert f"set{SHOWN}" in said
    assert MARK not in said


def test_the_audit_is_told_with_the_marks_shown(store, capsys):
    from train.data.split import SplitConfig
    from train.data.training_set import DataConfig, gather

    gather(DataConfig(store.folder), SplitConfig("official"))
    said = capsys.readouterr().out
    assert "people: 8 (id0, " in said
    assert f", {SHOWN}id0, " in said
    assert MARK not in said


def test_an_error_is_told_with_the_marks_shown(capsys):
    def fails():
        raise UserError(f"{MARK}x is no clip.")

    with pytest.raises(SystemExit):
        run(fails)
    assert capsys.readouterr().err == f"error: {SHOWN}x is no clip.\n"


class Terminal(io.StringIO):
    """Stands for a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("kind", [Terminal, io.StringIO])
def test_what_is_being_done_is_shown_on_a_terminal_alone_and_wiped_out(monkeypatch, kind):
    monkeypatch.setattr("sys.stderr", stream := kind())
    with progress.doing(f"reading {MARK}x"):
        during = stream.getvalue()
    assert (f"reading {SHOWN}x ..." in during) == (kind is Terminal)
    assert stream.getvalue().replace(during, "", 1).strip() == ""
    with progress.quiet(print, bars=False), progress.doing("hiding"):
        assert "hiding" not in stream.getvalue()


def test_a_line_of_output_does_not_end_up_behind_a_bar(monkeypatch):
    monkeypatch.setattr("sys.stdout", stream := Terminal())
    monkeypatch.setattr("sys.stderr", stream)
    with progress.doing("working"):
        progress.show("done")
    lines = stream.getvalue().replace("\r", "\n").split("\n")
    assert "done" in lines
