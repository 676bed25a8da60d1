"""The trials of a sweep, best first: leaderboard.csv, sweep.json, and a table for the terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from base.files import write_csv, write_json
from base.progress import say

LEADERBOARD, SUMMARY = "leaderboard.csv", "sweep.json"
COLUMNS = (
    "rank", "trial", "state", "val_auc", "val_auc_error", "val_loss", "head", "units", "differences", "learning_rate",
    "dropout", "weight_decay", "epochs", "best_epoch", "seed", "reason",
)  # fmt: skip
STATES = {"complete": "finished", "pruned": "stopped early", "fail": "failed"}
"""How a trial can end, in words."""
SHOWN = 10
"""How many trials the terminal shows; the CSV lists all."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What `SUMMARY` holds: settings and data of the sweep, which values mattered, and the runs of the best trials."""

    config: dict[str, Any] = field(default_factory=dict)
    made_for: dict[str, Any] = field(default_factory=dict)
    importances: dict[str, Annotated[float, Meta(ge=0, le=1 + 1e-6)]]
    seconds: float = 0.0
    runs: list[Path] = field(default_factory=list)


def write_leaderboard(folder: Path, ranked: Sequence[Mapping[str, Any]], summary: Summary) -> None:
    """Writes the trials `ranked`, best first, and the `summary` of the sweep into `folder`; prints the best trials."""
    rows = [tuple({"rank": rank, **row}.get(column, "") for column in COLUMNS) for rank, row in enumerate(ranked, 1)]
    write_csv(folder / LEADERBOARD, COLUMNS, rows)
    write_json(folder / SUMMARY, asdict(summary))
    say("\n".join([*_table(ranked), _outcome(ranked, summary.seconds)]))
    say("The best of many trials looks better on validation than it is; only the test part tells how good it is.")


def _table(ranked: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["Measured on validation:", f"{'rank':>4} {'trial':>5} {'ROC AUC':>8} {'± error':>7} {'loss':>8}  values"]
    for rank, row in enumerate(ranked[:SHOWN], 1):
        if row["state"] == "complete":
            numbers = f"{row['val_auc']:>8.3f} {row['val_auc_error']:>7.3f} {row['val_loss']:>8.4f}"
            lines.append(f"{rank:>4} {row['trial']:>5} {numbers}  {_values(row)}")
    return lines


def _values(row: Mapping[str, Any]) -> str:
    shape = f"{row['head']} units {row['units']}" + (" differences" if row["differences"] else "")
    rates = f"rate {row['learning_rate']:.2g}, dropout {row['dropout']:.2f}, decay {row['weight_decay']:.1g}"
    return f"{shape}, {rates}, {row['epochs']} epochs"


def _outcome(ranked: Sequence[Mapping[str, Any]], seconds: float) -> str:
    return f"{states_text([row['state'] for row in ranked])}, in {seconds:.1f} s."


def states_text(states: Sequence[str]) -> str:
    """Returns how many trials there are, and how those of the `states` ended.

    >>> states_text(["complete", "complete", "pruned"])
    '3 trials: 2 finished, 1 stopped early'
    """
    ended = ", ".join(f"{states.count(state):,} {words}" for state, words in STATES.items() if state in states)
    return f"{len(states):,} trials: {ended}"


def auc_error(auc: float, reals: int, fakes: int) -> float:
    """Returns the standard error of a ROC AUC. Hanley & McNeil, Radiology 1982."""
    more_fake, more_real = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (fakes - 1) * (more_fake - auc**2) + (reals - 1) * (more_real - auc**2)
    return float(np.sqrt(max(spread, 0.0) / (reals * fakes)))
