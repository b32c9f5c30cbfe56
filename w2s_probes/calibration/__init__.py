"""Calibration: a monotone curve from P to P, learned on rows with labels; and how reliable scores are, bin by bin."""

from typing import TYPE_CHECKING

from ..lazy_face import lazy_face
from .curves import CALIBRATION_RULES, LEAST_ROWS, CalibrationRule, Calibrator

if TYPE_CHECKING:
    from .calibrated_files import FileCalibration, apply_to_file, calibrate_file
    from .fitting import calibrate, cross_calibrated
    from .reliability_table import reliability_bins

__all__ = [
    "CALIBRATION_RULES",
    "LEAST_ROWS",
    "CalibrationRule",
    "Calibrator",
    "FileCalibration",
    "apply_to_file",
    "calibrate",
    "calibrate_file",
    "cross_calibrated",
    "reliability_bins",
]

# These load scipy.stats and scipy.optimize, and recipes ask this room what rules there are.
_FILES = dict.fromkeys(("FileCalibration", "apply_to_file", "calibrate_file"), "calibrated_files")
_FITTING = dict.fromkeys(("calibrate", "cross_calibrated"), "fitting")
__getattr__, __dir__ = lazy_face(__name__, _FILES | _FITTING | {"reliability_bins": "reliability_table"})
