"""What a filter did, beside controls; and how far filters of several layers and seeds agree."""

from .card import Removal, ReportCard, report_card
from .stability import Stability, stability

__all__ = ["Removal", "ReportCard", "Stability", "report_card", "stability"]
