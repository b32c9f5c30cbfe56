"""What was foretold of a run's trials, beside what its students gained."""

from .rank_correlations import GAINS, LEAST_TASKS, ForetoldCorrelation, cells_of, rank_correlation
from .run_forecasts import FORETOLD, RUN_COLUMNS, foretell_run, gains_in, gains_of

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
