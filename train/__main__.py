"""python -m train: fit, one head on the features of a folder."""

from collections.abc import Sequence

from cache.command import Parser, add_flags, read_flags, run


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; its last line is the path of the run folder."""
    from train.fit import FitConfig, fit

    parser = Parser(prog="python -m train", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    text = "train one head and write its run folder"
    add_flags(commands.add_parser("fit", help=text, description=text), FitConfig)
    print(fit(read_flags(parser.parse_args(argv), FitConfig)))


if __name__ == "__main__":
    run(main)
