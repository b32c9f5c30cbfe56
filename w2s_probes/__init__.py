"""Weak-to-strong probes: cached activations, probes, filters, relabelled sets, and honest PGR.

Importing this package loads neither torch nor transformers; `w2s_probes.losses` and `w2s_probes.students` do.
"""

from .errors import InputError
from .filtering import FilterResult, disagreement_filter, topo_filter
from .labels import LabelSet
from .metrics import GapRecovered, accuracy, auroc, performance_gap_recovered
from .probes import KNNProbe, LogisticProbe, TopoProbe, topo_cc
from .relabeling import relabel
from .store import ActivationStore

__version__ = "0.1.0"

__all__ = [
    "ActivationStore",
    "FilterResult",
    "GapRecovered",
    "InputError",
    "KNNProbe",
    "LabelSet",
    "LogisticProbe",
    "TopoProbe",
    "accuracy",
    "auroc",
    "disagreement_filter",
    "performance_gap_recovered",
    "relabel",
    "topo_cc",
    "topo_filter",
]
