"""Simulated weak supervisors, to study on what a student's gain depends (Burns et al. 2023, appendix E)."""

from .imitation import IMITATION_TEMPLATE, trivial_imitation
from .mistakes import ERROR_KINDS, ErrorBalance, ErrorKind, error_balance, mistaken
from .nested import STRENGTHS, FeatureOrder, first_features, hard, principal_coordinates

__all__ = [
    "ERROR_KINDS",
    "IMITATION_TEMPLATE",
    "STRENGTHS",
    "ErrorBalance",
    "ErrorKind",
    "FeatureOrder",
    "error_balance",
    "first_features",
    "hard",
    "mistaken",
    "principal_coordinates",
    "trivial_imitation",
]
