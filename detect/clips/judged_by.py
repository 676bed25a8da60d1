"""What a line of a file of verdicts says of how it was made, and how such a line is read again."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from msgspec import Meta

from base.commands import flag
from base.outside.content import WrongContent
from base.outside.values import MOST_NAME, original, parse, parse_json

RUNS_JOIN = "/"
"""Between names of runs in a cell of a CSV: no folder has it in its name."""


@dataclass(frozen=True)
class JudgedBy:
    """What made the verdicts in a file: the names of the runs that judged together, one or more, and the flags.

    A clip is called fake from the probability `threshold` on; up to `faces` people of it were judged, and a long one in
    windows of `window` seconds, None for no windows. `reference` says beside which clips known to be real, and at which
    rate of false alarms, "" for none.
    """

    runs: tuple[str, ...]
    threshold: float
    faces: int = 1
    window: float | None = None
    reference: str = ""

    def values(self) -> dict[str, Any]:
        """Returns what each line says of this."""
        return {
            "runs": list(self.runs),
            "threshold": self.threshold,
            "most_faces": self.faces,
            "window": self.window,
        } | {"reference": self.reference}

    def differences(self, other: "JudgedBy") -> str:
        """Returns what is another thing here than in `other`, as in "run a, not b; --faces 2, not 1"."""
        pairs = {
            "run ": (", ".join(self.runs), ", ".join(other.runs)),
            f"{flag('threshold')} ": (f"{self.threshold:g}", f"{other.threshold:g}"),
            f"{flag('faces')} ": (self.faces, other.faces),
            f"{flag('timeline')} ": (_seconds(self.window), _seconds(other.window)),
            f"{flag('reference')} ": (self.reference or "none", other.reference or "none"),
        }
        return "; ".join(f"{name}{one}, not {two}" for name, (one, two) in pairs.items() if one != two)


@dataclass(frozen=True)
class WrittenVerdict:
    """What is read of a verdict in a file that is continued."""

    clip: str
    verdict: Literal["Fake", "Unsure", "Real", "Undecided", "Failed"]
    faces: Annotated[int, Meta(ge=1, le=10**6)]
    runs: tuple[Annotated[str, Meta(max_length=MOST_NAME)], ...]
    threshold: Annotated[float, Meta(ge=0, le=1)]
    most_faces: Annotated[int, Meta(ge=1, le=10**6)]
    window: Annotated[float, Meta(ge=0, le=1e9)] | None
    reference: Annotated[str, Meta(max_length=MOST_NAME)] = ""

    @property
    def by(self) -> JudgedBy:
        """What made it."""
        return JudgedBy(self.runs, self.threshold, self.most_faces, self.window, self.reference)


def read_line(line: str, columns: Sequence[str] | None) -> WrittenVerdict:
    """Returns the verdict in a `line` of CSV with these `columns`, or of JSON without; raises WrongContent."""
    try:
        return parse(WrittenVerdict, _csv_values(line, columns) if columns else parse_json(line))
    except (ValueError, csv.Error) as error:
        raise WrongContent(str(error)) from None


def _csv_values(line: str, columns: Sequence[str]) -> dict[str, Any]:
    """Returns a line of a CSV as JSON has its values; raises ValueError or csv.Error if it is none."""
    values = dict(zip(columns, map(original, next(csv.reader([line], strict=True))), strict=True))
    numbers = {"faces": int(values["faces"]), "most_faces": int(values["most_faces"])}
    numbers |= {
        "threshold": float(values["threshold"]),
        "window": float(values["window"]) if values["window"] else None,
    }
    return values | numbers | {"runs": values["runs"].split(RUNS_JOIN)}


def _seconds(window: float | None) -> str:
    return "off" if window is None else f"{window:g}"
