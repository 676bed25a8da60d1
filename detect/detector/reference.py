"""Scores of clips that the user knows to be real, and what a new score is beside them."""

import functools
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from base.commands import command, flag
from base.errors import UserError
from base.files import make_folder, write_json, writing
from base.outside.content import NO_FILE, WrongContent, checksum
from base.outside.values import WrongValue, parse, read_json
from base.text import printable
from detect.detector.contract import CONTRACT, is_export
from evaluate.stats.conformal import DEFAULT_RATE, SURE, least_known, most_as_high, p_value
from train.runs.recipe import run_digest

REFERENCES = "references"
"""The folder in that of a run, or of an export, where its references lie."""
_NAME = re.compile(r"\w[\w.-]{0,99}")


@dataclass(frozen=True)
class KnownClip:
    """A clip that is known to be real: its name, what it counts with as one source, and its score."""

    clip: str
    source: str
    score: Annotated[float, Meta(ge=0, le=1)]


@dataclass(frozen=True)
class Beside:
    """A score beside a reference: so many of the `known` sources score at least `as_high`, which gives `p_value`.

    `is_alarm` tells whether that is rare enough to call the clip fake at the rate of false alarms that was asked for.
    """

    reference: str
    known: int
    as_high: int
    p_value: float
    is_alarm: bool

    @property
    def sentence(self) -> str:
        """What that means."""
        return f"{self.as_high:,} of {self.known:,} known real sources of {self.reference} score as high"


@dataclass(frozen=True)
class Reference:
    """Clips known to be real, judged by the run with the digest `run`.

    The clips of one source count as one, by the highest of their scores: they are alike. A clip is called fake only
    where of real clips like these at most the share `rate` is; where `strict`, 95 of 100 references keep that.
    """

    name: str
    run: str
    clips: tuple[KnownClip, ...]
    rate: float = DEFAULT_RATE
    strict: bool = False

    @functools.cached_property
    def scores(self) -> dict[str, float]:
        """The highest score of each source."""
        scores: dict[str, float] = {}
        for known in self.clips:
            scores[known.source] = max(known.score, scores.get(known.source, 0.0))
        return scores

    @functools.cached_property
    def most_as_high(self) -> int:
        """How many sources may score as high as a clip that is still called fake."""
        return most_as_high(len(self.scores), self.rate, self.strict)

    def beside(self, score: float) -> Beside:
        """Returns what `score` is beside these clips."""
        scores = self.scores.values()
        as_high = sum(known >= score for known in scores)
        return Beside(self.name, len(scores), as_high, p_value(as_high, len(scores)), as_high <= self.most_as_high)

    @property
    def settings(self) -> str:
        """Its name and its rate, as in "studio at 0.05"."""
        return f"{self.name} at {self.rate:g}{' strict' if self.strict else ''}"

    @property
    def sentence(self) -> str:
        """What is promised, on what, and what is not."""
        promise = f"of real clips like these at most {self.rate:.1%} are called fake"
        sure = f", which {SURE:.0%} of such references keep" if self.strict else ", on average over such references"
        return (
            f"Beside {self.name}, {len(self.clips):,} clips of {len(self.scores):,} sources that you know to be real: "
            f"{promise}{sure}. Nothing is promised of other footage, nor of how many fakes are found."
        )


def write_reference(folder: Path, reference: Reference) -> Path:
    """Writes `reference` beside the run, or the export, in `folder`; returns its file."""
    path = reference_file(folder, reference.name)
    with writing(path, f"choose another {flag('name')}"):
        make_folder(path.parent)
        entries = asdict(reference)
        return write_json(path, {name: entries[name] for name in ("name", "run", "clips")})


def read_reference(folder: Path, name: str, rate: float, strict: bool) -> Reference:
    """Returns the reference called `name` of the run, or export, in `folder`, asked for false alarms at `rate`.

    A UserError says that there is none, that another run has judged its clips, or that they are too few.
    """
    path = reference_file(folder, name)
    try:
        reference = replace(parse(Reference, read_json(path)), rate=rate, strict=strict)
    except NO_FILE:
        here = ", ".join(sorted(file.stem for file in path.parent.glob("*.json"))) or "none"
        make = command("reference", real="...", run=folder, name=name)
        raise UserError(f"{folder} has no reference {name!r} (there: {here}); {make} makes it.") from None
    except (WrongContent, WrongValue) as error:
        raise UserError(f"{path} is no reference ({error}); make it again.") from None
    if reference.run != judge_digest(folder):
        raise UserError(f"{path} has scores of another run than the one that is here now; make the reference again.")
    known, least = len(reference.scores), least_known(rate, strict)
    if known < least:
        raise UserError(
            f"{path} has clips of {known} sources, and {flag('false_alarms', f'{rate:g}')}"
            f"{' with ' + flag('strict') if strict else ''} needs {least}; add some, or allow more false alarms."
        )
    return replace(reference, name=printable(name))


def reference_file(folder: Path, name: str) -> Path:
    """Returns where the reference called `name` of the run in `folder` lies; a UserError if none can."""
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{flag('reference', name)} is not a name; give letters, digits, dots, - and _, such as studio."
        )
    return folder / REFERENCES / f"{name}.json"


def judge_digest(folder: Path) -> str:
    """Returns what tells the run, or the export, in `folder` from others."""
    return checksum(folder / CONTRACT) if is_export(folder) else run_digest(folder)


def require_rate(rate: float) -> None:
    """Raises a UserError unless `rate` can be kept by false alarms."""
    if not 0.0001 <= rate <= 0.5:
        raise UserError(f"{flag('false_alarms', f'{rate:g}')} is not 0.0001 to 0.5; give a share such as 0.05.")
