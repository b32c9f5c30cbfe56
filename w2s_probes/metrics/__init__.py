"""Metrics and PGR, with their intervals. A name of this package, when first used, loads scipy."""

from typing import TYPE_CHECKING

from ..lazy_face import lazy_face

if TYPE_CHECKING:
    from .recovery import GapRecovered, accuracy, auroc, performance_gap_recovered
    from .registry import METRICS

__all__ = ["METRICS", "GapRecovered", "accuracy", "auroc", "performance_gap_recovered"]


__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "GapRecovered": "recovery",
        "accuracy": "recovery",
        "auroc": "recovery",
        "performance_gap_recovered": "recovery",
        "METRICS": "registry",
    },
)
