"""Probes: scikit-learn classifiers that learn from soft labels on one layer's activations."""

from typing import Any

from .base import Probe, auroc_scorer
from .design import Design
from .knn import KNNProbe, NeighborPath
from .logistic import LogisticProbe, RegularizationPath
from .saving import load_probe, save_probe
from .topo import Connectivity, TopoProbe, topo_cc

PROBES: dict[str, type[Probe]] = {"knn": KNNProbe, "logistic": LogisticProbe, "topo": TopoProbe}


def probe_name(probe: Any) -> str:
    """What files call a probe, or a scikit-learn classifier: topo, knn or logistic, or module:Class."""
    kind = type(probe)
    return next((name for name, own in PROBES.items() if own is kind), f"{kind.__module__}:{kind.__qualname__}")


__all__ = [
    "PROBES",
    "Connectivity",
    "Design",
    "KNNProbe",
    "LogisticProbe",
    "NeighborPath",
    "Probe",
    "RegularizationPath",
    "TopoProbe",
    "auroc_scorer",
    "load_probe",
    "probe_name",
    "save_probe",
    "topo_cc",
]
