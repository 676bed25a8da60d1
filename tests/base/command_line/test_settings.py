"""Settings from a TOML file: its keys are flags, the command line wins, and what is wrong is one sentence."""

import dataclasses
import os
from pathlib import Path
from typing import Literal

import pytest

from base.command_line.parse import parse_flags
from base.errors import UserError
from base.flags import bare, option, require_choices, required

COLOURS = {"red": 1, "green": 2}


@dataclasses.dataclass(frozen=True)
class Config:
    """One setting of each kind."""

    data: Path = required("a folder")
    clips: tuple[str, ...] = bare((), "clips", "CLIP")
    share: float = option(0.5, "a share")
    seeds: int = option(1, "how many")
    keep_crops: bool = option(True, "keep them")
    name: str | None = option(None, "a name")
    kind: Literal["one", "two"] = option("one", "which")
    colour: str = option("red", "which colour", choices=lambda: COLOURS)
    heads: tuple[str, ...] = option(("a",), "which heads")
    rates: tuple[float, ...] = option((), "which rates")


@pytest.fixture
def read(tmp_path):
    def read(text: str | bytes, *words: str) -> Config:
        path = tmp_path / "run.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return parse_flags("reelcheck x", "", Config, ["--config", str(path), *words])

    return read


FILE = """
data = "folder"          # a required flag
clips = ["a.mp4", "b.mp4"]
share = 1
seeds = 5
keep-crops = false
name = "ä"
kind = "two"
colour = "green"
heads = ["lstm", "gru"]
rates = [1, 0.5]
"""


def test_every_kind_of_setting_is_read(read):
    expected = Config(
        Path("folder"), ("a.mp4", "b.mp4"), 1.0, 5, False, "ä", "two", "green", ("lstm", "gru"), (1.0, 0.5)
    )
    assert read(FILE) == expected
    assert isinstance(read(FILE).share, float)
    assert read(FILE.replace("keep-crops", "keep_crops").replace("\n", "\r\n")) == expected


def test_the_command_line_wins(read):
    words = ["--seeds", "7", "--keep-crops", "--heads=mean", "--data=other", "--share", "0.25", "c.mp4"]
    config = read(FILE, *words)
    assert (config.seeds, config.keep_crops, config.heads) == (7, True, ("mean",))
    assert (config.data, config.share, config.clips) == (Path("other"), 0.25, ("c.mp4",))
    assert config.kind == "two"


def test_what_the_file_leaves_out_is_asked_for_or_has_its_default(read):
    assert read('data = "x"', "c.mp4") == Config(Path("x"), ("c.mp4",))
    with pytest.raises(UserError, match="--data"):
        read("seeds = 2", "c.mp4")
    with pytest.raises(UserError, match="CLIP"):
        read('data = "x"')


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sedes = 5", "run.toml has 'sedes', which is not a flag of reelcheck x; did you mean seeds? "
         "reelcheck x --help lists them."),
        ("qqq = 5", "run.toml has 'qqq', which is not a flag of reelcheck x; reelcheck x --help lists them."),
        ('seeds = "five"', "run.toml: seeds has 'five', where a whole number is expected; correct it."),
        ("seeds = 5.0", "run.toml: seeds has 5.0, where a whole number is expected; correct it."),
        ("seeds = true", "run.toml: seeds has True, where a whole number is expected; correct it."),
        ("keep-crops = 1", "run.toml: keep-crops has 1, where true or false is expected; correct it."),
        ("share = false", "run.toml: share has False, where a number is expected; correct it."),
        ("share = nan", "run.toml: share has nan, where a number > -1e+300 is expected; correct it."),
        ("share = -inf", "run.toml: share has -inf, where a number > -1e+300 is expected; correct it."),
        (f"share = {10**400}", "run.toml: share has a number of more than 15 digits, where a number in range is"),
        ("name = 2026-11-29", "run.toml: name has datetime.date(2026, 11, 29), where a text is expected; correct it."),
        ("data = 3", "run.toml: data has 3, where a path that can be is expected; correct it."),
        (r'data = "a\u0000"', r"run.toml: data has 'a\x00', where a path that can be is expected; correct it."),
        ('heads = "a,b"', "run.toml: heads has 'a,b', where a list is expected; correct it."),
        ("rates = [1, []]", "run.toml: rates has a list of 0 as '[1]', where a number is expected;"),
        ("[train]\nseeds = 1", "run.toml has 'train', which is not a flag of reelcheck x;"),
        ('colour = "blue"', "--colour blue is none of red, green; give one of these."),
        ('kind = "three"', "--kind three is none of one, two; give one of these."),
        ("keep-crops = true\nkeep_crops = true", "run.toml has keep_crops twice, with a dash and with an underscore;"),
        ("seeds = 1\nseeds = 2", "run.toml cannot be read as TOML (Cannot overwrite a value"),
        ("seeds =", "run.toml cannot be read as TOML (Invalid value"),
        ("seeds = " + "9" * 5000, "run.toml cannot be read as TOML ("),
        ("seeds = " + "[" * 5000, "run.toml cannot be read as TOML (it is nested too deeply); give another --config."),
        (b"name = '\xff'", "run.toml cannot be read as TOML (byte 0xff at 8 is not UTF-8); give another --config."),
        ("#" * 2**21, "run.toml cannot be read as TOML (it has 2,097,152 bytes, and at most 1,048,576 are read)"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_sentence(read, text, sentence):
    with pytest.raises(UserError) as told:
        read(text, "--data=x", "c.mp4")
    assert sentence in str(told.value)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 400


def test_a_file_that_is_none_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("absent", "pipe", "."):
        with pytest.raises(UserError, match=r"cannot be read as TOML|is missing; give another"):
            parse_flags("p", "", Config, ["--config", str(tmp_path / name)])


def test_choices_follow_the_registry(monkeypatch, capsys):
    monkeypatch.setitem(COLOURS, "blue", 3)
    assert parse_flags("p", "", Config, ["--data=x", "--colour=blue", "c"]).colour == "blue"
    with pytest.raises(SystemExit):
        parse_flags("p", "", Config, ["--help"])
    assert "{red,green,blue}" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"--colour pink is none of red, green, blue; give one of these\."):
        require_choices(Config(Path("x"), colour="pink"))
