"""Comparison of scores of the same rows: paired differences with DeLong's test, and PGR; from arrays or from files."""

from .compared_files import FileComparison, compare_files
from .compared_scores import PairedDifference, RecoveredGap, ScoreComparison, ScoredModel, compare_scores

__all__ = [
    "FileComparison",
    "PairedDifference",
    "RecoveredGap",
    "ScoreComparison",
    "ScoredModel",
    "compare_files",
    "compare_scores",
]
