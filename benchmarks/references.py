"""python -m benchmarks.references: whose clips a reference should hold, on the verdicts of a cross-validation.

Each clip of a person with enough real clips is compared with other real clips of the same person, or of all others.
None of the heads saw any of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import logit
from sklearn.metrics import roc_auc_score

from base.command_line.parse import parse_flags
from base.ending import run
from base.flags import option, required
from base.outside.values import read_csv
from base.progress import say
from benchmarks.measure import write_document
from cache.manifest import read_manifest
from cache.schema import REAL
from cache.store import MANIFEST
from evaluate.stats.conformal import most_as_high
from train.data.split import owner


@dataclass(frozen=True)
class ReferencesConfig:
    """Which verdicts, and which rate of false alarms is promised."""

    features: Path = required("features folder of the clips")
    crossval: tuple[Path, ...] = required("folders that make crossval wrote on it, as A,B")
    rate: float = option(
        0.25, "promised rate of false alarms; four real clips of a person can keep no lower one than 0.2"
    )
    least: int = option(3, "real clips of a person, beside the one that is judged, from which they are a reference")
    out: Path = option(Path("benchmarks/references.json"), "file to write")


def main(argv: Sequence[str] | None = None) -> None:
    """Measures, prints and writes."""
    config: ReferencesConfig = parse_flags("python -m benchmarks.references", str(__doc__), ReferencesConfig, argv)
    records = {record.id: record for record in read_manifest(config.features / MANIFEST)}
    rows: dict[str, dict[str, list[float]]] = {}
    for folder in config.crossval:
        lines = [values for _, values in read_csv(folder / "predictions.csv", ("id", "repetition", "probability"))]
        found = []
        for repetition in sorted({line["repetition"] for line in lines}):
            own = [line for line in lines if line["repetition"] == repetition]
            people = np.array([owner(records[line["id"]]) for line in own])
            labels = np.array([int(line["label"]) for line in own])
            scores = logit(np.clip([float(line["probability"]) for line in own], 1e-6, 1 - 1e-6))
            found.append(measure(people, labels, scores, config.rate, config.least))
        rows[folder.name] = {
            name: [min(one[name] for one in found), max(one[name] for one in found)] for name in found[0]
        }
    write_document(config.out, {"rate": config.rate, "rows": rows})
    say(str(rows))


def measure(people: np.ndarray, labels: np.ndarray, scores: np.ndarray, rate: float, least: int) -> dict[str, float]:
    """Returns, for N clips of `people` (N,) with `labels` int (N,) and `scores` float (N,), what references give.

    The ROC AUC of the scores, and of their distance from the median of the same person's other real clips; and by whose
    clips the reference holds the share of real clips that are alarms, and of fakes that are found.
    """
    reals = {name: int(((people == name) & (labels == REAL)).sum()) for name in np.unique(people)}
    rows = [row for row, name in enumerate(people) if reals[name] > least]
    real, apart = labels == REAL, np.arange(len(people))
    own = [scores[real & (people == people[row]) & (apart != row)] for row in rows]
    others = [scores[real & (people != people[row])] for row in rows]
    found = {"roc_auc": roc_auc_score(labels[rows], scores[rows])}
    relative = [scores[row] - np.median(known) for row, known in zip(rows, own, strict=True)]
    found["relative roc_auc"] = roc_auc_score(labels[rows], relative)
    for whose, references in (("the same person", own), ("others", others)):
        pairs = zip(rows, references, strict=True)
        alarms = np.array([(known >= scores[row]).sum() <= most_as_high(len(known), rate) for row, known in pairs])
        found[f"alarms, {whose}"] = alarms[labels[rows] == REAL].mean()
        found[f"found, {whose}"] = alarms[labels[rows] != REAL].mean()
    return {name: round(float(value), 2) for name, value in found.items()}


if __name__ == "__main__":
    run(main)
