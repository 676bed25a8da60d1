"""The trials of a sweep, best first: leaderboard.csv, sweep.json, and a table for the terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

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
BASELINE = "baseline"
"""The trial and the state in the baseline's row."""
SHOWN = 10
"""How many trials the terminal shows; the CSV lists all."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What `SUMMARY` holds: settings and data of the sweep, which values mattered, and the runs of the best trials."""

    config: dict[str, Any] = field(default_factory=dict)
    made_for: dict[str, Any] = field(default_factory=dict)
    importances: dict[str, Annotated[float, Meta(ge=0, le=1 + 1e-6)]]
    seconds: float = 0.0
    folds: int = 1
    conclusion: str = ""
    runs: list[Path] = field(default_factory=list)


def write_leaderboard(folder: Path, ranked: Sequence[Mapping[str, Any]], summary: Summary) -> None:
    """Writes the trials `ranked`, best first, and the `summary` of the sweep into `folder`; prints the best trials."""
    write_csv(folder / LEADERBOARD, COLUMNS, leaderboard_rows(ranked))
    write_json(folder / SUMMARY, asdict(summary))
    say("\n".join([*_table(ranked, summary.folds), _outcome(ranked, summary.seconds), summary.conclusion]))
    say("The best of many trials looks better on validation than it is; only the test part tells how good it is.")


def leaderboard_rows(ranked: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    """Returns the rows of `LEADERBOARD`, whose columns are `COLUMNS`, of the trials `ranked`, best first."""
    return [tuple({"rank": rank, **row}.get(column, "") for column in COLUMNS) for rank, row in enumerate(ranked, 1)]


def _table(ranked: Sequence[Mapping[str, Any]], folds: int) -> list[str]:
    where = f"Means over {folds} folds by person:" if folds > 1 else "Measured on validation:"
    lines = [where, f"{'rank':>4} {'trial':>5} {'ROC AUC':>8} {'± error':>7} {'loss':>8}  values"]
    for rank, row in enumerate(ranked, 1):
        if rank > SHOWN and row["state"] != BASELINE:
            continue
        if row["state"] in ("complete", BASELINE):
            numbers = f"{row['val_auc']:>8.3f} {row['val_auc_error']:>7.3f} {row['val_loss']:>8.4f}"
            name, values = ("", row["head"]) if row["state"] == BASELINE else (row["trial"], _values(row))
            lines.append(f"{rank:>4} {name:>5} {numbers}  {values}")
    return lines


def _values(row: Mapping[str, Any]) -> str:
    shape = f"{row['head']} units {row['units']}" + (" differences" if row["differences"] else "")
    rates = f"rate {row['learning_rate']:.2g}, dropout {row['dropout']:.2f}, decay {row['weight_decay']:.1g}"
    return f"{shape}, {rates}, {row['epochs']} epochs"


def _outcome(ranked: Sequence[Mapping[str, Any]], seconds: float) -> str:
    return f"{states_text([row['state'] for row in ranked if row['state'] != BASELINE])}, in {seconds:.1f} s."


def states_text(states: Sequence[str], wanted: int = 0) -> str:
    """Returns how many trials there are, of those `wanted` while there will be more, and how those of `states` ended.

    >>> states_text(["complete", "complete", "pruned"])
    '3 trials: 2 finished, 1 stopped early'
    """
    ended = ", ".join(f"{states.count(state):,} {words}" for state, words in STATES.items() if state in states)
    return f"{len(states):,}{f' of {wanted:,}' if wanted else ''} trials: {ended}"
