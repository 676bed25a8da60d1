"""The baseline of every head: a logistic regression on features pooled over the frames of a clip."""

import numpy as np

from cache.schema import UserError
from train.data.batches import Clips

PENALTY = 0.01
"""scikit-learn's C: strong regularisation, because most data sets have fewer clips than features."""


def baseline_probabilities(clips: Clips, train: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns the probability of fake, float64 (R,), of the clips `rows` by a regression fitted on the clips `train`.

    Features are standardised on `train`; both classes weigh the same. Raises a UserError if a feature is not finite.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pooled = pool(clips.features, clips.mask)
    if not np.isfinite(pooled).all():
        broken = np.flatnonzero(~np.isfinite(pooled).all(axis=1))
        raise UserError(f"the features of {len(broken)} clips are not all finite; extract them with other weights.")
    model = make_pipeline(StandardScaler(), LogisticRegression(C=PENALTY, class_weight="balanced", max_iter=1000))
    model.fit(pooled[train], clips.labels[train])
    return model.predict_proba(pooled[rows])[:, 1]


def pool(features: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns mean and standard deviation over the unpadded frames, float64 (N, 2D), of features (N, 12, D)."""
    pooled = np.empty((len(features), 2, features.shape[2]))
    with np.errstate(invalid="ignore"):  # an infinite feature gives NaN, which the caller refuses
        for row, (frames, unpadded) in enumerate(zip(features, mask, strict=True)):
            frames = frames[unpadded].astype(np.float64)
            pooled[row] = frames.mean(axis=0), frames.std(axis=0)
    return pooled.reshape(len(features), -1)
