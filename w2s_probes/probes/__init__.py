"""Probes: scikit-learn classifiers that learn from soft labels on one layer's activations.

Importing this package loads nothing heavy; a name of it, when first used, loads scikit-learn.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .connectivity import Connectivity

if TYPE_CHECKING:
    from .base import Probe, auroc_scorer
    from .design import Design
    from .knn import KNNProbe, NeighborPath
    from .logistic import LogisticProbe, RegularizationPath
    from .named import PROBES, probe_name
    from .saving import load_probe, save_probe
    from .topo import TopoProbe, topo_cc

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

_ELSEWHERE = {
    "Probe": "base",
    "auroc_scorer": "base",
    "Design": "design",
    "KNNProbe": "knn",
    "NeighborPath": "knn",
    "LogisticProbe": "logistic",
    "RegularizationPath": "logistic",
    "load_probe": "saving",
    "save_probe": "saving",
    "TopoProbe": "topo",
    "topo_cc": "topo",
    "PROBES": "named",
    "probe_name": "named",
}


def __getattr__(name: str) -> Any:
    if name not in _ELSEWHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_ELSEWHERE[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
