"""python -m benchmarks: measures ratios in one run, prints a table, and writes it to results.json."""

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from base.command_line.parse import Parser
from base.ending import run
from base.errors import UserError
from base.keras_start import start_keras
from benchmarks.measure import Result, write_rows

HERE = Path(__file__).parent


def _benches() -> dict[str, Callable[[Path, int], Iterator[Result]]]:
    start_keras()  # first, so that TensorFlow keeps its remarks to itself
    from benchmarks.ratios.detection import detect_default, page_start, stream_720p
    from benchmarks.ratios.frames import frames
    from benchmarks.ratios.installing import install
    from benchmarks.ratios.stage1 import second_backbone, stage1
    from benchmarks.ratios.stage2 import head_epoch, load_bench, sweep_bench

    return {
        "extract_1080p": lambda clips, repeats: stage1(clips, repeats, "1080p"),
        "extract_480p": lambda clips, repeats: stage1(clips, repeats, "480p"),
        "frames": frames,
        "second_backbone": second_backbone,
        "load": lambda _, repeats: load_bench(repeats),
        "sweep": lambda _, repeats: sweep_bench(repeats),
        "head_epoch": lambda _, repeats: head_epoch(repeats),
        "detect_default": detect_default,
        "page_start": page_start,
        "stream_720p": stream_720p,
        "install": install,
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the benches and prints the table; a UserError names those that could not be measured, after all others."""
    arguments = _parser().parse_args(argv)
    benches = _benches()
    results: list[Result] = []
    failed: list[str] = []
    for name in arguments.only or benches:
        print(f"measuring {name} ...", flush=True)
        try:
            measured = list(benches[name](arguments.clips, arguments.repeats))
        except UserError as error:
            print(f"{name} is not measured: {error}", flush=True)
            failed.append(name)
            continue
        if arguments.out:  # at once: a bench that fails does not take the others with it
            write_rows(arguments.out, [asdict(result) for result in measured])
        results += measured
    print("\n".join(_table(results)))
    if failed:
        raise UserError(f"{', '.join(failed)} could not be measured; the reasons are above.")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(_benches()), help="measure only these")
    parser.add_argument("--repeats", type=int, default=5, help="paired repeats of each bench (default: 5)")
    parser.add_argument("--clips", type=Path, default=HERE / "clips", help="folder where the clips are kept")
    parser.add_argument("--out", type=Path, help="where to write the results (make bench: benchmarks/results.json)")
    return parser


def _table(results: Iterable[Result]) -> Iterator[str]:
    yield f"{'bench':<24} {'ratio':>7} {'from - to':>15} {'aim':>6}  figures"
    for result in results:
        spread = f"{result.spread[0]:.2f} - {result.spread[1]:.2f}"
        figures = ", ".join(f"{name} {value}" for name, value in result.figures.items())
        yield f"{result.name:<24} {result.ratio:>7.2f} {spread:>15} {result.aim:>6.2f}  {figures}"


if __name__ == "__main__":
    run(main)
