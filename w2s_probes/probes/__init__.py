"""Probes: scikit-learn classifiers that learn from soft labels on one layer's activations."""

from .base import Probe
from .knn import KNNProbe
from .logistic import LogisticProbe
from .topo import Connectivity, TopoProbe, topo_cc

PROBES: dict[str, type[Probe]] = {"knn": KNNProbe, "logistic": LogisticProbe, "topo": TopoProbe}

__all__ = ["PROBES", "Connectivity", "KNNProbe", "LogisticProbe", "Probe", "TopoProbe", "topo_cc"]
