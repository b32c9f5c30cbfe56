"""Drawing an audit from a label set: which rows a person is to read, in which order, with what probability."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..checks import probabilities
from ..errors import InputError
from ..labels.label_file import LabelFile, Labels
from ..labels.label_set import LabelSet
from ..noise.audits import INCLUSION, LEAST_AUDITED
from ..randomness import stream
from ..rows.sides import refuse_both_sides
from ..ties import above_half
from .audit_rows import ANSWER, ORDER, STRATUM, TEXT, WEAK, AuditRows, identity_of
from .designs import DrawnBy, draw_rows


def draw_audit(
    labels: Labels | LabelFile,
    *,
    n: int = 200,
    by: DrawnBy = "uniform",
    p: ArrayLike | None = None,
    bins: int | None = None,
    seed: int = 0,
    names: Sequence[str] | None = None,
    show_labels: bool = False,
    texts: Mapping[str, str] | None = None,
    scored_by: Mapping[str, Any] | None = None,
) -> AuditRows:
    """Draw n training rows of a label set for a person to say their truth; see `designs.draw_rows` for `by`.

    `p` (N,): a probe's out-of-sample P(label = 1) of the training rows, in the file's order, or a LabelSet, which is
    joined by id; a stratified draw without it has the weak classes as strata. The draw does not hang on the order of
    the rows. `names` are those of classes 0 and 1; weak labels are left out unless `show_labels`, since who sees one is
    drawn to it. `texts` by id where the labels have none. `scored_by` is written into the design: where the scores come
    from.
    """
    file = labels if isinstance(labels, LabelFile) else LabelFile.read(labels)
    rows = np.flatnonzero(file.training)
    if not len(rows):
        raise InputError(f"{file.where}: no row has split = train")
    refuse_both_sides(file.weak.ids[rows], file.where, "an audit", "")
    scores = None if p is None else scores_of(p, file)
    ids = file.weak.ids[rows]
    by_id = np.argsort(ids.astype(str), kind="stable")
    rows, ids, y = rows[by_id], ids[by_id], file.weak.p[rows][by_id]
    positive = above_half(y)
    f = None if scores is None else np.where(positive, 1 - scores[by_id], scores[by_id])
    drawn = draw_rows(by, positive, n, f=f, bins=bins, seed=seed)
    at = drawn.rows
    columns: dict[str, Any] = {"id": ids[at]}
    if (shown := _texts(file, rows[at], ids[at], texts)) is not None:
        columns[TEXT] = shown
    if show_labels:
        columns[WEAK] = y[at]
    columns[ANSWER] = np.full(n, np.nan)
    columns[ORDER] = np.arange(1, n + 1)
    # Letters in random order: a stratum's number would tell the weak label.
    letters = stream(seed, "audit strata").permutation(drawn.strata.max() + 1)
    columns[STRATUM] = [f"s{letters[code] + 1}" for code in drawn.strata[at]]
    columns[INCLUSION] = drawn.inclusion[at]
    design: dict[str, Any] = {"by": by, "n": n, "rows": len(rows), "seed": seed, "labels": identity_of(file)}
    if names is not None:
        design["names"] = _checked_names(names)
    if bins is not None:
        design["bins"] = bins
    design |= {name: value for name, value in (scored_by or {}).items() if value is not None}
    return AuditRows.drawn(pd.DataFrame(columns), design)


def scores_of(p: ArrayLike, file: LabelFile) -> NDArray[np.float64]:
    """A probe's P(1) of the training rows (n,): by id from a label set, else in their order; InputError for others."""
    names = file.weak.ids[file.training]
    scores = p.values(names) if isinstance(p, LabelSet) else probabilities(p, "probe scores")
    if len(scores) != len(names):
        raise InputError(f"{file.where}: {len(names)} training rows but {len(scores)} probe scores")
    return scores


def few_of_a_class(labels: LabelFile, audit: AuditRows) -> str | None:
    """A remark where the draw holds so few rows of a weak class that intervals of it are no guide; else None."""
    positive = above_half(labels.weak.values(audit.table["id"].tolist()))
    fewest = int(min(positive.sum(), (~positive).sum()))
    if fewest >= LEAST_AUDITED:
        return None
    return (
        f"{fewest} of the rows drawn are of one weak class: at least {LEAST_AUDITED} are needed to say how many labels "
        "are wrong: raise --n, or draw --by stratified"
    )


def _texts(
    file: LabelFile, rows: NDArray[np.intp], ids: NDArray[np.object_], texts: Mapping[str, str] | None
) -> list[Any] | None:
    """What a person reads of each row, where that is known."""
    if texts is not None:
        if lacking := [name for name in ids.tolist() if name not in texts]:
            raise InputError(
                f"{len(lacking)} of the rows drawn have no text, first {lacking[0]!r}: give the rows of these labels"
            )
        return [texts[name] for name in ids.tolist()]
    return None if TEXT not in file.frame else file.frame[TEXT].iloc[rows].tolist()


def _checked_names(names: Sequence[str]) -> list[str]:
    cleaned = [str(name).strip() for name in names]
    if len(cleaned) != 2 or not all(cleaned) or cleaned[0].casefold() == cleaned[1].casefold():
        raise InputError(f"names {', '.join(cleaned)!r}: give two different ones, of class 0 and class 1")
    if cleaned[0] == "1" or cleaned[1] == "0":
        raise InputError(f"names {', '.join(cleaned)!r}: 0 is always class 0 and 1 class 1")
    return cleaned
