"""Probes: scikit-learn classifiers that learn from soft labels on one layer's activations.

Importing this package is light; each class below loads scikit-learn when it is first asked for.
"""

from typing import TYPE_CHECKING, Any

from ..lazy_face import lazy_face
from .connectivity import Connectivity
from .probe_entry import ProbeEntry
from .registry import PROBES, TOKEN_PROBES

if TYPE_CHECKING:
    from .attention import AttentionProbe
    from .base import Probe, auroc_scorer
    from .classifier import ClassifierProbe
    from .contrast import ContrastProbe, paired_sides, shuffled_sides, swapped_sides
    from .design import Design
    from .device_design import DeviceDesign
    from .graph_smoothing import GraphProbe
    from .knn import KNNProbe, NeighborPath
    from .logistic import LogisticProbe, RegularizationPath
    from .mean_difference import MeanDifferenceProbe
    from .mlp import MLPPath, MLPProbe
    from .saving import load_probe, save_probe
    from .topo import TopoProbe, topo_cc
    from .whitened import WhitenedMeanDifferenceProbe

__all__ = [
    "PROBES",
    "TOKEN_PROBES",
    "AttentionProbe",
    "ClassifierProbe",
    "Connectivity",
    "ContrastProbe",
    "Design",
    "DeviceDesign",
    "GraphProbe",
    "KNNProbe",
    "LogisticProbe",
    "MLPPath",
    "MLPProbe",
    "MeanDifferenceProbe",
    "NeighborPath",
    "Probe",
    "ProbeEntry",
    "RegularizationPath",
    "TopoProbe",
    "WhitenedMeanDifferenceProbe",
    "auroc_scorer",
    "load_probe",
    "paired_sides",
    "probe_name",
    "save_probe",
    "shuffled_sides",
    "swapped_sides",
    "topo_cc",
]


def probe_name(probe: Any) -> str:
    """The name that files give a probe (knn, mean-difference, attention), or module:Class of another classifier."""
    kind = type(probe)
    if kind.__name__ == "ClassifierProbe":
        return str(probe.spec)
    names = (name for name, entry in {**PROBES, **TOKEN_PROBES}.items() if entry.is_of(kind))
    return next(names, f"{kind.__module__}:{kind.__qualname__}")


__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "AttentionProbe": "attention",
        "ClassifierProbe": "classifier",
        "ContrastProbe": "contrast",
        "Design": "design",
        "DeviceDesign": "device_design",
        "GraphProbe": "graph_smoothing",
        "KNNProbe": "knn",
        "LogisticProbe": "logistic",
        "MLPPath": "mlp",
        "MLPProbe": "mlp",
        "MeanDifferenceProbe": "mean_difference",
        "NeighborPath": "knn",
        "Probe": "base",
        "RegularizationPath": "logistic",
        "TopoProbe": "topo",
        "WhitenedMeanDifferenceProbe": "whitened",
        "auroc_scorer": "base",
        "load_probe": "saving",
        "paired_sides": "contrast",
        "save_probe": "saving",
        "shuffled_sides": "contrast",
        "swapped_sides": "contrast",
        "topo_cc": "topo",
    },
)
