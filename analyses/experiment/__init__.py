"""One trial of an experiment: its rows, what a method sees of them, the lessons it asks for, and the results kept."""

from .declared_probes import Undeclared
from .lessons import Lesson, Misuse, Trained
from .method import FilterDecision, Lessons, Method
from .outcomes import Outcome
from .view import Experiment

__all__ = ["Experiment", "FilterDecision", "Lesson", "Lessons", "Method", "Misuse", "Outcome", "Trained", "Undeclared"]
