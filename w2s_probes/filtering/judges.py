"""The judges of labels beside the probes, by name; nothing is imported for that."""

from importlib.util import find_spec
from typing import Literal

from ..errors import InputError

RATERS = "raters"  # of a filter: the disagreement of several raters
CHANNEL = "channel"  # of a filter and a relabelling: the posterior of a noise channel
CONFIDENT = "confident"  # of a filter: cleanlab's confident learning
OVERLAP = "overlap"  # of a filter: overlap density
KINDS = (HARD, OVERLAP_ROW, EASY) = ("hard", "overlap", "easy")  # of rows, by overlap density
KEPT_KINDS = (OVERLAP_ROW, EASY)  # by its filter unless others are named
# Of a change point: the share of squared distances that it saves. The best split of 300 uniform values saves as much in
# one draw of 2,000, that of 100 in one of 25; of normal values never (2/π = .64 of many).
LEAST_GAIN = 0.8
Similarity = Literal["cosine", "inner"]  # of a row to the hard ones
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


def refuse_gain(least_gain: float) -> None:
    """InputError for a least gain that is no share."""
    if not 0 <= least_gain <= 1:
        raise InputError(
            f"least_gain={least_gain} must be in [0, 1]: the share of squared distances that a change point saves"
        )
