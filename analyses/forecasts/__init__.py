"""What was foretold of a run's trials, beside what its students gained."""

from .run_forecasts import FORETOLD, RUN_COLUMNS, foretell_run, gains_of

__all__ = ["FORETOLD", "RUN_COLUMNS", "foretell_run", "gains_of"]
