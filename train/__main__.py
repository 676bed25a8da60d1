"""python -m train: train heads on features, sweep over many, join runs, or train networks end to end on crops."""

from collections.abc import Sequence

from cache.cli import Parser, add_flags, read_flags, run


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; the last line of its output is the path that it wrote."""
    from train.end_to_end.cnn3d import Cnn3dConfig, train_cnn3d
    from train.end_to_end.finetune import FinetuneConfig, finetune
    from train.fit import FitConfig, fit
    from train.runs.ensemble import EnsembleConfig, ensemble
    from train.sweep.stage import SweepConfig, sweep

    stages = {
        "fit": (fit, FitConfig, "train one head per seed and write the run folders"),
        "sweep": (sweep, SweepConfig, "try many heads side by side and write the best as runs"),
        "ensemble": (ensemble, EnsembleConfig, "join finished runs into one"),
        "finetune": (finetune, FinetuneConfig, "train the backbone and head of a run further, end to end from crops"),
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
