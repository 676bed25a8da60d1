"""The settings of `detect`, and what is refused before any work is done."""

import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path

from base.commands import flag
from base.errors import UserError
from base.files import require_place, require_writable
from base.flags import bare, option
from detect.clips.inputs import DOWNLOAD_SECONDS
from detect.clips.results_file import require_suffix
from detect.clips.verdict_lines import Style
from detect.detector.config import DEFAULT_WINDOW, DetectorConfig, require_threshold, require_window
from detect.detector.judge import JudgeOptions
from extract.video.numbered import FPS, require_rate


@dataclass(frozen=True)
class DetectConfig(DetectorConfig):
    """Which clips to judge, how, and where the verdicts go."""

    video: tuple[str, ...] = bare(
        (), 'a video, a picture, a folder with them, a pattern such as "*.mp4", or - for a list, one a line', "CLIP"
    )
    ensemble: tuple[Path, ...] = option(
        (), "judge by the mean probability of these runs", nargs="+", type=Path, metavar="RUN"
    )
    faces: int = option(1, "people to judge in each clip, the largest face first")
    timeline: float | None = option(
        None,
        f"judge long clips in windows of this many seconds too ({DEFAULT_WINDOW:g} if no number follows)",
        nargs="?",
        const=DEFAULT_WINDOW,
        metavar="SECONDS",
    )
    format: Style = option("table", "how verdicts are printed")
    json: bool = option(False, "the same as --format jsonl: with the time and box of each frame")
    out: Path | None = option(
        None, "a .csv or .jsonl file that grows clip by clip; the same call continues it", metavar="FILE"
    )
    show: Path | None = option(None, "draw the crops, twenty clips to a file", metavar="OUT.png")
    explain: Path | None = option(
        None, "the same, with how much each frame and part of a face counts for the verdict", metavar="OUT.png"
    )
    html: Path | None = option(None, "write a page with every verdict and its crops, to pick from", metavar="OUT.html")
    allow_url: bool = option(
        False,
        "download clips that are named by an http(s) address; user and password stand before the host, as in "
        "http://user:password@host, or in ~/.netrc, and are never shown",
    )
    url_seconds: float = option(DOWNLOAD_SECONDS, "longest time that one download takes, in seconds")
    workers: int = option(2, "clips decoded at once")
    fps: float = option(FPS, "frames a second of folders of numbered pictures, each of which is a clip")

    @property
    def style(self) -> Style:
        """How verdicts are printed."""
        return "jsonl" if self.json else self.format

    def is_sheet(self, path: Path) -> bool:
        """Tells whether `path` is a contact sheet of this call, which is a picture, but none to judge."""
        sheets = [sheet for sheet in (self.show, self.explain) if sheet]
        return any(
            re.fullmatch(rf"{re.escape(sheet.stem)}(-\d+)?\.png", path.name) and path.parent.samefile(sheet.parent)
            for sheet in sheets
        )

    @property
    def options(self) -> JudgeOptions:
        """How each clip is judged."""
        return JudgeOptions(self.threshold, self.faces, self.timeline, fps=self.fps)


def check(config: DetectConfig) -> None:
    """Raises a UserError for settings that cannot work."""
    require_threshold(config.threshold)
    for name in ("faces", "workers"):
        if getattr(config, name) < 1:
            raise UserError(f"{flag(name, getattr(config, name))} is not 1 or more; give a number such as 2.")
    require_rate(config.fps)
    if not 0 < config.url_seconds <= threading.TIMEOUT_MAX:
        raise UserError(f"{flag('url_seconds', config.url_seconds)} is no time above 0; give seconds such as 600.")
    if config.timeline is not None:
        require_window("timeline", config.timeline)
    if config.out:
        require_suffix(config.out)
        if not os.path.lexists(config.out):
            require_writable(config.out, f"choose another {flag('out')}")
    for name, suffix in (("show", ".png"), ("explain", ".png"), ("html", ".html")):
        if path := getattr(config, name):
            _require_drawable(name, path, suffix)
    if config.show and config.explain and _are_one(config.show, config.explain):
        raise UserError(f"{flag('show')} and {flag('explain')} both name {config.show}; give each a name of its own.")


def _are_one(one: Path, other: Path) -> bool:
    """Tells whether two files to be made may be the same: case makes no difference on many a disk of macOS."""
    return one.name.casefold() == other.name.casefold() and one.parent.samefile(other.parent)


def _require_drawable(name: str, path: Path, suffix: str) -> None:
    if path.suffix != suffix:
        raise UserError(f"{flag(name, path)} does not end in {suffix}; give a name that ends in {suffix}.")
    require_place(path, f"choose another {flag(name)}")
