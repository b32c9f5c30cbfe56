"""What was foretold of a run's trials, beside what its students gained.

Importing it loads nothing heavy; `foretell_run`, when first used, loads scikit-learn.
"""

from typing import TYPE_CHECKING

from w2s_probes.lazy_face import lazy_face

from .gains import FORETOLD, GAINS, RUN_COLUMNS, gains_in, gains_of
from .rank_correlations import LEAST_TASKS, ForetoldCorrelation, cells_of, rank_correlation

if TYPE_CHECKING:
    from .run_forecasts import foretell_run

__all__ = [
    "FORETOLD",
    "GAINS",
    "LEAST_TASKS",
    "RUN_COLUMNS",
    "ForetoldCorrelation",
    "cells_of",
    "foretell_run",
    "gains_in",
    "gains_of",
    "rank_correlation",
]

__getattr__, __dir__ = lazy_face(__name__, {"foretell_run": "run_forecasts"})
