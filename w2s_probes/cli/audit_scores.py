"""The probe of an audit: which one, at which layer, and its out-of-sample scores of the labels."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..printable import listed
from ..probes.registry import PROBES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..labels.label_file import LabelFile

DEFAULT = "knn"


@dataclass(frozen=True)
class AuditProbe:
    """The options that name a probe and a layer; None for one that was not typed.

    >>> AuditProbe.typed("2", None, 20, None).k
    20
    """

    layer: str | None
    probe: str | None
    k: int | None
    l2: float | None

    @classmethod
    def typed(cls, layer: str | None, probe: str | None, k: int | None, l2: float | None) -> "AuditProbe":
        """From the options as typed; InputError for a probe that does not exist, and for a value it does not read."""
        typed = cls(layer, probe, k, l2)
        typed.refuse_value(probe or DEFAULT)
        return typed

    def refuse_value(self, by: str) -> None:
        """InputError for a probe that does not exist, and for a value that it does not read."""
        from .labelled_layer import refuse_no_probe

        refuse_no_probe(by, "--probe")
        for option, value in (("k", self.k), ("l2", self.l2)):
            if value is not None and (by not in PROBES or PROBES[by].value != option):
                readers = [name for name, entry in PROBES.items() if entry.value == option]
                raise InputError(f"--{option} is for {listed(readers)}: leave it out with --probe {by}")

    @property
    def said(self) -> list[str]:
        """The options that were typed."""
        return [f"--{name}" for name in ("layer", "probe", "k", "l2") if getattr(self, name) is not None]

    def refuse_store(self, store: Path | None, by: str) -> None:
        """InputError where a draw has a store and nothing to read of it, or needs one."""
        if store is None:
            if by == "disagreement":
                raise InputError("--by disagreement goes by a probe's scores: give STORE before LABELS, and --layer")
            if self.said:
                raise InputError(f"{self.said[0]} is of a probe: give STORE before LABELS, or leave it out")
        elif by != "uniform" and self.layer is None:
            raise InputError(f"--by {by} with a STORE reads a layer of it: give --layer, or leave STORE out")
        elif by == "uniform" and self.said:
            raise InputError(
                f"{self.said[0]}: --by uniform draws every row as likely, whatever a probe says: leave it out"
            )

    def of_design(self, design: dict[str, Any]) -> "AuditProbe":
        """These options, and for those that were not typed the draw's own.

        A value is that of the draw's probe, so another probe does not take it. InputError where no layer is known, and
        as `refuse_value`.
        """
        layer = design.get("layer") if self.layer is None else self.layer
        if layer is None:
            raise InputError("the audit was drawn without a probe: give --layer for the STORE, or leave STORE out")
        by = str(design.get("probe", DEFAULT)) if self.probe is None else self.probe
        self.refuse_value(by)
        own = design if by == design.get("probe") else {}
        k = own.get("k") if self.k is None else self.k
        l2 = own.get("l2") if self.l2 is None else self.l2
        return AuditProbe(str(layer), by, k, l2)

    def scores(self, store: Path, labels: Path, seed: int) -> "tuple[LabelFile, NDArray[np.float64], dict[str, Any]]":
        """The label file with rows in the order of ids, P(1) of its training rows (n,), and how they were scored.

        The order is the ids', so that neither the draw nor the folds hang on how the file was sorted.
        """
        from ..labels.label_file import LabelFile
        from .labelled_layer import LabelledLayer, probe_of

        by = self.probe or DEFAULT
        paired = by in PROBES and PROBES[by].pairs
        rows = LabelledLayer.read(store, labels, self.layer or "", by_id=True, paired=paired)
        from ..relabeling import relabel as out_of_sample_scores

        classifier = probe_of(by, self.k, self.l2, "strong", "exact")
        graph = rows.graph(classifier, False)
        p = out_of_sample_scores(classifier, rows.X, rows.y, groups=rows.groups, seed=seed, graph=graph)
        about: dict[str, Any] = {"layer": rows.layer, "probe": by, "store": rows.store.key}
        if by in PROBES:
            value = PROBES[by].value
            about |= {} if value is None else {value: getattr(self, value)}
        return LabelFile(rows.table, rows.where), p, about
