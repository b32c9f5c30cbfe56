"""TopoFilter: components first, then the rows that disagree with their neighbours inside them."""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from ..labels.label_set import ids_of
from ..labels.verdicts import DISAGREES, KEPT, OUTSIDE
from ..neighbors import Neighbors
from ..probes import Connectivity, TopoProbe
from ..probes.validation import check_activations
from ..rows.groups import group_ids
from ..ties import ROUNDING, above_half
from .disagreement import FilterResult, capped, verdict
from .shares import refuse_shares


def topo_filter(
    X: ArrayLike,
    y: ArrayLike,
    k_cc: int = 50,
    k_zeta: int = 50,
    contamination: float = 0.1,
    connectivity: Connectivity = "strong",
    zeta: float | None = None,
    *,
    max_removed: float | None = None,
    per_class: bool = False,
    groups: ArrayLike | None = None,
    in_sample: bool = False,
    index: str = "exact",
    graph: Neighbors | None = None,
) -> FilterResult:
    """TopoFilter: keep each class's largest component (`topo_cc`), then drop rows that disagree with their neighbours.

    Neighbours are the k_zeta nearest rows among those kept: not the row itself, nor its exact duplicates, nor rows of
    its group (`groups` (n,)), whose labels are its own; with `in_sample`, as published, all but the row itself. With
    `zeta=None` (EleutherAI's form) the rows farthest from their neighbours' mean soft label go until
    round(n · contamination) are gone in all; where the first step has already removed more, none goes (`overshoot`).
    With `zeta` (the paper's form) a row stays if at least that share of its neighbours has its class; a zeta above 1
    means majority vote. `TOPO_MODES` has the arguments of both by name.

    `max_removed` is the largest share of the rows that the components may remove: the farthest from their neighbours
    go first, the others are treated as if inside. `per_class` applies both shares to each class by itself, which
    keeps the class mix. `graph`: the rows' neighbours, searched before (`TopoProbe.fit`). One search, O(n² d), and
    O(n k) memory beside X.

    A row is scored by the components of all rows, in which its own label has a part: on labels that are pure noise the
    AUROC of `p` is .55 at k_cc = k_zeta = 5 and 400 to 2,000 rows (.51 at 20, ½ at 50), where that of
    `TopoProbe.out_of_sample_` is not above ½.
    """
    refuse_shares(contamination, max_removed, zeta)
    matrix = check_activations(X)
    ids = None if in_sample else group_ids(matrix, groups)
    probe = TopoProbe(k_cc, k_zeta, connectivity, index).fit(matrix, y, group_ids=ids, graph=graph)
    p = probe.core_scores_  # as published: by components in which a row's own label has a say
    if zeta is None:
        result = verdict(
            probe.p_, p, contamination, probe.core_, max_removed=max_removed, per_class=per_class, in_sample=in_sample
        )
        return replace(result, ids=ids_of(y), probe="topo")
    scores = np.abs(probe.p_ - p)
    outside = capped(probe.p_, scores, probe.core_, max_removed, per_class)
    positive = above_half(probe.p_)
    share = (positive[probe.core_neighbors_] == positive[:, None]).mean(axis=1)
    agrees = share >= (0.5 if zeta > 1 else zeta) - ROUNDING
    reasons = np.where(outside, OUTSIDE, np.where(agrees, KEPT, DISAGREES)).astype(object)
    gone = int((reasons != KEPT).sum())
    return FilterResult(reasons == KEPT, scores, reasons, probe.p_, gone, in_sample, p, ids_of(y), "topo")
