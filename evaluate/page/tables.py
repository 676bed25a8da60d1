"""Tables as Markdown, LaTeX and CSV: for papers and for programs. `evaluate.page.markup` shows them in a page."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from base.files import make_folder, write_csv, write_text
from base.text import printable, visible
from evaluate.stats.bootstrap import Measure

Cell = str | Measure
NOTHING = "–"
"""What a cell without a value shows."""

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "–": "--",
    "↓": r"$\downarrow$",
    "±": r"$\pm$",
    "…": r"\ldots{}",
}
_MARKDOWN = re.compile(r"[\\|`*~]|\](?=[(\[:])|(?<=:)//|(?<=www)\.", re.IGNORECASE)
"""What a backslash goes before. A bracket is left alone where it begins no link: intervals are full of them."""


@dataclass(frozen=True)
class Table:
    """`rows` of text and measures under `columns`; the `caption` is a sentence that says what they are."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def value_text(measure: Measure) -> str:
    """Returns the value of `measure` without its interval."""
    return NOTHING if measure.value is None else f"{measure.value:.3f}"


def interval_text(measure: Measure) -> str:
    """Returns the interval of `measure` in brackets."""
    if measure.value is None:
        return "undefined"
    return "[no interval]" if measure.low is None else f"[{measure.low:.3f}, {measure.high:.3f}]"


def measure_text(measure: Measure) -> str:
    """Returns a value and its interval.

    >>> measure_text(Measure(0.812, 0.751, 0.866))
    '0.812 [0.751, 0.866]'
    """
    return interval_text(measure) if measure.value is None else f"{value_text(measure)} {interval_text(measure)}"


def cell_text(cell: Cell) -> str:
    """Returns the text of a cell."""
    return measure_text(cell) if isinstance(cell, Measure) else cell


def aligned(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table for the terminal, a line each, its last cell as long as it is. A row may have fewer cells."""
    texts = [list(columns), *([printable(cell) for cell in row] for row in rows)]
    widths = [
        max((len(row[number]) for row in texts if number < len(row) - 1), default=0) for number in range(len(columns))
    ]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)).rstrip() for row in texts
    )


def markdown(table: Table) -> str:
    """Returns `table` in GitHub's Markdown."""
    lines = [table.columns, ["---"] * len(table.columns), *_texts(table)]
    body = "\n".join("| " + " | ".join(markdown_text(cell) for cell in line) + " |" for line in lines)
    return f"{markdown_text(table.caption)}\n\n{body}\n"


def latex(table: Table) -> str:
    """Returns `table` as LaTeX for the package booktabs."""
    header, *rows = map(_latex_row, (table.columns, *_texts(table)))
    lines = [
        r"\begin{table}",
        r"\caption{" + _latex_cell(table.caption) + "}",
        r"\begin{tabular}{" + "l" * len(table.columns) + "}",
        r"\toprule",
        header,
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def write_tables(folder: Path, tables: dict[str, Table]) -> None:
    """Writes each of `tables` as `folder`/name.csv, and all of them into tables.md and tables.tex."""
    make_folder(folder)
    for name, table in tables.items():
        write_csv(
            folder / f"{name}.csv", table.columns, [[readable(visible(cell)) for cell in row] for row in _texts(table)]
        )
    write_text(folder / "tables.md", readable("\n".join(map(markdown, tables.values()))))
    source = "% needs \\usepackage{booktabs}\n" + "\n".join(map(latex, tables.values()))
    write_text(folder / "tables.tex", readable(source))


def readable(text: str) -> str:
    """Returns `text` with question marks for what is not Unicode: a file name may be any bytes."""
    return text.encode("utf-8", "replace").decode("utf-8")


def markdown_text(text: str) -> str:
    """Returns `text` escaped, as one line of Markdown without a link, picture, address, code or HTML."""
    return _MARKDOWN.sub(r"\\\g<0>", visible(text)).replace("\n", " ").replace("&", "&amp;").replace("<", "&lt;")


def _texts(table: Table) -> list[list[str]]:
    return [list(map(cell_text, row)) for row in table.rows]


def _latex_row(cells: Sequence[str]) -> str:
    row = " & ".join(map(_latex_cell, cells)) + r" \\"
    # The end of the row before takes what comes in brackets, or a star, for its argument.
    return f"{{}}{row}" if row.startswith(("[", "*")) else row


def _latex_cell(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in visible(text)).replace("\n", " ")
