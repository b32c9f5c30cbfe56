"""Filters of weak labels, what they removed beside controls, and how far filters of several layers and seeds agree.

Importing this package loads nothing heavy; a name of it, when first used, loads scikit-learn.
"""

from typing import TYPE_CHECKING

from ..lazy_face import lazy_face

if TYPE_CHECKING:
    from .by_judgement import channel_filter, confident_filter
    from .by_overlap import overlap_filter
    from .by_raters import raters_filter
    from .disagreement import FilterResult, disagreement_filter, probe_filter
    from .filter_stability import Stability, stability
    from .overlap_rows import OverlapDensity, overlap_density
    from .report_cards import RemovalMeasures, ReportCard, report_card
    from .topo import topo_filter
    from .topo_modes import TOPO_MODES

__all__ = [
    "TOPO_MODES",
    "FilterResult",
    "OverlapDensity",
    "RemovalMeasures",
    "ReportCard",
    "Stability",
    "channel_filter",
    "confident_filter",
    "disagreement_filter",
    "overlap_density",
    "overlap_filter",
    "probe_filter",
    "raters_filter",
    "report_card",
    "stability",
    "topo_filter",
]


__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "FilterResult": "disagreement",
        "disagreement_filter": "disagreement",
        "probe_filter": "disagreement",
        "channel_filter": "by_judgement",
        "confident_filter": "by_judgement",
        "raters_filter": "by_raters",
        "overlap_filter": "by_overlap",
        "OverlapDensity": "overlap_rows",
        "overlap_density": "overlap_rows",
        "Stability": "filter_stability",
        "stability": "filter_stability",
        "RemovalMeasures": "report_cards",
        "ReportCard": "report_cards",
        "report_card": "report_cards",
        "TOPO_MODES": "topo_modes",
        "topo_filter": "topo",
    },
)
