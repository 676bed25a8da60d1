"""Whether clips are of the kind that a run was trained on, each by itself and as a whole."""

import numpy as np

from evaluate.stats.two_samples import tell_apart
from train.data.neighbours import Neighbours


def sentence_on_all(neighbours: Neighbours, points: np.ndarray) -> str:
    """Returns how clips at `points` (N, 4, 64) differ as a whole from the training clips; "" if not, or if few.

    What no single clip shows, many may: each of them lies within the limit, and all of them on one side.
    """
    trained, others = (one.reshape(len(one), -1) for one in (neighbours.points, points))
    apart = tell_apart(trained, others, neighbours.owners)
    if apart is None or not apart.is_clear:
        return ""
    return (
        f"These {len(points):,} clips differ as a whole from the training clips (a classifier tells them apart, "
        f"ROC AUC {apart.area:.2f}, p = {apart.p_value:.3f}, each clip taken for another person), so the run may be "
        "wrong on them more often than its report says."
    )


def sentence_on_each(distances: np.ndarray) -> str:
    """Returns how many of the clips with these mean distances (N,) are too unlike the training clips; "" if none."""
    beyond = int((distances > 1).sum())
    return f"{beyond:,} of {len(distances):,} clips are too unlike the training clips to be called." if beyond else ""
