"""True labels of weak-train that a method may read where it says so: which rows, and how many it has read.

The third mark of a method, between weak and oracle: the truth of rows that no student is taught. That of strong-train,
validation and test rows is an oracle's.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.errors import InputError
from w2s_probes.labels.label_set import LabelSet
from w2s_probes.rows.groups import GROUP

from ..lessons.result_cache import array_hash, table_hash

TRUSTED = "trusted"  # name of these rows in a view, and of their number in tables


@dataclass(frozen=True)
class Trusted:
    """The true labels that a method needs: how many at least, of which rows of weak-train, and for what."""

    least: int = 1
    held_out: bool = False  # only those that the supervisor holds out, a fifth of weak-train; see `TrustedRows`
    stops: bool = False  # whether the rows that the supervisor holds out stop what it trains
    of_model: bool = False  # whether it trains a head on the supervisor's own model
    why: str = ""  # it cannot do without them, for a refusal


@dataclass(frozen=True)
class TrustedRows:
    """Rows of weak-train whose true labels a method may read. Those that it has read are counted.

    No supervisor is fitted to the rows that it holds out, but the truth of these stops the training of a head or a
    fine-tuned one, and chooses its epoch; a text supervisor's training has not seen it at all.

    >>> rows = pd.DataFrame({"id": ["a", "b"], "text": ["A", "B"], "group": ["a", "b"]})
    >>> labels = LabelSet(np.array(["a", "b"], dtype=object), np.array([1.0, 0.0]), "truth")
    >>> trusted = TrustedRows(rows, np.array([False, True]), np.array([np.nan, 0.3]), labels)
    >>> trusted.of(Trusted(held_out=True)).weak, trusted.read
    (array([0.3]), 0)
    >>> trusted.truth(trusted.held_out), trusted.read
    (array([0.]), 1)
    """

    rows: pd.DataFrame  # id, text, group
    held_out: NDArray[np.bool_]  # (n,) those that the supervisor is not fitted to
    weak: NDArray[np.float64]  # (n,) the supervisor's P(label = 1) of these; NaN where it is fitted to the row
    _labels: LabelSet  # of these rows; read by `truth` alone, which counts
    _read: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    @property
    def read(self) -> int:
        """The number of rows whose true labels have been read."""
        return len(self._read)

    def truth(self, mask: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
        """The true labels of the rows, or of those in the mask (n,). This reads them."""
        ids = self.rows["id"].to_numpy(dtype=object)
        ids = ids if mask is None else ids[mask]
        self._read.update(ids)
        return self._labels.values(ids)

    def of(self, declared: Trusted) -> "TrustedRows":
        """The rows that a method of this declaration may read, none of them read yet."""
        chosen = self.held_out if declared.held_out else np.ones(len(self.rows), dtype=bool)
        rows = self.rows[chosen].reset_index(drop=True)
        ids = rows["id"].to_numpy(dtype=object)
        labels = LabelSet(ids, self._labels.values(ids), "truth")
        return TrustedRows(rows, self.held_out[chosen], self.weak[chosen], labels)

    @property
    def description(self) -> dict[str, Any]:
        """All that decides them, for keys."""
        ids = self.rows["id"].to_numpy(dtype=object)
        numbers = {"labels": self._labels.values(ids), "weak": self.weak, "held_out": self.held_out}
        return {"rows": table_hash(self.rows), **{name: array_hash(array) for name, array in numbers.items()}}


def trusted_rows(
    table: pd.DataFrame, held_out: NDArray[np.bool_] | None, weak: NDArray[np.float64] | None
) -> TrustedRows | None:
    """The rows of weak-train with the supervisor's scores (n_held,) of those that it held out; None without rows."""
    if table.empty:
        return None
    mask, scores = np.zeros(len(table), dtype=bool), np.full(len(table), np.nan)
    if held_out is not None and weak is not None:
        mask, scores[held_out] = held_out, weak
    labels = LabelSet(table["id"].to_numpy(dtype=object), table["label"].to_numpy(dtype=np.float64), "truth")
    return TrustedRows(table[["id", "text", GROUP]].reset_index(drop=True), mask, scores, labels)


def reads_trusted(methods: Iterable[Any]) -> bool:
    """Whether one of these methods reads true labels of weak-train, so that students score its rows, too."""
    return any(method.trusted is not None for method in methods)


def refuse_too_few(name: str, needs: Trusted, truth: NDArray[np.float64], where: str) -> None:
    """InputError for a method that needs more rows than have these true labels (n,), or rows of both classes."""
    of = "rows of weak-train" + (" that the supervisor holds out, a fifth of it" if needs.held_out else "")
    why = f"; {needs.why}" if needs.why else ""
    if len(truth) < needs.least:
        raise InputError(
            f"{where}: method {name!r} needs the true labels of {needs.least} {of}, and there are {len(truth)}: raise "
            f"weak.n_truth{why}"
        )
    if len(np.unique(truth)) < 2:
        raise InputError(f"{where}: method {name!r}: the {len(truth)} {of}, are of one class: raise weak.n_truth{why}")
