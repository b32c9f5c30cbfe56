"""All measures of one label set at one layer, each beside its level of chance."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..labels.label_set import ids_of, refuse_other_ids
from ..metrics.audit_design import AuditDesign
from ..neighbors import Neighbors, search
from ..probes import LogisticProbe
from ..probes.validation import check_activations, soft_labels
from ..randomness import stream
from ..relabeling import relabel
from ..rows.folds import fold_numbers
from ..rows.groups import group_ids, group_numbers, most_neighbors
from ..tensors import as_numpy
from .expansion import EXPANSION, NEIGHBOURS, robust_expansion
from .foretold_measure import NO_STORE, NO_TRUTH, Foretold, unknown
from .jackknife import BLOCKS
from .kernels import (
    GAP,
    OVERLAP,
    ROWS,
    LeadingComponents,
    drawn_rows,
    gap_of,
    kernel_gap,
    overlap_of,
    permuted_rows,
    subspace_overlap,
)
from .misfits import MISFITS, misfit
from .shared_errors import CAPA, shared_errors

DRAWS = 3  # permutations of the weak labels: a probe is cross-fitted for each
UNEQUAL = "it counts rows alike, and these were drawn with unequal probabilities"
MEASURES = (MISFITS["squared"], MISFITS["kl"], OVERLAP, GAP, CAPA, EXPANSION)  # label-free ones first
MORE, LESS = "more gain", "less gain"
# What more of a measure means, as its paper has it.
EXPECTED = {MISFITS["squared"]: MORE, MISFITS["kl"]: MORE, OVERLAP: LESS, GAP: "less of the gap recovered", CAPA: LESS}
EXPECTED |= {EXPANSION: MORE}


@dataclass(frozen=True, eq=False)
class Forecast:
    """What is foretold of weak labels (n,) at one layer, before a student is trained."""

    measures: list[Foretold]  # in the order of MEASURES
    rows: int
    trusted: int | None = None  # rows whose truth was read as trusted; None where it is an oracle's, or not read
    weighed: bool = False  # whether CAPA has weighed rows by the probabilities with which they were drawn
    notes: dict[str, Any] = field(default_factory=dict)  # probe, layer, files: whatever names it

    @property
    def oracle(self) -> bool:
        """Whether a measure has read truth that no weak-to-strong experiment has."""
        return self.trusted is None and any(one.needs == "truth" and one.is_known for one in self.measures)

    def needs(self, one: Foretold) -> str:
        """What a measure has read, in words; truth that is not of trusted rows is marked."""
        if one.needs != "truth":
            return one.needs
        return "truth ORACLE" if self.trusted is None else f"truth of {one.n} rows"

    def to_frame(self) -> pd.DataFrame:
        """A line a measure: measure, value, low, high, chance, draws, needs, n, oracle, trusted, status."""
        lines = []
        for one in self.measures:
            truth = one.needs == "truth"
            lines.append(
                {
                    "measure": one.measure,
                    "value": one.estimate.value,
                    "low": one.estimate.low,
                    "high": one.estimate.high,
                    "chance": one.chance,
                    "draws": one.draws,
                    "needs": one.needs,
                    "n": one.n,
                    "oracle": truth and self.trusted is None,
                    "trusted": one.n if truth and self.trusted is not None else 0,
                    "status": one.status,
                }
            )
        return pd.DataFrame(lines)


def foretell(
    X: ArrayLike,
    y: ArrayLike,
    *,
    probe: Any = None,
    weak_X: ArrayLike | None = None,
    truth: ArrayLike | None = None,
    trusted: bool = False,
    design: AuditDesign | None = None,
    groups: ArrayLike | None = None,
    graph: Neighbors | None = None,
    draws: int = DRAWS,
    blocks: int = BLOCKS,
    seed: int = 0,
    step: Callable[[str], None] = lambda what: None,
) -> Forecast:
    """Every measure of weak labels y (n,) on the strong model's activations X (n, d), before a student is trained.

    The probe, logistic unless another classifier is given, is scored out of sample (`relabel`). `weak_X` (n, d_w) are
    the weak model's activations, without which the kernels have no number. `truth` (n,) is P(1), NaN where it is not
    known: read by CAPA and the expansion alone, which are marked as an oracle's, or `trusted` where the truth is of
    rows that one has had labelled. Where these were drawn with known probabilities, `design` has them, in the order of
    the rows: CAPA weighs rows by them, and the expansion, which counts rows, has no number where they are not equal.
    `graph` has the `NEIGHBOURS` nearest rows or more, related rows left out.

    Beside each measure stands its level of chance, the mean over `draws` permutations: of the weak labels, each of
    which teaches a probe of its own, and for the kernels of the weak model's rows. `blocks=0` leaves out the
    jackknife, and so the intervals of kernels and expansion; `draws=0` the levels of chance.
    """
    refuse_other_ids({"y": ids_of(y), "truth": ids_of(truth)})
    matrix = check_activations(X)
    labels, _ = soft_labels(y, len(matrix))
    if draws < 0 or blocks < 0:
        raise InputError(f"draws={draws}, blocks={blocks}: give 0 or more of each")
    numbers = group_numbers(groups, len(matrix))
    own = LogisticProbe() if probe is None else probe
    step("out-of-sample scores")
    rng = stream(seed, "permuted weak labels")
    sets = np.array([labels, *(rng.permutation(labels) for _ in range(draws))])
    scores = list(_scored(own, matrix, sets, groups, seed, graph))
    measured: list[Foretold] = []
    for by in ("squared", "kl"):
        name = MISFITS[by]
        values = [misfit(p, q, by=by, groups=groups).estimate.value for p, q in zip(sets[1:], scores[1:], strict=True)]
        measured.append(_beside(misfit(labels, scores[0], by=by, groups=groups), values))
        assert measured[-1].measure == name
    step("kernels")
    measured += _kernels(weak_X, matrix, groups, numbers, draws, blocks, seed)
    step("shared errors and expansion")
    if truth is None:
        measured += [unknown(name, "truth", 0, NO_TRUTH) for name in (CAPA, EXPANSION)]
    else:
        true = np.asarray(as_numpy(truth), dtype=np.float64)
        pairs = list(zip(sets, scores, strict=True))
        first = shared_errors(labels, scores[0], true, groups=groups, design=design)
        others = [shared_errors(p, q, true, design=design).estimate.value for p, q in pairs[1:]]
        measured.append(_beside(first, others))
        if design is not None and np.ptp(design.inclusion):
            measured.append(unknown(EXPANSION, "truth", first.n, UNEQUAL))
        else:
            measured.append(_expansion(matrix, pairs, true, groups, graph, blocks, seed))
    count = None if truth is None or not trusted else int((~np.isnan(np.asarray(truth, dtype=np.float64))).sum())
    return Forecast(measured, len(matrix), count, weighed=design is not None)


def _scored(
    probe: Any,
    X: NDArray[np.float32],
    sets: NDArray[np.float64],
    groups: ArrayLike | None,
    seed: int,
    graph: Neighbors | None,
) -> Iterator[NDArray[np.float64]]:
    """Out-of-sample scores (n,) of each label set (m, n); those of the logistic probe are solved together."""
    if type(probe) is LogisticProbe:
        fold = fold_numbers(X, sets[0], groups=groups, seed=seed)
        for path in LogisticProbe.paths(X, sets, l2=[probe.l2], cv=fold, device=probe.device):
            yield np.asarray(path.out_of_fold[0])
        return
    deep = getattr(probe, "graph_k", 0)
    kept = graph if graph is not None and graph.k >= deep else None
    for labels in sets:
        yield relabel(probe, X, labels, groups=groups, seed=seed, graph=kept)


def _expansion(
    X: NDArray[np.float32],
    pairs: list[tuple[NDArray[np.float64], NDArray[np.float64]]],
    truth: NDArray[np.float64],
    groups: ArrayLike | None,
    graph: Neighbors | None,
    blocks: int,
    seed: int,
) -> Foretold:
    """That of the rows whose truth is known, among themselves.

    Edges to rows of unknown truth would count as edges that lead to no mistake, and draw the expansion to 0.
    """
    rows = ~np.isnan(truth)
    if not rows.any():
        return unknown(EXPANSION, "truth", 0, NO_TRUTH)
    own = None if groups is None else np.asarray(groups, dtype=object)[rows]
    ids = group_ids(X[rows], own)
    k = min(NEIGHBOURS, most_neighbors(ids, len(ids)))
    if k < 1:
        return unknown(EXPANSION, "truth", len(ids), "all rows are related: none has a neighbour")
    shared = rows.all() and graph is not None and graph.k >= k
    near = graph if graph is not None and shared else search(X[rows], k, group_ids=ids)
    first, *others = ((p[rows], q[rows], truth[rows]) for p, q in pairs)
    found = robust_expansion(*first, near, k=k, groups=own, blocks=blocks, seed=seed)
    return _beside(found, [robust_expansion(*other, near, k=k, blocks=0).estimate.value for other in others])


def _kernels(
    weak_X: ArrayLike | None,
    strong: NDArray[np.float32],
    groups: ArrayLike | None,
    numbers: NDArray[np.intp] | None,
    draws: int,
    blocks: int,
    seed: int,
) -> list[Foretold]:
    if weak_X is None:
        return [unknown(name, "no labels", len(strong), NO_STORE) for name in (OVERLAP, GAP)]
    weak = check_activations(weak_X)
    found = [of(weak, strong, groups=groups, blocks=blocks, seed=seed) for of in (subspace_overlap, kernel_gap)]
    if not draws or not found[0].is_known:
        return found
    rows = drawn_rows(numbers, len(strong), ROWS, seed)
    both = [LeadingComponents.of(part[rows]) for part in (weak, strong)]
    rng = stream(seed, "permuted rows")
    turned = [permuted_rows(both[0], rng.permutation(len(rows))) for _ in range(draws)]
    levels = ([of(one, both[1]) for one in turned] for of in (overlap_of, gap_of))
    return [_beside(one, values) for one, values in zip(found, levels, strict=True)]


def _beside(own: Foretold, values: list[float]) -> Foretold:
    """The measure beside its level of chance, where it and all draws have a number."""
    if not own.is_known or not values or np.isnan(values).any():
        return own
    return replace(own, chance=float(np.mean(values)), draws=len(values))
