"""Overlap density: rows from which a student can learn what the supervisor does not know.

Shin, Cooper & Sala 2024, "Weak-to-Strong Generalization Through the Data-Centric Lens" (arXiv 2412.03881), section 3:
an easy row shows a pattern that the supervisor knows, a hard row one that it does not, and an overlap row both, so that
its label is known and teaches the other pattern. Detected as by the authors' probing script: hard are the rows of low
confidence, and of the others those are overlap rows that are most like a hard one.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, did_you_mean
from ..labels.label_set import ids_of
from ..probes.validation import check_activations, soft_labels
from ..rows.groups import group_ids
from .change_points import ChangePoint, change_point
from .judges import EASY, HARD, KINDS, LEAST_GAIN, OVERLAP_ROW, Similarity, refuse_gain

OverlapStatus = Literal["ok", "no change point in confidence", "no change point in similarity"]
UNTOLD = ""  # the kind of a row without a change point
BLOCK = 1 << 24  # products held at once

MEANING: dict[OverlapStatus, str] = {
    "ok": "rows are hard, overlap or easy by two splits",
    "no change point in confidence": "no split of the supervisor's confidence into a low and a high part explains "
    "enough of it, so that no row is called hard",
    "no change point in similarity": "no split of the likeness to hard rows into a low and a high part explains enough "
    "of it, so that no row is called an overlap row",
}


@dataclass(frozen=True, eq=False)
class OverlapDensity:
    """The kind of each of n rows, and the two splits that tell them apart."""

    status: OverlapStatus
    kinds: NDArray[np.object_]  # (n,) "hard", "overlap" or "easy"; "" where a change point is missing
    confidence: NDArray[np.float64]  # (n,) |2y - 1|
    similarity: NDArray[np.float64]  # (n,) largest to a hard row; NaN of hard rows, and where none is hard
    by_confidence: ChangePoint | None  # the best split, whether it saves enough or not; None where values are equal
    by_similarity: ChangePoint | None
    labels: NDArray[np.float64]  # (n,) that were looked at, P(label = 1)
    ids: NDArray[np.object_] | None = None  # (n,) of the rows, where the labels were a LabelSet

    @property
    def density(self) -> float:
        """The share of the rows that are overlap rows; NaN without both change points."""
        return float((self.kinds == OVERLAP_ROW).mean()) if self.status == "ok" else float("nan")

    @property
    def meaning(self) -> str:
        """The meaning of the status, as a clause."""
        return MEANING[self.status]

    @property
    def notes(self) -> dict[str, float]:
        """Counts and gains by names fit for a record; what is not known is left out."""
        gains = {"confidence_gain": self.by_confidence, "similarity_gain": self.by_similarity}
        found = {name: point.gain for name, point in gains.items() if point is not None}
        if self.status == "ok":
            found |= {f"{kind}_rows": float((self.kinds == kind).sum()) for kind in KINDS}
        return found | {"no_change_point": float(self.status != "ok")}

    def __repr__(self) -> str:
        if self.status != "ok":
            return f"OverlapDensity({self.status}; {len(self.kinds)} rows)"
        counts = ", ".join(f"{int((self.kinds == kind).sum())} {kind}" for kind in KINDS)
        return f"OverlapDensity({self.density:.3f}: {counts}; {len(self.kinds)} rows)"


def overlap_density(
    X: ArrayLike,
    y: ArrayLike,
    *,
    similarity: Similarity = "cosine",
    least_gain: float = LEAST_GAIN,
    groups: ArrayLike | None = None,
) -> OverlapDensity:
    """Tell hard, overlap and easy rows apart, by activations X (n, d) and weak labels y (n,), P(label = 1).

    Hard are the rows whose confidence |2y - 1| is below its change point. The others are scored by their largest
    |cosine| to a hard row, or with `similarity="inner"` by their largest inner product, and are overlap rows from the
    change point of these scores on. A hard row of a row's own group (`groups` (n,)), or its exact duplicate, is not
    looked at; a row of zeros, and one without a hard row outside its group, has a score of 0. Activations are taken as
    they are, not centred. A split that saves less than `least_gain` of the squared distances to the mean
    (`ChangePoint.gain`) is none; 0 takes any, as the published code does.

    O(h (n - h) d) for h hard rows. InputError for labels that are no probabilities, and for other values of options.
    """
    if similarity not in get_args(Similarity):
        raise InputError(f"similarity={similarity!r}: {did_you_mean(str(similarity), get_args(Similarity))}")
    refuse_gain(least_gain)
    matrix = check_activations(X)
    labels, _ = soft_labels(y, len(matrix))
    confidence, kinds = np.abs(2 * labels - 1), np.full(len(labels), UNTOLD, dtype=object)
    scores, first, second = np.full(len(labels), np.nan), change_point(confidence), None

    def found(status: OverlapStatus) -> OverlapDensity:
        return OverlapDensity(status, kinds, confidence, scores, first, second, labels, ids_of(y))

    if first is None or first.gain < least_gain:
        return found("no change point in confidence")
    hard = confidence < first.threshold
    kinds[hard] = HARD
    scores[~hard] = likeness(matrix, hard, group_ids(matrix, groups), similarity)
    second = change_point(scores[~hard])
    if second is None or second.gain < least_gain:
        return found("no change point in similarity")
    kinds[~hard] = np.where(scores[~hard] >= second.threshold, OVERLAP_ROW, EASY)
    return found("ok")


def likeness(
    X: NDArray[np.float32], hard: NDArray[np.bool_], ids: NDArray[np.intp], similarity: Similarity
) -> NDArray[np.float64]:
    """The largest similarity (m,) of each row that is not `hard` (n,) to a hard row with another code in `ids` (n,)."""
    directions = X
    if similarity == "cosine":
        norms = np.sqrt(np.einsum("ij,ij->i", X, X, dtype=np.float64))[:, None]
        directions = (X / np.where(norms > 0, norms, 1)).astype(np.float32)
    theirs, codes = directions[hard].T, ids[hard]
    others = np.flatnonzero(~hard)
    found = np.zeros(len(others))
    step = max(1, BLOCK // max(len(codes), 1))
    for start in range(0, len(others), step):
        rows = others[start : start + step]
        with np.errstate(over="ignore", invalid="ignore"):
            products = directions[rows] @ theirs
        if not np.isfinite(products).all():
            raise InputError("activations are too large for inner products in float32: scale them, or take the cosine")
        if similarity == "cosine":
            np.abs(products, out=products)
        kin = ids[rows][:, None] == codes
        products[kin] = -np.inf
        largest = products.max(axis=1)
        found[start : start + step] = np.where(kin.all(axis=1), 0, largest)
    return found
