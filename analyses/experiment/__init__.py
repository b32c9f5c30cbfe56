"""One trial of an experiment: its rows, what a method sees of them, what it learns with, and the results kept."""

from .view import Experiment, FilterDecision, Method, Outcome, Undeclared

__all__ = ["Experiment", "FilterDecision", "Method", "Outcome", "Undeclared"]
