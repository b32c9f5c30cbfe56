"""Weak-to-strong probes: cached activations, probes, filters, relabelled sets, and honest PGR.

Importing this package loads nothing heavy: each name below loads its module on first use. None of those
modules loads torch or transformers; `w2s_probes.losses` and `w2s_probes.students` do.
"""

from typing import TYPE_CHECKING

from .lazy_face import lazy_face

if TYPE_CHECKING:
    from .errors import InputError
    from .filtering import (
        TOPO_MODES,
        FilterResult,
        ReportCard,
        Stability,
        disagreement_filter,
        probe_filter,
        report_card,
        stability,
        topo_filter,
    )
    from .labels import LabelSet
    from .metrics import GapRecovered, accuracy, auroc, performance_gap_recovered
    from .noise import NoiseEstimate, noise_model
    from .probes import KNNProbe, LogisticProbe, TopoProbe, load_probe, save_probe, topo_cc
    from .relabeling import relabel
    from .store import ActivationStore

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


__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "TOPO_MODES": "filtering",
        "ActivationStore": "store",
        "FilterResult": "filtering",
        "GapRecovered": "metrics",
        "InputError": "errors",
        "KNNProbe": "probes",
        "LabelSet": "labels",
        "LogisticProbe": "probes",
        "NoiseEstimate": "noise",
        "ReportCard": "filtering",
        "Stability": "filtering",
        "TopoProbe": "probes",
        "accuracy": "metrics",
        "auroc": "metrics",
        "disagreement_filter": "filtering",
        "load_probe": "probes",
        "noise_model": "noise",
        "performance_gap_recovered": "metrics",
        "probe_filter": "filtering",
        "relabel": "relabeling",
        "report_card": "filtering",
        "save_probe": "probes",
        "stability": "filtering",
        "topo_cc": "probes",
        "topo_filter": "filtering",
    },
)
