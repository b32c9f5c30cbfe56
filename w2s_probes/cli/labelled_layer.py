"""The work that `w2s filter` and `w2s relabel` share: a label file joined to a store, and the probe that judges it."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# What reads stores and label files. What computes is imported where it is used: bad files are refused without it.
from ..devices import PROCESSOR
from ..errors import InputError, did_you_mean
from ..labels.label_file import LabelFile
from ..labels.label_set import raters_disagreement, truth_where_known
from ..labels.paired_labels import LabelledStore, on_both_sides
from ..labels.verdicts import refuse_own_fields, with_verdicts
from ..probes.class_specs import ClassSpec
from ..probes.connectivity import Connectivity
from ..probes.registry import PROBES
from ..rows.fields import kept_rows
from ..rows.groups import group_ids, groups_of, most_neighbors
from ..rows.ids import positions
from ..store.activation_store import ActivationStore
from . import terminal

if TYPE_CHECKING:
    from ..metrics.audit_design import AuditDesign
    from ..neighbors import Neighbors

# In place of a next command.
STUDENTS_OF_PAIRS = (
    "students read the rows themselves, and no pairs: `w2s extract` those, and `w2s student` their store"
)


@dataclass(frozen=True)
class LabelledLayer:
    """A label file joined to a store. Rows whose `split` is not train pass through unjudged."""

    store: ActivationStore
    layer: int
    where: str  # the label file's name, for errors
    table: pd.DataFrame  # every row of the file
    training: NDArray[np.bool_]  # which of them are judged
    ids: NDArray[np.object_]  # (n,) of those
    X: NDArray[np.float32]  # (n, d) activations of those
    y: NDArray[np.float64]  # (n,) and their labels
    sides: pd.DataFrame | None = None  # the file's rows, where they are sides and `table` has one for each pair

    @classmethod
    def read(
        cls, store: Path, labels: Path, layer: str, *, by_id: bool = False, paired: bool = False
    ) -> "LabelledLayer":
        """Read both; InputError where they do not fit. `by_id`: the rows in the order of their ids, not of the file.

        `paired`: as contrast pairs, as they are read wherever the file's ids are those of the store's pairs.
        """
        plain = ActivationStore.open(store)
        index = plain.resolve(layer)
        terminal.say_normed(plain, [index])
        given = LabelFile.read(labels)
        joined = LabelledStore.joined(plain, [given], paired=paired)
        opened, (file,) = joined.store, joined.files
        sides = None if file is given else given.frame
        if by_id:
            file = replace(file, frame=file.frame.sort_values("id", kind="stable", ignore_index=True))
        refuse_own_fields(file.frame, file.where)
        weak, training = file.weak, file.training
        if not training.any():
            raise InputError(f"{labels}: no row has split = train")
        from ..probes.validation import soft_labels

        soft_labels(weak.p[training], int(training.sum()))  # refuses labels of one class before anything is made
        ids = weak.ids[training]
        positions(opened.ids, ids, str(store), of=file.where)
        X = opened.layer(index, ids=ids)
        return cls(opened, index, file.where, file.frame, training, ids, X, weak.p[training], sides)

    @property
    def read_as(self) -> list[str]:
        """A remark where the rows are contrast pairs; [] where they are not."""
        return [f"read as {len(self.ids)} contrast pairs, [x⁺, x⁻]"] if self.store.paired else []

    @property
    def groups(self) -> NDArray[Any] | None:
        """The groups of the judged rows, where the file has them and some rows share one."""
        return groups_of(self.table[self.training])

    @property
    def truth(self) -> NDArray[np.float64] | None:
        """The truth (n,) of the judged rows, NaN where one has none; None where the file has none of them."""
        return truth_where_known(self.table[self.training], self.where)

    @property
    def disagreement(self) -> NDArray[np.float64]:
        """The raters' disagreement (n,) about the judged rows, NaN where one rater alone has judged a row.

        InputError where the file does not have it, and for what is no number in [0, ½].
        """
        return raters_disagreement(self.table[self.training], self.where)

    def known_truth(self, audit: Path | None) -> NDArray[np.float64] | None:
        """The truth (n,) by the file and by an audit of its own; None where neither has any."""
        if audit is None:
            return self.truth
        from ..noise.audits import with_audit

        return with_audit(self.ids, self.truth, audit, self.table["id"].to_numpy(dtype=object), self.where)

    def audit_design(self, audit: Path | None, truth: NDArray[np.float64] | None) -> "AuditDesign | None":
        """How the rows whose `truth` (n,) is known were drawn, where the file or the audit says so."""
        if truth is None:
            return None
        from ..noise.audits import design_of

        return design_of(self.table[self.training], ~np.isnan(truth), self.where, audit)

    def relabelled(self, labels: Path, *, again: bool = False) -> list[str]:
        """The fate of the labels that an earlier relabelling gave; [] where there was none."""
        if "new_label" not in self.table or "reason" not in self.table or not self._has_new_labels:
            return []
        if again:
            return [f"the `new_label` that {labels} had is replaced; these are of its `label`"]
        return [f"judged is the `label` of {labels}; its `new_label`, of an earlier relabelling, is what teaches"]

    @property
    def _has_new_labels(self) -> bool:
        new = self.table["new_label"]
        return bool((new.notna() & (new != self.table["label"])).any())

    @property
    def dropped(self) -> NDArray[np.bool_]:
        """The rows (of the file) that an earlier filter has dropped."""
        return ~kept_rows(self.table, self.where)

    @cached_property
    def group_ids(self) -> NDArray[np.intp]:
        """The code of each row (n,); related rows, which may not judge each other, share one."""
        return group_ids(self.X, self.groups)

    def graph(self, probe: Any, in_sample: bool) -> "Neighbors | None":
        """The neighbours that a kNN or Topo probe asks for, kept beside the store; None for other probes."""
        from ..neighbors.index_names import IndexName
        from ..neighbors.store_graphs import store_neighbors
        from ..probes import Probe, TopoProbe

        index = str(getattr(probe, "index", "exact"))  # a further probe of the registry need not have one
        ids = None if in_sample else self.group_ids
        most = most_neighbors(ids, len(self.X))
        if isinstance(probe, TopoProbe):
            k = max(probe.k_cc, min(probe.graph_k, most))
        elif isinstance(probe, Probe) and probe.graph_k and not in_sample:
            k = probe.graph_k
        elif in_sample and not IndexName.parse(index).is_exact:
            raise InputError(
                f"--in-sample with --index {index}: how many neighbours it finds of rows scored with themselves is not "
                "measured: leave one of them out"
            )
        else:
            return None
        return store_neighbors(self.store, self.layer, k, self.X, ids=self.ids, group_ids=ids, index=index)

    def folds(self, probe: Any, in_sample: bool, seed: int) -> NDArray[np.object_]:
        """The fold (n,) in which each row was held out, where the probe was cross-fitted; NaN everywhere else."""
        from ..rows.folds import fold_numbers

        numbers = np.full(len(self.y), np.nan, dtype=object)  # of objects, so that whole numbers stay whole on disk
        if not in_sample and not hasattr(type(probe), "out_of_sample_"):
            numbers[:] = fold_numbers(self.X, self.y, groups=self.groups, seed=seed).tolist()
        return numbers

    def judged(self, verdict: dict[str, NDArray[Any]], by: str) -> pd.DataFrame:
        """Every input row and field, with the verdict on the judged rows beside them (`with_verdicts`)."""
        judged = with_verdicts(
            self.table,
            self.training,
            verdict,
            where=self.where,
            probe=by,
            layer=self.layer,
            store=self.store.key,
        )
        return judged if self.sides is None else on_both_sides(judged, self.sides)


def refuse_no_probe(by: str, option: str = "--by") -> None:
    """InputError for a name that is neither a probe's nor, as module:Class, that of a classifier that can be made."""
    if ":" in by:
        ClassSpec.parse(by, option).make(option)
    elif by not in PROBES:
        raise InputError(f"{option} {by}: {did_you_mean(by, PROBES)}; or module:Class of a scikit-learn classifier")


def probe_of(
    by: str,
    k: int | None,
    l2: float | None,
    connectivity: Connectivity,
    index: str,
    alpha: float | None = None,
    device: str | None = None,
) -> Any:
    """The unfitted probe that the options name, with its default where a value is None; InputError if there is none."""
    refuse_no_probe(by)
    entry = PROBES[by]
    spreads: dict[str, Any] = {} if alpha is None else {"alpha": alpha}
    spreads |= {"connectivity": connectivity, "index": index, "device": device or PROCESSOR}
    return entry.make(k if entry.value == "k" else l2, **spreads)
