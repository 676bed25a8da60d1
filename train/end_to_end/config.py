"""The settings that fine-tuning and the 3D network share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from base.errors import UserError
from base.flags import option
from train.runs.live import Log, lasting, log_option


@dataclass(frozen=True)
class EndToEndConfig:
    """How to train a network over crops."""

    run: Path | None = option(None, "run folder to start from: its split is kept (default: the newest below runs/)")
    runs: Path = option(Path("runs"), "where the run folder goes")
    name: str | None = option(None, "name of the run folder (default: made from the network's)")
    learning_rate: float = option(1e-5, "Adam's learning rate at its highest")
    warmup_epochs: int = option(1, "epochs over which the learning rate rises; afterwards it falls to zero as a cosine")
    epochs: int = option(15, "epochs at most; all of them where there is no validation part")
    patience: int = option(5, "epochs without a lower validation loss after which training stops")
    batch: int = option(4, "clips a batch, of twelve crops each")
    accumulate: int = option(4, "batches whose mean gradient makes one step")
    augment: bool = option(True, "flip, brighten, compress and blur the crops of train, alike in all frames of a clip")
    data_set_weights: bool = option(False, "of several data sets, weigh all the same, as train does with this flag")
    precision: Literal["float32", "mixed_bfloat16"] = option("float32", "number format that training computes in")
    seed: int = option(0, "seed of order, augmentation, dropout and random weights")
    log: Log = log_option()

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that the trained weights depend on; where the run folder goes is left out."""
        values = lasting(self) | {"run": self.run and self.run.resolve()}
        return {name: value for name, value in values.items() if name not in ("runs", "name")}


def require_sensible(config: EndToEndConfig) -> None:
    """Raises a UserError if a setting is out of range."""
    least = min(config.batch, config.epochs, config.patience, config.accumulate)
    if least < 1 or not 0 < config.learning_rate < 10 or config.seed < 0:
        raise UserError(
            "batch, epochs, patience and accumulate have to be 1 or above, the learning rate between 0 and 10, "
            "the seed 0 or above; mend the flag."
        )
    if not 0 <= config.warmup_epochs < config.epochs:
        raise UserError(
            f"{config.warmup_epochs} warm-up epochs do not lie in 0 to below the {config.epochs} epochs; mend the flag."
        )
