"""Saliency: where a concept lies in a model's layers, in its rows, and in the tokens of a text."""

from .concept import ConceptSaliency, concept_saliency
from .drawing import Picture, as_png
from .maps import RowMap, row_map
from .probe_cosines import ProbeCosines, probe_cosines
from .reliability import reliability_diagram
from .row_explorer import RowExplorer, row_saliency
from .row_result import RowSaliency
from .token_reader import TokenReader, stored_token_score_parts, stored_token_scores, token_saliency
from .token_result import TokenSaliencies, TokenSaliency

__all__ = [
    "ConceptSaliency",
    "Picture",
    "ProbeCosines",
    "RowExplorer",
    "RowMap",
    "RowSaliency",
    "TokenReader",
    "TokenSaliencies",
    "TokenSaliency",
    "as_png",
    "concept_saliency",
    "probe_cosines",
    "reliability_diagram",
    "row_map",
    "row_saliency",
    "stored_token_score_parts",
    "stored_token_scores",
    "token_saliency",
]
