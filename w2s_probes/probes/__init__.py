"""Probes: scikit-learn classifiers that learn from soft labels on one layer's activations."""

from .base import Probe, auroc_scorer
from .design import Design
from .knn import KNNProbe, NeighborPath
from .logistic import LogisticProbe
from .path import RegularizationPath
from .saving import load_probe, save_probe
from .topo import Connectivity, TopoProbe, topo_cc

PROBES: dict[str, type[Probe]] = {"knn": KNNProbe, "logistic": LogisticProbe, "topo": TopoProbe}

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
    "save_probe",
    "topo_cc",
]
