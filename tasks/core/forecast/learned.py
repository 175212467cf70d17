"""What was learned of accounts that left their bands: gradient boosted trees on where they stood.

The formula takes sessions to be alike and nothing to happen but markets; what is paid in, dividends and calm or rough times it does not know. The
trees are scikit-learn's (``HistGradientBoostingClassifier``, after Ke et al., "LightGBM", NeurIPS 2017), with their seed fixed: the same nights teach
the same.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tasks.core.forecast.chances import Bands, Chances, Floats

RECENT: Final = 5
FARTHEST: Final = 20.0
"""Deviations beyond which an edge is as good as out of reach."""
LEAST_CHANCE: Final = 1e-4
FEWEST_OF_A_KIND: Final = 20
"""Accounts that left, and that did not, before anything can be learned."""
Predict = Callable[[Floats], Floats]


def features_of(bands: Bands, chances: Chances, returns: Floats) -> Floats:
    """What is known of each account (A, 6): the formula's chance (logit), two distances, the heaviest weight, classes held, how rough the last sessions were."""
    bounded = np.clip(chances.chance, LEAST_CHANCE, 1 - LEAST_CHANCE)
    rough = np.abs(returns[-RECENT:]).mean() / max(np.abs(returns).mean(), 1e-12)
    return np.column_stack(
        [
            np.log(bounded / (1 - bounded)),
            np.minimum(chances.distance, FARTHEST),
            bands.weights.max(axis=1, initial=0.0),
            (bands.weights > 0).sum(axis=1),
            np.full(len(bounded), rough),
        ]
    )


def learn(features: Floats, has_left: NDArray[np.bool_]) -> Predict | None:
    """A function that gives chances for features (A, 6); null where there is too little to learn from."""
    left = int(has_left.sum())
    if min(left, len(has_left) - left) < FEWEST_OF_A_KIND:
        return None
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 - takes a second

    trees = HistGradientBoostingClassifier(
        learning_rate=0.05, max_iter=80, max_leaf_nodes=15, min_samples_leaf=50, l2_regularization=1.0, random_state=0
    )
    trees.fit(features, has_left)

    def predict(given: Floats) -> Floats:
        found: Floats = trees.predict_proba(given)[:, 1]
        return found

    return predict
