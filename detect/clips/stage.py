"""python -m detect CLIP...: a verdict on each clip.

The exit status is 0 if all are real, 1 if one is fake, 2 if one got no verdict, 64 if the command is none. Other
commands: python -m detect stream | export | web.
"""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from cache.cli import Parser
from cache.schema import UserError, printable
from detect.clips.inputs import Clip, open_clips
from detect.clips.results_file import ResultFile, Style, header, lines
from detect.detector.contract import CONTRACT, read_contract
from detect.detector.load import ENGINES, newest, open_detector, open_ensemble
from detect.detector.verdict import Ask, Detector, Seen, Verdict, require_threshold
from evaluate.stats.metrics import THRESHOLD

REAL_ONLY, SOME_FAKE, NO_VERDICT = 0, 1, 2
WINDOW = 6.0
"""Seconds of a window, where --timeline does not say."""


def main(argv: Sequence[str]) -> int:
    """Judges the clips named in `argv` and prints a line for each; returns the exit status."""
    arguments = _parser().parse_args(argv)
    _check(arguments)
    with open_clips(arguments.clips, arguments.allow_url) as clips, contextlib.ExitStack() as closing:
        detector, name = _detector(arguments)
        judge = f"{printable(name)} at {arguments.threshold:g}"
        file = ResultFile(arguments.out, judge) if arguments.out else None
        if file:
            closing.callback(file.close)
        draw = closing.enter_context(_drawing(detector, arguments))
        left = [clip for clip in clips if not (file and clip.name in file)]
        said = {verdict for clip in clips if file for verdict in file.of(clip.name)}
        if len(left) < len(clips):
            print(f"{len(clips) - len(left)} of {len(clips)} clips are in {arguments.out} already.", file=sys.stderr)
        style: Style = "jsonl" if arguments.json else arguments.format
        print(header(style), end="", flush=True)
        for judged in _judge(detector, left, arguments):
            verdicts = [verdict for verdict, _ in judged]
            print(lines(verdicts, style, judge, arguments.threshold), end="", flush=True)
            if file:
                file.add(verdicts, arguments.threshold)
            said |= {verdict.verdict for verdict in verdicts}
            draw(judged)
    if said & {"Undecided", "Failed"}:
        return NO_VERDICT
    return SOME_FAKE if "Fake" in said else REAL_ONLY


@contextlib.contextmanager
def _drawing(detector: Detector, arguments: argparse.Namespace) -> Iterator[Callable[[list[Seen]], None]]:
    """Gives what draws each clip on the sheets that were asked for; the last of them at the end."""
    if not (arguments.show or arguments.explain):
        yield lambda _: None
        return
    from detect.clips.evidence import (
        find_evidence,  # here, because Matplotlib takes longer to load than a clip to judge
    )
    from detect.clips.sheet import Judged, Sheets

    plain, explained = (Sheets(path) if path else None for path in (arguments.show, arguments.explain))

    def draw(judged: list[Seen]) -> None:
        for verdict, crops in judged:
            if plain:
                plain.add(Judged(verdict, crops))
            if explained:
                known = crops is not None and verdict.probability is not None
                evidence = find_evidence(detector, crops, len(verdict.frames)) if known else None  # pyright: ignore[reportArgumentType]
                explained.add(Judged(verdict, crops, evidence))

    yield draw
    for sheets in (plain, explained):
        if sheets:
            sheets.close()


def _judge(detector: Detector, clips: Sequence[Clip], arguments: argparse.Namespace) -> Iterator[list[Seen]]:
    """Yields the verdicts on each clip under the clip's name, those without a file first."""
    for clip in clips:
        if clip.reason:
            yield [(Verdict(clip.name, "Failed", None, None, 0.0, f"missing: {clip.reason}", ()), None)]
    names = {str(clip.path): clip.name for clip in clips if not clip.reason}
    ask = Ask(arguments.threshold, arguments.faces, arguments.timeline)
    for judged in detector.judge(list(map(Path, names)), ask, workers=arguments.workers):
        yield [(replace(verdict, clip=names[verdict.clip]), crops) for verdict, crops in judged]


