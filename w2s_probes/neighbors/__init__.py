"""The neighbour graph that kNN, TopoCC and the ζ-filter share."""

from .exact import nearest, whole
from .graph import Neighbors
from .searching import first_of, search, search_some

__all__ = ["Neighbors", "first_of", "nearest", "search", "search_some", "whole"]
