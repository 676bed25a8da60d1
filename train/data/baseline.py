"""The baseline that every head has to beat: a logistic regression on features pooled over a clip's frames."""

import numpy as np

from cache.schema import UserError
from train.data.batches import Clips

PENALTY = 0.01
"""scikit-learn's C: strong regularisation, for there are more features than most data sets have clips."""


def baseline_probabilities(clips: Clips, train: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns the probability of fake, float64 (R,), of the clips `rows` from a regression fitted on the clips `train`.

    Features are standardised on `train`; both classes weigh the same. Raises a UserError if a feature is no number.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pooled = pool(clips.features, clips.mask)
    if not np.isfinite(pooled).all():
        broken = np.flatnonzero(~np.isfinite(pooled).all(axis=1))
        raise UserError(f"the features of {len(broken)} clips are not all numbers; extract them with other weights.")
    model = make_pipeline(StandardScaler(), LogisticRegression(C=PENALTY, class_weight="balanced", max_iter=1000))
    model.fit(pooled[train], clips.labels[train])
    return model.predict_proba(pooled[rows])[:, 1]


def pool(features: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns mean and standard deviation over the frames that are there, float64 (N, 2D), of features (N, 12, D)."""
    pooled = np.empty((len(features), 2, features.shape[2]))
    with np.errstate(invalid="ignore"):  # a feature that is infinite gives NaN, which the caller looks for
        for row, (frames, there) in enumerate(zip(features, mask, strict=True)):
            seen = frames[there].astype(np.float64)
            pooled[row] = seen.mean(axis=0), seen.std(axis=0)
    return pooled.reshape(len(features), -1)
