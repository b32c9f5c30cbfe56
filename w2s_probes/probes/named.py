"""The probes by the names that files and options have for them."""

from typing import Any

from .base import Probe
from .knn import KNNProbe
from .logistic import LogisticProbe
from .topo import TopoProbe

PROBES: dict[str, type[Probe]] = {"knn": KNNProbe, "logistic": LogisticProbe, "topo": TopoProbe}


def probe_name(probe: Any) -> str:
    """What files call a probe, or a scikit-learn classifier: topo, knn or logistic, or module:Class."""
    kind = type(probe)
    return next((name for name, own in PROBES.items() if own is kind), f"{kind.__module__}:{kind.__qualname__}")
