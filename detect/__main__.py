"""python -m detect: a verdict on clips, with exit status 0 if all are real, 1 if one is fake, 2 if one has no verdict,
64 if the command is not one."""

import json
from collections.abc import Sequence
from pathlib import Path

from cache.command import Parser, run, start_keras
from cache.schema import UserError

REAL_ONLY, SOME_FAKE, NO_VERDICT, USAGE = 0, 1, 2, 64


def main(argv: Sequence[str] | None = None) -> int:
    """Judges the clips named on the command line and prints a line for each; returns the exit status."""
    arguments = _parser().parse_args(argv)
    if not 0 <= arguments.threshold <= 1:
        raise UserError(f"--threshold {arguments.threshold:g} is not a probability; give a number from 0 to 1.")
    if arguments.show:
        _require_png(arguments.show)
    start_keras()
    from detect.detector import Detector, find_clips
    from train.runs import latest

    clips = find_clips(arguments.clips)
    detector = Detector(arguments.run or latest(Path("runs")), arguments.weights, arguments.detector_file)
    if not arguments.json:
        print(f"{'verdict':<10} {'p(fake)':>7} {'calibrated':>10} {'coverage':>8}  clip")
    judged = detector.judge(clips, arguments.threshold)
    if arguments.show:
        from detect.sheet import draw_sheets

        judged = draw_sheets(arguments.show, judged)
    verdicts = set()
    for verdict, _ in judged:
        print(json.dumps(verdict.as_dict()) if arguments.json else _line(verdict), flush=True)
        verdicts.add(verdict.verdict)
    return _status(verdicts)


def _parser() -> Parser:
    parser = Parser(prog="python -m detect", description=__doc__)
    parser.add_argument("clips", nargs="+", type=Path, metavar="CLIP", help="a video, or a folder with videos")
    parser.add_argument("--run", type=Path, help="the run folder to judge with (default: the newest below runs/)")
    parser.add_argument("--weights", help="the backbone's weights, if they have moved since the features were made")
    parser.add_argument("--detector-file", type=Path, help="yunet's ONNX file, if it has moved since then")
    parser.add_argument("--threshold", type=float, default=0.5, help="probability from which a clip is called fake")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, with per-frame times and boxes")
    parser.add_argument("--show", type=Path, metavar="OUT.png", help="draw the crops of twenty clips a file")
    return parser


def _require_png(path: Path) -> None:
    """Refuses what --show cannot write, before any work is done."""
    if path.suffix != ".png":
        raise UserError(f"--show {path} is not a PNG; give a name that ends in .png.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path.parent} cannot be written ({error.strerror}); choose another --show.") from None


def _line(verdict) -> str:
    probability, calibrated = (
        "-" if value is None else f"{value:.3f}" for value in (verdict.probability, verdict.calibrated)
    )
    reason = f"  ({verdict.reason})" if verdict.reason else ""
    return f"{verdict.verdict:<10} {probability:>7} {calibrated:>10} {verdict.coverage:>8.2f}  {verdict.clip}{reason}"


def _status(verdicts: set[str]) -> int:
    if verdicts & {"Undecided", "Failed"}:
        return NO_VERDICT
    return SOME_FAKE if "Fake" in verdicts else REAL_ONLY


if __name__ == "__main__":
    run(main, error_status=USAGE)
