"""Label sets: P(label = 1) of each row, the verdicts of filters on them, and their quality by the truth."""

from .label_set import LabelSet

__all__ = ["LabelSet"]
