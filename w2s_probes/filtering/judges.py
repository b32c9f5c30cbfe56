"""The judges of labels beside the probes, by name; nothing is imported for that."""

from importlib.util import find_spec
from typing import Literal

from ..errors import InputError

RATERS = "raters"  # of a filter: the disagreement of several raters
CHANNEL = "channel"  # of a filter and a relabelling: the posterior of a noise channel
CONFIDENT = "confident"  # of a filter: cleanlab's confident learning
PruneBy = Literal[
    "prune_by_noise_rate",
    "prune_by_class",
    "both",
    "confident_learning",
    "predicted_neq_given",
    "low_normalized_margin",
    "low_self_confidence",
]  # cleanlab's ways to say which rows are issues


def refuse_no_cleanlab() -> None:
    """InputError where cleanlab is not installed; it is not imported for that."""
    if find_spec("cleanlab") is None:
        raise InputError(
            "confident learning needs cleanlab, which is not installed: pip install 'w2s-probes[cleanlab]'"
        )
