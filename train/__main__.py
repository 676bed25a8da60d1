"""python -m train: train heads on features, sweep over many, join runs, or train networks end to end on crops."""

from collections.abc import Sequence
from pathlib import Path

from base.ending import run
from base.flags import Command, run_command


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; the last line of its output is the path that it wrote."""
    train(argv)


def train(argv: Sequence[str] | None = None) -> Path | None:
    """Runs the command like `main`; returns the path that it wrote, None if it was only asked what there is."""
    from train.end_to_end.cnn3d import Cnn3dConfig, train_cnn3d
    from train.end_to_end.finetune import FinetuneConfig, finetune
    from train.fit import FitConfig, fit
    from train.runs.ensemble import EnsembleConfig, ensemble
    from train.sweep.stage import SweepConfig, sweep

    commands = {
        "fit": Command(fit, FitConfig, "Train one head per seed and write the run folders.", "train"),
        "sweep": Command(sweep, SweepConfig, "Try many heads side by side and write the best as runs.", "sweep"),
        "ensemble": Command(ensemble, EnsembleConfig, "Join finished runs into one.", "ensemble"),
        "finetune": Command(
            finetune, FinetuneConfig, "Train backbone and head of a run further, on crops.", "finetune"
        ),
        "cnn3d": Command(train_cnn3d, Cnn3dConfig, "Train a small 3D network on the crops of a run.", "cnn3d"),
    }
    written = run_command("python -m train", commands, argv)
    return written if isinstance(written, Path) else None


if __name__ == "__main__":
    run(main)
