"""Several raters of the same rows: their labels joined by id, combined into one, and how far the raters disagree."""

from .combining import Combined, combine
from .dawid_skene import DawidSkene, dawid_skene
from .rater_files import RaterFiles
from .ratings import Ratings, disagreement
from .rules import RULES, Combiner, CombiningRule

__all__ = [
    "RULES",
    "Combined",
    "Combiner",
    "CombiningRule",
    "DawidSkene",
    "RaterFiles",
    "Ratings",
    "combine",
    "dawid_skene",
    "disagreement",
]
