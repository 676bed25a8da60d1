"""python -m benchmarks.choosing: how much is lost by choosing one of 64 heads on so few people and clips.

Heads differ in how well they find fakes, and each finds those of some people better than those of others. What it says
of a clip depends on the clip and on the person too, partly in the same way for all heads. The best head on the drawn
clips is chosen; what it loses in ROC AUC against the best one of all is what people and clips were too few for. A sweep
chooses by folds of everybody where validation has fewer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import norm

from base.command_line.parse import parse_flags
from base.ending import run
from base.files import write_json
from base.flags import option
from train.heads.ranking import roc_auc

HEADS = 64
PEOPLE, CLIPS = (1, 2, 4, 8, 16, 32), (4, 8, 16, 32, 64, 128)
"""People, and clips of each class, that the choice is made on."""
WORTH = 0.015
"""A loss in ROC AUC below this is not worth training five times as many heads for."""
FINDS, DIFFER = 1.2, 0.2
"""How far fakes lie from real clips, for heads on average, and how much heads differ in that."""
PERSON, PERSON_AND_HEAD, CLIP, CLIP_AND_HEAD = 0.5, 0.3, 0.7, 0.4
"""How much scores vary from person to person and from clip to clip, for all heads alike and for each its own way: a
person's fakes are easier for one head than for another."""


@dataclass(frozen=True)
class ChoosingConfig:
    """How often, and where to."""

    rounds: int = option(1000, "choices for each number of people and clips")
    out: Path = option(Path("benchmarks/choosing.json"), "file to write")
    seed: int = option(0, "seed of the drawing")


def main(argv: Sequence[str] | None = None) -> None:
    """Simulates, prints the table, writes it to a file."""
    config: ChoosingConfig = parse_flags("python -m benchmarks.choosing", str(__doc__), ChoosingConfig, argv)
    rows = [
        {"people": people, "clips": clips, "lost": round(lost(people, clips, config.rounds, config.seed), 4)}
        for people in PEOPLE
        for clips in CLIPS
    ]
    for row in rows:
        print(f"{row['people']:>3} people, {row['clips']:>3} clips of each class: {row['lost']:.4f} lost")
    write_json(config.out, {"rounds": config.rounds, "rows": rows})


def lost(people: int, clips: int, rounds: int, seed: int) -> float:
    """Returns what the chosen head loses in ROC AUC, on average over `rounds` choices on so many people and clips."""
    random, labels = np.random.default_rng([seed, people, clips]), np.arange(2 * clips) % 2
    person = np.arange(2 * clips) // 2 % people
    spread = np.sqrt(2 * (PERSON**2 + CLIP**2 + CLIP_AND_HEAD**2) + PERSON_AND_HEAD**2)  # of a fake minus a real clip
    losses = []
    for _ in range(rounds):
        finds = random.normal(FINDS, DIFFER, HEADS)
        found = finds[:, None] + random.normal(0, PERSON_AND_HEAD, (HEADS, people))
        scores = found[:, person] * labels + random.normal(0, PERSON, people)[person]
        scores = scores + random.normal(0, CLIP, len(labels)) + random.normal(0, CLIP_AND_HEAD, scores.shape)
        best = roc_auc(scores, labels).argmax()
        losses.append(np.diff(norm.cdf(np.array([finds[best], finds.max()]) / spread)).item())
    return float(np.mean(losses))


if __name__ == "__main__":
    run(main)
