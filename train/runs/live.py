"""A training for TensorBoard to show while it runs: the numbers of each epoch, by the names of history.csv.

A run folder comes into being whole, at the end. Until then the numbers lie in a hidden folder beside it, where
TensorBoard finds them too; they are in the run's folder `tensorboard` afterwards.
"""

import dataclasses
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from base.flags import option

Log = Literal["none", "tensorboard"]
LIVE = "tensorboard"
"""The folder for them in a run's."""


def log_option(where: str = "the run folder") -> Any:
    """Returns the field `log` of a config whose numbers lie in `where` in the end."""
    return option("none", f"tensorboard: also write each epoch's losses for it, into {where}, while the training runs")


def lasting(config: Any) -> dict[str, Any]:
    """Returns the settings of a dataclass as a run keeps them: how its training was watched is none of its own."""
    return {name: value for name, value in dataclasses.asdict(config).items() if name != "log"}


def live_folder(run: Path) -> Path:
    """Returns where the numbers of the run folder `run` lie while this process trains it, and another one maybe too."""
    return run.with_name(f".live-{run.name}-{os.getpid()}")


def keep_live(run: Path, into: Path) -> None:
    """Copies the numbers of `run`, if it has any, into its folder `into`, which gets its name later."""
    if live_folder(run).is_dir():
        shutil.copytree(live_folder(run), into / LIVE)


def forget_live(run: Path) -> None:
    """Removes what lies beside the run folder `run`."""
    shutil.rmtree(live_folder(run), ignore_errors=True)


class Live:
    """Writes numbers into `folder`, from where TensorBoard reads them at once."""

    def __init__(self, folder: Path) -> None:
        import tensorflow as tf

        self._writer = tf.summary.create_file_writer(str(folder))
        # tf.summary.scalar would need TensorBoard itself, which may be installed elsewhere.
        plugin = tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
        self._scalar = tf.compat.v1.SummaryMetadata(plugin_data=plugin)

    def note(self, epoch: int, values: Mapping[str, float]) -> None:
        """Adds the `values` of an epoch by name; those that are not finite are left out."""
        import tensorflow as tf

        with self._writer.as_default(step=epoch):
            for name, value in values.items():
                if np.isfinite(value):
                    tf.summary.write(name, tf.constant(value, tf.float32), metadata=self._scalar)
        self._writer.flush()
