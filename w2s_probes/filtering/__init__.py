"""Filters of weak labels, what they removed beside controls, and how far filters of several layers and seeds agree."""

from .disagreement import FilterResult, disagreement_filter, probe_filter
from .filter_stability import Stability, stability
from .report_cards import Removal, ReportCard, report_card
from .topo import TOPO_MODES, topo_filter

__all__ = [
    "TOPO_MODES",
    "FilterResult",
    "Removal",
    "ReportCard",
    "Stability",
    "disagreement_filter",
    "probe_filter",
    "report_card",
    "stability",
    "topo_filter",
]
