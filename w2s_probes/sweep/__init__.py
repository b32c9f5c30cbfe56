"""Sweeps: every layer, probe and value from one read, one neighbour graph and one factorisation a layer."""

from .choosing import Best
from .grid import Grid
from .place import Place
from .result import SweepResult
from .sweeping import sweep

__all__ = ["Best", "Grid", "Place", "SweepResult", "sweep"]
