"""Metrics of scores and what is recovered of a performance gap (PGR), with intervals."""

from .recovery import METRICS, GapRecovered, accuracy, auroc, performance_gap_recovered

__all__ = ["METRICS", "GapRecovered", "accuracy", "auroc", "performance_gap_recovered"]
