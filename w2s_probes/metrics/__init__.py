"""Metrics of scores and what is recovered of a performance gap (PGR), with intervals."""

from .recovery import GapRecovered, accuracy, auroc, performance_gap_recovered
from .registry import METRICS

__all__ = ["METRICS", "GapRecovered", "accuracy", "auroc", "performance_gap_recovered"]
