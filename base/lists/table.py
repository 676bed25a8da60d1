"""Reading a CSV file that somebody else wrote: separated by commas, semicolons or tabs, whatever its line ends."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base.errors import UserError
from base.lists.text import read_text
from base.outside.rows import strict_rows
from base.outside.values import explained
from base.text import printable

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}
SHOWN = 60
"""How much is quoted of a first line without the columns that it should have."""


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
