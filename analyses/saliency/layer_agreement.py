"""Agreement of layers: rank correlation of their probes' scores, and CKA of their activations."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata


def rank_correlations(scores: Mapping[int, NDArray[np.float64]]) -> pd.DataFrame:
    """Spearman's correlation of layers' out-of-sample scores: (layers, layers), NaN where a layer has none."""
    ranks = np.array([rankdata(s) if np.isfinite(s).all() else np.full(len(s), np.nan) for s in scores.values()])
    ranks = ranks - ranks.mean(axis=1, keepdims=True)
    sizes = np.sqrt((ranks**2).sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):  # a probe that says the same of all rows agrees with nobody
        found = ranks @ ranks.T / np.outer(sizes, sizes)
    return pd.DataFrame(found, index=list(scores), columns=list(scores))


def similarities(leading: Mapping[int, NDArray[np.float32]]) -> pd.DataFrame:
    """Linear CKA (Kornblith et al. 2019, eq. 3) of layers by the scores (n, r) of their leading principal components.

    1 where two layers lay the rows out alike but for rotation and scale, 0 where nothing is shared. The components
    left out are those of least variance, which have least say in it. O(n r²) a pair.
    """
    centred = {layer: X - X.mean(axis=0, dtype=np.float64) for layer, X in leading.items()}
    centred = {layer: X / (np.abs(X).max(initial=0) or 1) for layer, X in centred.items()}  # fourth powers follow
    own = {layer: float(np.linalg.norm(X.T @ X)) for layer, X in centred.items()}
    found = np.full((len(centred), len(centred)), np.nan)
    for i, (a, X) in enumerate(centred.items()):
        for j, (b, Z) in enumerate(centred.items()):
            if own[a] > 0 and own[b] > 0:
                found[i, j] = float(np.linalg.norm(X.T @ Z)) ** 2 / (own[a] * own[b])
    return pd.DataFrame(found, index=list(leading), columns=list(leading))
