"""How far a strong model's probe is from the weak labels that taught it: the misfit."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import rel_entr

from ..checks import probabilities
from ..errors import InputError, did_you_mean
from ..labels.label_set import ids_of, refuse_other_ids
from ..metrics.influence import mean
from ..rows.groups import group_numbers
from .foretold_measure import Foretold, known, unknown

Divergence = Literal["squared", "kl"]
MISFITS: dict[str, str] = {"squared": "misfit", "kl": "misfit, KL"}


def misfit(
    weak: ArrayLike, probe: ArrayLike, *, by: Divergence = "squared", groups: ArrayLike | None = None
) -> Foretold:
    """The mean divergence of a probe's P(1) (n,) from the weak labels (n,). No truth is read.

    `squared`: E (f_sw - f_w)², by which the student's squared error to the truth is below its supervisor's, at least,
    if the student's class is convex and can fit the truth (Charikar, Pabbaraju and Shiragur 2024, arXiv 2405.15116,
    theorem 1). `kl`: E KL(f_sw ‖ f_w), the same in cross-entropy (Yao et al. 2025, arXiv 2502.01458; Mulgund and
    Pabbaraju 2025, arXiv 2501.19105). Scores should be out of sample (`relabel`): those of the rows that were learned
    fit noise, and the misfit is then too small.

    The interval is by Student's t over rows, or over groups (n,), of the probe as it is. KL is undefined where a weak
    label is 0 or 1 and the probe is not: that divergence is infinite.
    """
    if by not in MISFITS:
        raise InputError(f"by={by!r}: {did_you_mean(str(by), MISFITS)}")
    refuse_other_ids({"weak": ids_of(weak), "probe": ids_of(probe)})
    labels, scores = probabilities(weak, "weak"), probabilities(probe, "probe")
    if len(labels) != len(scores):
        raise InputError(f"{len(labels)} weak labels but {len(scores)} scores: one a row is needed of each")
    if not len(labels):
        raise InputError("no rows: a misfit needs at least one")
    numbers = group_numbers(groups, len(labels))
    if by == "squared":
        squared = mean((scores - labels) ** 2).estimate(numbers)
        return known(MISFITS[by], squared, "weak labels", len(labels), numbers, (0, 1))
    apart = rel_entr(scores, labels) + rel_entr(1 - scores, 1 - labels)
    if hard := int(np.isinf(apart).sum()):
        return unknown(MISFITS[by], "weak labels", len(labels), f"infinite: {hard} weak labels are 0 or 1")
    return known(MISFITS[by], mean(apart).estimate(numbers), "weak labels", len(labels), numbers, (0, np.inf))
