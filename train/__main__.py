"""python -m train: fit heads on the features of a folder, or join finished runs."""

import importlib
from collections.abc import Sequence

from cache.command import Parser, add_flags, read_flags, run

COMMANDS = {
    "fit": ("train.fit", "FitConfig", "train heads, one a seed, and write their run folders"),
    "sweep": ("train.sweep", "SweepConfig", "try many heads at once, and write the best as runs"),
    "ensemble": ("train.ensemble", "EnsembleConfig", "join finished runs into one"),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; its last line is the path of the run folder."""
    parser = Parser(prog="python -m train", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    configs = {}
    for name, (module, config, text) in COMMANDS.items():
        configs[name] = getattr(importlib.import_module(module), config)
        add_flags(commands.add_parser(name, help=text, description=text), configs[name])
    arguments = parser.parse_args(argv)
    stage = getattr(importlib.import_module(COMMANDS[arguments.command][0]), arguments.command)
    print(stage(read_flags(arguments, configs[arguments.command])))


if __name__ == "__main__":
    run(main)