def _detector(arguments: argparse.Namespace) -> tuple[Detector, str]:
    """Returns what judges, and the name it goes by in the results."""
    if arguments.ensemble:
        if arguments.run or arguments.engine != "keras":
            raise UserError("--ensemble joins runs as Keras runs them; leave out --run and --engine.")
        detector = open_ensemble(arguments.ensemble, arguments.weights, arguments.detector_file)
        return detector, " and ".join(folder.resolve().name for folder in arguments.ensemble)
    folder = arguments.run or newest()
    detector = open_detector(folder, arguments.weights, arguments.detector_file, arguments.engine)
    return detector, _name_of(folder)


def _name_of(folder: Path) -> str:
    """Returns the name of the run in `folder`, or of the one that was exported to it: all of these are called alike."""
    return read_contract(folder).run if (folder / CONTRACT).is_file() else folder.resolve().name


def _parser() -> Parser:
    parser = Parser(prog="python -m detect", description=__doc__)
    add = parser.add_argument
    add("clips", nargs="+", metavar="CLIP", help='a video, a folder with videos, "*.mp4", or - for a list, one a line')
    add("--run", type=Path, help="the run folder, or an exported one, to judge with (default: the newest below runs/)")
    add("--ensemble", type=Path, nargs="+", metavar="RUN", help="judge by the mean probability of these runs")
    add("--engine", choices=ENGINES, default="keras", help="what runs the networks; all but keras need make export")
    add("--weights", help="the backbone's weights, if they have moved since the features were made")
    add("--detector-file", type=Path, help="yunet's ONNX file, if it has moved since then")
    add("--threshold", type=float, default=THRESHOLD, help="probability from which a clip is called fake")
    add("--faces", type=int, default=1, metavar="N", help="people to judge in each clip, the largest face first")
    add("--timeline", type=float, nargs="?", const=WINDOW, metavar="SECONDS",
        help=f"judge long clips in windows of this length, too ({WINDOW:g} if none is given)")  # fmt: skip
    add("--format", choices=("table", "csv", "jsonl"), default="table", help="how verdicts are printed")
    add("--json", action="store_true", help="the same as --format jsonl: with per-frame times and boxes")
    add(
        "--out",
        type=Path,
        metavar="FILE",
        help="a .csv or .jsonl that grows clip by clip; a later call goes on",
    )
    add("--show", type=Path, metavar="OUT.png", help="draw the crops of twenty clips a file")
    add("--explain", type=Path, metavar="OUT.png", help="the same, with what each frame and part of a face speaks for")
    add("--allow-url", action="store_true", help="download clips that are named by an http(s) address")
    add("--workers", type=int, default=2, metavar="N", help="clips decoded at once")
    return parser


def _check(arguments: argparse.Namespace) -> None:
    """Refuses what could not be done, before any work is."""
    require_threshold(arguments.threshold)
    for name in ("faces", "workers"):
        if getattr(arguments, name) < 1:
            raise UserError(f"--{name} {getattr(arguments, name)} is not 1 or more; give a number such as 2.")
    if arguments.timeline is not None and not 0.1 <= arguments.timeline <= 3600:
        raise UserError(f"--timeline {arguments.timeline:g} is not 0.1 to 3600 seconds; give a length such as 6.")
    for name in ("show", "explain"):
        if path := getattr(arguments, name):
            _require_png(f"--{name}", path)
    if arguments.show and arguments.show == arguments.explain:
        raise UserError(f"--show and --explain both name {arguments.show}; give each a name of its own.")


def _require_png(flag: str, path: Path) -> None:
    if path.suffix != ".png":
        raise UserError(f"{flag} {path} is not a PNG; give a name that ends in .png.")
    if path.is_dir():
        raise UserError(f"{flag} {path} is a folder; give a name that is none.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path.parent} cannot be written ({error.strerror}); choose another {flag}.") from None
