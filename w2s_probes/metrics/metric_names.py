"""The names of metrics, for settings that are read before anything is computed: no package is imported here."""

from typing import Literal

Metric = Literal[
    "auroc",
    "accuracy",
    "average_precision",
    "recall_at_1_fpr",
    "recall_at_5_fpr",
    "brier",
    "ece",
    "log_loss",
]
DEFAULT_METRICS: tuple[Metric, ...] = ("auroc", "accuracy")  # that every table has
