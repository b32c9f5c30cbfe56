"""The neighbour graph that kNN, TopoCC and the ζ-filter share."""

from .exact import as_int, nearest
from .graph import Neighbors, mean_over
from .searching import search
from .some_rows import first_of, search_some

__all__ = ["Neighbors", "as_int", "first_of", "mean_over", "nearest", "search", "search_some"]
