"""Lists that people write or edit: text in the codings, and tables with the separators, that their programs save."""

import codecs
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base.errors import UserError
from base.outside.content import MOST_TABLE, WrongContent, read_regular, require_text
from base.outside.values import explained, strict_rows
from base.text import printable

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}
SHOWN = 60
"""How much is quoted of a first line without the columns that it should have."""

_MARKS = {
    # UTF-32's little-endian mark begins with that of UTF-16.
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8-sig",
}
HEAD = 40
"""Bytes of which every second one is zero at the start of UTF-16 without a mark: lists begin with plain letters."""


@dataclass(frozen=True)
class Table:
    """The columns of a CSV file that have a name, and of each row the line it ends on and its values by column."""

    columns: list[str]
    rows: list[tuple[int, dict[str, str]]]


def read_table(path: Path, needed: Sequence[str]) -> Table:
    """Returns the CSV file `path`, which must have the columns `needed`; a UserError says what it has instead.

    The separator is the one that gives the first line these columns. Columns without a name, such as the index that
    pandas writes, are left out. A row may lack values at its end, which are "" then.
    """
    with explained(path, "CSV", f"give a file with the columns {', '.join(needed)}"):
        return _parse(path, read_text(path), needed)


def _parse(path: Path, text: str, needed: Sequence[str]) -> Table:
    headers = {separator: _header(text, separator) for separator in SEPARATORS}
    separator = max(headers, key=lambda one: len(set(needed) & set(headers[one])))
    columns = headers[separator]
    if missing := [name for name in needed if name not in columns]:
        first = printable(text.partition("\n")[0].strip())[:SHOWN]
        raise UserError(
            f"{path} has no column {missing[0]}: its first line is {first!r}, and it needs the columns "
            f"{' and '.join(needed)}, separated by commas, semicolons or tabs."
        )
    if twice := [name for name in columns if name and columns.count(name) > 1]:
        raise UserError(f"{path} has the column {twice[0]} twice; keep one of them.")
    return Table([name for name in columns if name], _rows(path, text, separator, columns))


def _reader(text: str, separator: str) -> Any:
    return csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True)


def _header(text: str, separator: str) -> list[str]:
    """Returns the names in the first line, none if `separator` makes no sense of it."""
    try:
        return [name.strip() for name in next(_reader(text, separator), [])]
    except csv.Error:
        return []


def _rows(path: Path, text: str, separator: str, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    reader, rows = _reader(text, separator), []
    next(reader)
    for line, values in strict_rows(reader):
        if len(values) > len(columns):
            raise UserError(
                f"{path}, line {line} has more values than the file has columns; put quotes around a value with a "
                f"{SEPARATORS[separator]}."
            )
        values += [""] * (len(columns) - len(values))
        rows.append((line, {name: value for name, value in zip(columns, values, strict=True) if name}))
    return rows


def read_text(path: Path) -> str:
    """Returns the text in `path`, its line ends as they are; raises what `open_regular` does.

    It is UTF-8, UTF-16 or UTF-32, with a byte order mark or, but UTF-32, without.
    """
    content = read_regular(path, MOST_TABLE)
    coding = _coding(content)
    try:
        return require_text(content.decode(coding))
    except UnicodeDecodeError as error:
        if coding == "utf-8":
            line = content.count(b"\n", 0, error.start) + 1
            found = f"byte 0x{content[error.start]:02x} in line {line} is not UTF-8, but perhaps Windows-1252"
        else:
            found = f"it begins as {coding.upper()} and does not go on like that"
        raise WrongContent(f"{found}: save it as UTF-8") from None


def _coding(content: bytes) -> str:
    for mark, name in _MARKS.items():
        if content.startswith(mark):
            return name
    head = content[:HEAD]
    if len(head) >= 4 and not any(head[1::2]):
        return "utf-16-le"
    if len(head) >= 4 and not any(head[::2]):
        return "utf-16-be"
    return "utf-8"
