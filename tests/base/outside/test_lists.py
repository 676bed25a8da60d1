"""Lists as people's programs save them: any common coding, separator and line end; else a sentence that names it."""

import codecs
from pathlib import Path

import pytest

from base.errors import UserError
from base.outside.content import WrongContent
from base.outside.lists import Table, read_table, read_text

TEXT = "path,label\nä.mp4,0\n"


def plant(folder: Path, content: str | bytes) -> Path:
    path = folder / "list.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode("utf-8"),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
    ],
    ids=["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-16-le, no mark", "utf-16-be, no mark"],
)
def test_every_common_coding_is_read(tmp_path, content):
    assert read_text(plant(tmp_path, content)) == TEXT


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (TEXT.encode("latin-1"), "byte 0xe4 in line 2 is not UTF-8, but perhaps Windows-1252: save it as UTF-8"),
        (codecs.BOM_UTF16_LE + b"\0", "it begins as UTF-16 and does not go on like that: save it as UTF-8"),
    ],
)
def test_another_coding_is_named(tmp_path, content, message):
    with pytest.raises(WrongContent, match=message):
        read_text(plant(tmp_path, content))
    with pytest.raises(UserError, match=rf"list\.csv cannot be read as CSV \({message}\); give a file with"):
        read_table(plant(tmp_path, content), ("path",))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_separators_and_line_ends(tmp_path, separator, end):
    lines = [["label", " path ", "note"], ["0", '"a,b;c\td.mp4"', "1,5"], ["", "", ""], ["1", "e.mp4"]]
    lines[1][2] = '"1,5"'
    path = plant(tmp_path, end.join(separator.join(line) for line in lines))
    first, _, last = read_table(path, ("path", "label")).rows
    assert first == (2, {"label": "0", "path": "a,b;c\td.mp4", "note": "1,5"})
    assert last == (4, {"label": "1", "path": "e.mp4", "note": ""})


def test_columns_without_a_name_are_left_out(tmp_path):
    """Pandas writes its index like that, and a spreadsheet its empty columns."""
    found = read_table(plant(tmp_path, ",path,label,\n0,a.mp4,1,\n\n1,b.mp4,0,\n"), ("path", "label"))
    assert found == Table(
        ["path", "label"], [(2, {"path": "a.mp4", "label": "1"}), (4, {"path": "b.mp4", "label": "0"})]
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path|label\na|0\n", r"no column path: its first line is 'path\|label', and it needs the columns path and "
         "label, separated by commas, semicolons or tabs"),
        ("path;name\na;0\n", "no column label: its first line is 'path;name'"),
        ("path;label\na;0;b\n", "line 2 has more values .* quotes around a value with a semicolon"),
        ("path\tlabel\tpath\na\t0\tb\n", "has the column path twice"),
        ('"path;label\n', "no column path"),
        ('path;label\n"a;0\n', r"cannot be read as CSV \(line 2 is no row: unexpected end of data\)"),
    ],
)  # fmt: skip
def test_what_is_no_such_table_is_told(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read_table(plant(tmp_path, text), ("path", "label"))
