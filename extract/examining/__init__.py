"""Any store beside the model that it is said to be of: which layer, position, row and number format it really holds."""

from .examination import Examination, examine
from .layer_finding import LayerFinding
from .subject import Subject

__all__ = ["Examination", "LayerFinding", "Subject", "examine"]
