"""Calibration: a monotone curve from P to P, learned on rows with labels; and how reliable scores are, bin by bin."""

from .calibrated_files import FileCalibration, apply_to_file, calibrate_file
from .curves import CALIBRATION_RULES, CalibrationRule, Calibrator
from .fitting import LEAST_ROWS, calibrate, cross_calibrated
from .reliability_bins import reliability_bins

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
