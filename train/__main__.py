"""python -m train: heads on the features of a folder, sweeps of them, joined runs, and networks trained end to end."""

from collections.abc import Sequence

from cache.cli import Parser, add_flags, read_flags, run


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; its last line is the path of what it wrote."""
    from train.end_to_end.cnn3d import Cnn3dConfig, train_cnn3d
    from train.end_to_end.finetune import FinetuneConfig, finetune
    from train.fit import FitConfig, fit
    from train.runs.ensemble import EnsembleConfig, ensemble
    from train.sweep.stage import SweepConfig, sweep

    stages = {
        "fit": (fit, FitConfig, "train heads, one a seed, and write their run folders"),
        "sweep": (sweep, SweepConfig, "try many heads at once, and write the best as runs"),
        "ensemble": (ensemble, EnsembleConfig, "join finished runs into one"),
        "finetune": (finetune, FinetuneConfig, "train a run's backbone and head further, end to end from crops"),
        "cnn3d": (train_cnn3d, Cnn3dConfig, "train a small 3D network on the crops and the split of a run"),
    }
    parser = Parser(prog="python -m train", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (_, config, text) in stages.items():
        add_flags(commands.add_parser(name, help=text, description=text), config)
    arguments = parser.parse_args(argv)
    stage, config, _ = stages[arguments.command]
    print(stage(read_flags(arguments, config)))


if __name__ == "__main__":
    run(main)
