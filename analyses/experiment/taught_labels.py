"""A check of the labels that a method would teach."""

import numpy as np
from numpy.typing import NDArray

from w2s_probes.errors import InputError


def refuse_one_label(labels: NDArray[np.float64], mask: NDArray[np.bool_] | None) -> None:
    """InputError where a mask (n,) leaves labels (n,) that are all the same, which teach nothing."""
    chosen = labels if mask is None else labels[mask]
    if len(np.unique(labels)) > len(np.unique(chosen)) <= 1:
        which = f", all labelled {chosen[0]:g}" if len(chosen) else ""
        raise InputError(
            f"filtering leaves {len(chosen)} of {len(labels)} training rows{which}: "
            "lower probes.contamination, or choose a k at which the components keep both classes"
        )
