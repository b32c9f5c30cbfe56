"""Weak-to-strong probes: cached activations, probes, filters, relabelled sets, and honest PGR.

Importing this package loads neither torch nor transformers; `w2s_probes.losses` and `w2s_probes.students` do.
"""

from .errors import InputError
from .filtering import FilterResult, disagreement_filter, probe_filter
from .labels import LabelSet
from .metrics import GapRecovered, accuracy, auroc, performance_gap_recovered
from .noise import NoiseEstimate, noise_model
from .probes import KNNProbe, LogisticProbe, TopoProbe, load_probe, save_probe, topo_cc
from .relabeling import relabel
from .reportcard import ReportCard, Stability, report_card, stability
from .store import ActivationStore
from .topo_filtering import TOPO_MODES, topo_filter

__version__ = "0.1.0"

__all__ = [
    "TOPO_MODES",
    "ActivationStore",
    "FilterResult",
    "GapRecovered",
    "InputError",
    "KNNProbe",
    "LabelSet",
    "LogisticProbe",
    "NoiseEstimate",
    "ReportCard",
    "Stability",
    "TopoProbe",
    "accuracy",
    "auroc",
    "disagreement_filter",
    "load_probe",
    "noise_model",
    "performance_gap_recovered",
    "probe_filter",
    "relabel",
    "report_card",
    "save_probe",
    "stability",
    "topo_cc",
    "topo_filter",
]
