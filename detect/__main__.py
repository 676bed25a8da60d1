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
    start_keras()
    from train.runs import latest

    from detect.detector import Detector, find_clips

    clips = find_clips(arguments.clips)
    detector = Detector(arguments.run or latest(Path("runs")), arguments.weights)
    if not arguments.json:
        print(f"{'verdict':<10} {'p(fake)':>7} {'coverage':>8}  clip")
    judged = []
    for verdict, crops in detector.judge(clips, arguments.threshold):
        print(json.dumps(verdict.as_dict()) if arguments.json else _line(verdict), flush=True)
        judged.append((verdict, crops if arguments.show else None))
    if arguments.show:
        from detect.sheet import draw_sheets

        draw_sheets(arguments.show, judged)
    return _status({verdict.verdict for verdict, _ in judged})


def _parser() -> Parser:
    parser = Parser(prog="python -m detect", description=__doc__)
    parser.add_argument("clips", nargs="+", type=Path, metavar="CLIP", help="a video, or a folder with videos")
    parser.add_argument("--run", type=Path, help="the run folder to judge with (default: the newest below runs/)")
    parser.add_argument("--weights", help="the backbone's weights, if they have moved since the features were made")
    parser.add_argument("--threshold", type=float, default=0.5, help="probability from which a clip is called fake")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, with per-frame times and boxes")
    parser.add_argument("--show", type=Path, metavar="OUT.png", help="draw the crops the detector saw")
    return parser


def _line(verdict) -> str:
    probability = "-" if verdict.probability is None else f"{verdict.probability:.3f}"
    reason = f"  ({verdict.reason})" if verdict.reason else ""
    return f"{verdict.verdict:<10} {probability:>7} {verdict.coverage:>8.2f}  {verdict.clip}{reason}"


def _status(verdicts: set[str]) -> int:
    if verdicts & {"Undecided", "Failed"}:
        return NO_VERDICT
    return SOME_FAKE if "Fake" in verdicts else REAL_ONLY


if __name__ == "__main__":
    run(main, error_status=USAGE)
