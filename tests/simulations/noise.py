"""Out-of-sample scores of labels that are pure noise: their AUROC against these labels, ½ if nothing leaks."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tests.simulations.tables import table
from w2s_probes import KNNProbe, LogisticProbe, TopoProbe, auroc, relabel

Score = Callable[[NDArray[np.float32], NDArray[np.float64]], NDArray[np.float64]]
SCORES: dict[str, Score] = {
    "kNN, k = 5": lambda X, y: KNNProbe(5).fit(X, y).out_of_sample_,
    "kNN, k = 50": lambda X, y: KNNProbe(50).fit(X, y).out_of_sample_,
    "Topo, k = 5": lambda X, y: TopoProbe(5, 5).fit(X, y).out_of_sample_,
    "Topo, k = 50": lambda X, y: TopoProbe(50, 50).fit(X, y).out_of_sample_,
    "TopoFilter's own, k = 5": lambda X, y: TopoProbe(5, 5).fit(X, y).core_scores_,
    "TopoFilter's own, k = 50": lambda X, y: TopoProbe(50, 50).fit(X, y).core_scores_,
    "logistic, five folds": lambda X, y: relabel(LogisticProbe(1e-2), X, y),
}


def on_pure_noise() -> str:
    """Means and standard errors over draws, 16 dimensions."""
    lines = []
    for name, score in SCORES.items():
        cells = []
        for n, draws in ((400, 100), (2000, 20)):
            found = []
            for seed in range(draws):
                rng = np.random.default_rng(seed)
                X, y = rng.normal(size=(n, 16)).astype(np.float32), (rng.random(n) < 0.5).astype(np.float64)
                found.append(auroc(y, score(X, y)))
            cells.append(f"{np.mean(found):.3f} ± {np.std(found) / np.sqrt(draws):.3f}")
        lines.append([name, *cells])
    return table(["scores", "400 rows", "2,000 rows"], lines)
