"""Tables of text as Markdown, LaTeX and CSV, to be pasted into papers and read by programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cache.files import write_csv, write_text

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


@dataclass(frozen=True)
class Table:
    """`rows` of text under `columns`, with a sentence that says what they are."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def markdown(table: Table) -> str:
    """Returns `table` in GitHub's Markdown."""
    lines = [table.columns, ["---"] * len(table.columns), *table.rows]
    body = "\n".join("| " + " | ".join(markdown_text(cell) for cell in line) + " |" for line in lines)
    return f"{table.caption}\n\n{body}\n"


def latex(table: Table) -> str:
    """Returns `table` as LaTeX for the package booktabs."""
    header, *rows = (" & ".join(map(_latex_cell, line)) + r" \\" for line in (table.columns, *table.rows))
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
    """Writes each of `tables` by its name into `folder`, as .csv, and all of them as tables.md and tables.tex."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        write_csv(folder / f"{name}.csv", table.columns, [[readable(cell) for cell in row] for row in table.rows])
    write_text(folder / "tables.md", readable("\n".join(map(markdown, tables.values()))))
    source = "% needs \\usepackage{booktabs}\n" + "\n".join(map(latex, tables.values()))
    write_text(folder / "tables.tex", readable(source))


def readable(text: str) -> str:
    """Returns `text` with a question mark for what is no Unicode: a file's name may be any bytes."""
    return text.encode("utf-8", "replace").decode("utf-8")


def markdown_text(text: str) -> str:
    """Returns `text` as one line of Markdown that means just that."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _latex_cell(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in text).replace("\n", " ")
