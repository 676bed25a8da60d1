"""python -m train: fit, one head on the features of a folder; finetune, its backbone too; cnn3d, a 3D network."""

from collections.abc import Sequence

from cache.command import Parser, add_flags, read_flags, run


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; its last line is the path of the run folder."""
    from train.cnn3d import Cnn3dConfig, train_cnn3d
    from train.finetune import FinetuneConfig, finetune
    from train.fit import FitConfig, fit

    stages = {
        "fit": (fit, FitConfig, "train one head and write its run folder"),
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
