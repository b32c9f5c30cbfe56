"""Statistics over many tasks, methods and rows: paired tests, corrected p-values, pooled PGR, agreement."""

from .agreement import Agreement, agreement
from .multiplicity import holm
from .paired import PairedTests, paired_tests, wilcoxon
from .pooling import PooledRecovery, pooled, saturated
from .signflip import SignFlip, sign_flip
from .smallest_effect import smallest_effect

__all__ = [
    "Agreement",
    "PairedTests",
    "PooledRecovery",
    "SignFlip",
    "agreement",
    "holm",
    "paired_tests",
    "pooled",
    "saturated",
    "sign_flip",
    "smallest_effect",
    "wilcoxon",
]
