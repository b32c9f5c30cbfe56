"""Will it help? What is to foretell the gain of a student before it is trained, and how well it has done so."""

from .compared import ComparedProbes, ProbePair, compared_probes
from .expansion import robust_expansion
from .forecasting import EXPECTED, MEASURES, Forecast, foretell
from .foretold_measure import Foretold
from .kernels import kernel_gap, subspace_overlap
from .misfits import misfit
from .probe_cosine import mahalanobis_cosine
from .shared_errors import shared_errors
from .track_record import RankCorrelation, TrackRecord, track_record

__all__ = [
    "EXPECTED",
    "MEASURES",
    "ComparedProbes",
    "Forecast",
    "Foretold",
    "ProbePair",
    "RankCorrelation",
    "TrackRecord",
    "compared_probes",
    "foretell",
    "kernel_gap",
    "mahalanobis_cosine",
    "misfit",
    "robust_expansion",
    "shared_errors",
    "subspace_overlap",
    "track_record",
]
