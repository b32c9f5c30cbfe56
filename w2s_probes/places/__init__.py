"""The places where units of work are done: this process, several of this machine, or a Dask or Ray cluster.

A unit is a layer of a sweep, or a training of a run; see `WorkUnit`. Importing this package loads nothing heavy.
"""

from .place import HERE, Backend, Place
from .work import WorkKind, WorkUnit

__all__ = ["HERE", "Backend", "Place", "WorkKind", "WorkUnit"]
