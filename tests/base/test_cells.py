"""Clip names that a spreadsheet would run, or that turn what is read around, are harmless wherever they are shown."""

import csv
import subprocess
import sys

import pytest

from base.errors import UserError
from base.files import write_csv
from base.outside.lists import read_table
from base.outside.values import original
from base.text import harmless, printable
from cache.manifest import read_manifest, write_manifest
from cache.schema import VideoRecord
from detect.clips.judged_by import JudgedBy
from detect.clips.results_file import ResultFile
from detect.detector.verdict import failed
from evaluate.page.markup import element
from evaluate.page.tables import Table, latex, markdown_text
from tests import ROOT
from train.runs.predictions import SplitRow, read_split, write_split

FORMULAS = [
    "=HYPERLINK(A1).mp4",
    "+1+cmd|' /C calc'!A0",
    "-2+3+cmd|x",
    "@SUM(1).mp4",
    "\tx.mp4",
    "'=1",
    "''@",
]
ORDINARY = ["a.mp4", "'tis.mp4", "-0.013 [-0.020, +0.010]", "-1", ""]


def cells(path):
    with path.open(newline="", encoding="utf-8") as file:
        return [cell for row in csv.reader(file) for cell in row]


def assert_harmless(path):
    assert not [cell for cell in cells(path) if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


@pytest.mark.parametrize("text", [*FORMULAS, "\rx.mp4", *ORDINARY])
def test_a_cell_is_read_back_as_it_was(text):
    assert original(str(harmless(text))) == text
    assert harmless(text) == (text if text in ORDINARY else f"'{text}")


def test_manifest_split_and_lists_hold_no_formula_and_give_the_names_back(tmp_path):
    records = [VideoRecord(name, "a.mp4", 0, name, "", "", "", 1, -5, name) for name in FORMULAS]
    assert read_manifest(write_manifest(tmp_path / "manifest.csv", records)) == records
    split = {name: SplitRow(name, 1, "train", name, "", "", name) for name in FORMULAS}
    assert read_split(write_split(tmp_path / "split.csv", split)) == split
    table = read_table(write_csv(tmp_path / "list.csv", ["id"], [[name] for name in FORMULAS]), ["id"])
    assert [values["id"] for _, values in table.rows] == FORMULAS
    for name in ("split.csv", "list.csv"):
        assert_harmless(tmp_path / name)


def test_a_file_of_verdicts_holds_no_formula_and_knows_its_clips_again(tmp_path):
    by, path = JudgedBy(("run",), 0.5), tmp_path / "verdicts.csv"
    names = [name for name in FORMULAS if printable(name) == name]
    for _ in range(2):
        file = ResultFile(path, by)
        for name in names:
            if name not in file:
                file.add([failed(name, "missing", f"{name} is not there")])
        assert list(file.verdicts) == names
        file.close()
    assert_harmless(path)
    assert len(path.read_text().splitlines()) == 1 + len(names)


HIDDEN = "\u202egpj.exe\u2066\ufeff\u200b"


@pytest.mark.parametrize("sign", HIDDEN.replace("gpj.exe", ""))
def test_what_turns_the_order_of_letters_is_seen(sign):
    assert printable(f"a{sign}b") == f"a{ascii(sign)[1:-1]}b"
    for shown in (str(element("p", f"a{sign}b")), markdown_text(f"a{sign}b"), latex(Table("", ["x"], [[f"a{sign}b"]]))):
        assert sign not in shown


def test_letters_that_join_are_left_alone():
    assert printable("\U0001f468\u200d\U0001f469 \u0645\u06cc\u200c\u062e.mp4").isprintable() is False
    assert "\\u" not in printable("\U0001f468\u200d\U0001f469 \u0645\u06cc\u200c\u062e.mp4")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("![x](http://e.com/p.png)", r"![x\](http:\//e.com/p.png)"),
        ("[a]: http://e", r"[a\]: http:\//e"),
        ("[a][b]", r"[a\][b]"),
        ("www.e.com", r"www\.e.com"),
        ("`x` *y* ~z~", r"\`x\` \*y\* \~z\~"),
        ("<img>&lt;", "&lt;img>&amp;lt;"),
        ("0.81 [0.75, 0.87]", "0.81 [0.75, 0.87]"),
    ],
)
def test_a_name_is_no_markdown(name, shown):
    assert markdown_text(name) == shown


def test_a_latex_row_is_no_argument_of_the_row_before():
    assert "\n{}[4cm] \\\\\n{}*x \\\\\n" in latex(Table("", ["x"], [["[4cm]"], ["*x"]]))


def test_an_error_gives_a_terminal_no_commands():
    program = (
        "from base.ending import run; from base.errors import UserError\ndef f(): raise UserError('a\\u202eb\\x1b[2Jc')"
    )
    command = [sys.executable, "-c", f"{program}\nrun(f)"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert (found.returncode, found.stderr) == (2, b"error: a\\u202eb\\x1b[2Jc\n")


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        ("path", "../../etc/passwd", "is not a path inside the data set"),
        ("path", "/etc/passwd", "is not a path inside the data set"),
        ("label", "2", "line 2 has '2' as 'label'"),
        ("size", "-1", "'-1' as 'size', where a whole number >= 0 is expected"),
        ("size", "9" * 4096, "9' as 'size'|9 as 'size'"),
        ("mtime_ns", str(10**30), "as 'mtime_ns', where a whole number <= 9223372036854775807"),
        ("mtime_ns", "soon", "'soon' as 'mtime_ns', where a whole number is"),
        ("part", "dev", "'dev' as 'part'"),
        ("id", "x" * 200_000, "cannot be read as CSV"),
        ("id", 'a","b', "not as many values"),
    ],
)
def test_a_manifest_of_a_stranger_is_checked(tmp_path, column, value, what):
    path = write_manifest(tmp_path / "manifest.csv", [VideoRecord("id", "a.mp4", 0, "t", "", "", "", 1, 2)])
    header, row = path.read_text().splitlines()
    values = dict(zip(header.split(","), row.split(","), strict=True)) | {column: value}
    path.write_text(f"{header}\n{','.join(values.values())}\n".replace('a","b', "a,b"))
    with pytest.raises(UserError, match=what):
        read_manifest(path)
