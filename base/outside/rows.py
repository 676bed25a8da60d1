"""Reading a CSV file that this program wrote, and anybody may have written anew: strictly, a row at a time."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TypeVar

from base.outside.content import WrongContent, read_text
from base.outside.values import WrongValue, parse, shown
from base.text import originals

MOST_CELL = 4096
"""Characters of a cell: the longest path has about so many."""
T = TypeVar("T")


def read_records(path: Path, kind: type[T]) -> dict[str, T]:
    """Returns each row of the CSV file `path` as the dataclass `kind`, by its `id`, which no other row has.

    A field without a default is a column that must be there. Raises what `read_csv` does.
    """
    needed = [field.name for field in fields(kind) if field.default is MISSING]  # pyright: ignore[reportArgumentType]
    records: dict[str, T] = {}
    for line, values in read_csv(path, needed):
        name = values["id"]
        if name in records:
            raise WrongContent(f"line {line} has the id {shown(name)} a second time")
        try:
            records[name] = parse(kind, values, strict=False)
        except WrongValue as error:
            raise WrongContent(f"line {line} {error}") from None
    return records


def read_csv(path: Path, needed: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields line number and texts of each row of the CSV file `path`, which must have the columns `needed`.

    Raises WrongContent, which names the line of a row that is none, or what `open_regular` does.
    """
    rows = strict_rows(csv.reader(io.StringIO(read_text(path), newline=""), strict=True))
    _, columns = next(rows, (0, []))
    if missing := [name for name in needed if name not in columns]:
        raise WrongContent(f"it has no column {missing[0]!r}, and needs {', '.join(needed)}")
    if twice := [name for name in columns if columns.count(name) > 1]:
        raise WrongContent(f"it has the column {twice[0]!r} twice")
    for line, values in rows:
        if len(values) != len(columns):
            raise WrongContent(f"line {line} has not as many values as there are columns")
        yield line, dict(zip(columns, values, strict=True))


def strict_rows(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Yields line number and texts of each row of a `csv.reader` that is not empty; raises WrongContent."""
    try:
        for values in reader:
            if max(map(len, values), default=0) > MOST_CELL:
                raise WrongContent(f"line {reader.line_num} has a value of more than {MOST_CELL:,} characters")
            if values:
                yield reader.line_num, originals(values)
    except csv.Error as error:
        raise WrongContent(f"line {reader.line_num} is no row: {error}") from None
