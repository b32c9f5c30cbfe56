"""One trial of an experiment: its rows, what a method sees of them, and the outcomes kept."""

from ..lessons.lesson import Lesson, Misuse, Trained
from .declared_probes import Undeclared
from .gold_rows import GoldRows, GoldUse
from .method import FilterDecision, Lessons, Method
from .outcomes import Outcome
from .trusted_rows import Trusted, TrustedRows
from .view import Experiment

__all__ = [
    "Experiment",
    "FilterDecision",
    "GoldRows",
    "GoldUse",
    "Lesson",
    "Lessons",
    "Method",
    "Misuse",
    "Outcome",
    "Trained",
    "Trusted",
    "TrustedRows",
    "Undeclared",
]
