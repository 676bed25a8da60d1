"""Cells of a CSV file that no spreadsheet takes for a formula, and that are read back as they were."""

import re
from collections.abc import Sequence

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBERS = re.compile(r"[-+][-+\d.,e \[\]]*")
"""Numbers and intervals with a sign, as tables have them: nothing in them can be a formula that does any harm."""


def harmless(cell: object) -> object:
    """Returns `cell` with an apostrophe in front, if it is a text that a spreadsheet would run as a formula.

    >>> harmless("=1+1.mp4"), harmless("-0.1 [-0.2, +0.1]"), harmless(-1)
    ("'=1+1.mp4", '-0.1 [-0.2, +0.1]', -1)
    """
    if not isinstance(cell, str) or not _FORMULA.match(cell) or _NUMBERS.fullmatch(cell):
        return cell
    return f"'{cell}"


def original(cell: str) -> str:
    """Returns the text from which `harmless` made `cell`."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def originals(row: Sequence[str]) -> list[str]:
    """Returns the texts of a row of a CSV file."""
    return list(map(original, row))
