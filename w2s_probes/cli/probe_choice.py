"""Which probe, value and layer a command is to use: as typed, or as a sweep has chosen them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..devices import PROCESSOR, refuse_no_device, refuse_no_name
from ..errors import InputError
from ..filtering.judges import CHANNEL, CONFIDENT
from ..io.files import refuse_input, refuse_no_file
from ..printable import listed
from ..probes.connectivity import refuse_alpha
from ..probes.registry import PROBES
from .options import BEST, JUDGES

if TYPE_CHECKING:
    from ..neighbors import Neighbors
    from ..sweep.chosen import ChosenCell


SETTINGS = ("connectivity", "index", "alpha", "device")  # of some probes, and no values


@dataclass(frozen=True)
class JudgedFiles:
    """The files of a command that judges labels by a probe; InputError for one that cannot serve."""

    store: Path
    labels: Path
    out: Path
    audit: Path | None
    sweep: Path | None  # a sweep's record, where one chooses

    def __post_init__(self) -> None:
        from ..io.tables import refuse_no_table, table_format
        from ..sweep.chosen import files_of_sweep

        table_format(self.out)
        refuse_no_file(self.out)
        refuse_input(self.out, self.labels, self.audit, *([] if self.sweep is None else files_of_sweep(self.sweep)))
        if self.audit is not None:
            refuse_no_table(self.audit)


@dataclass(frozen=True)
class ProbeChoice:
    """The options that name a probe and a layer; None for one that was not typed.

    >>> ProbeChoice.typed("3", "knn", 5, None, {}).k
    5
    """

    layer: str
    by: str
    k: int | None = None
    l2: float | None = None
    connectivity: str | None = None
    index: str | None = None
    alpha: float | None = None
    device: str | None = None
    cell: "ChosenCell | None" = None  # what a sweep chose, where one did
    labels: str = ""  # the name of the label file

    @classmethod
    def typed(
        cls,
        layer: str,
        by: str,
        k: int | None,
        l2: float | None,
        values: Mapping[str, float | None],
        connectivity: str | None = None,
        index: str | None = None,
        alpha: float | None = None,
        device: str | None = None,
    ) -> "ProbeChoice":
        """From the options as typed, `values` by probe; InputError for one that the probe does not read.

        `--knn-k 5` is `--k 5` of knn alone, so that an option of a sweep is never read as another probe's.
        """
        readers = {entry.flag: [name] for name, entry in PROBES.items()}
        for option in ("k", "l2", *SETTINGS):
            readers[f"--{option}"] = [name for name, entry in PROBES.items() if option in (entry.value, *entry.options)]
        for option in ("--l2", "--logistic-l2", "--device"):
            readers[option] += [CHANNEL, CONFIDENT]  # which judge by a logistic probe
        ks = {"--k": k, **{PROBES[name].flag: v for name, v in values.items() if PROBES[name].value == "k"}}
        penalties = {"--l2": l2, **{PROBES[name].flag: v for name, v in values.items() if PROBES[name].value == "l2"}}
        settings = dict(zip(SETTINGS, (connectivity, index, alpha, device), strict=True))
        typed = {**ks, **penalties, **{f"--{name}": value for name, value in settings.items()}}
        for option, value in typed.items():
            if value is None:
                continue
            if by == BEST and option.removeprefix("--") not in SETTINGS:
                raise InputError(f"{option}: --by best takes its value from the sweep: leave it out")
            # A probe that does not exist is refused elsewhere, by its name.
            if by not in readers[option] and (by in (*PROBES, *JUDGES) or ":" in by):
                raise InputError(f"{option} is for {listed(readers[option])}: leave it out with --by {by}")
        if alpha is not None:
            refuse_alpha(alpha)
        if device is not None:
            refuse_no_name(device, "--device")
        neighbors = _only(ks)
        number = None if neighbors is None else int(neighbors)
        return cls(layer, by, number, _only(penalties), connectivity, index, alpha, device)

    def judging(self, files: JudgedFiles, others: Collection[str] = ()) -> "ProbeChoice":
        """The choice of a command that judges labels; InputError for a probe, and for a device, that does not exist.

        `others`: what may judge in a probe's place.
        """
        from .labelled_layer import refuse_no_probe

        choice = self.resolved(files.store, files.labels, files.sweep)
        if choice.by not in others:
            refuse_no_probe(choice.by)
        refuse_no_device(choice.device or PROCESSOR)
        return choice

    def resolved(self, store: Path, labels: Path, source: Path | None) -> "ProbeChoice":
        """The same with each `best` replaced by what the sweep at `source` chose for this store and label file."""
        asked = [option for option, value in (("--layer", self.layer), ("--by", self.by)) if value == BEST]
        if source is None:
            if asked:
                raise InputError(f"{asked[0]} best: say by which sweep: --from sweep.json")
            return self
        if not asked:
            raise InputError("--from is read for --layer best and --by best: give one of them, or leave it out")
        from ..store.activation_store import ActivationStore
        from ..sweep.chosen import chosen_cell, label_set_name

        cell = chosen_cell(source, ActivationStore.open(store).key, labels)
        chosen = self if self.layer != BEST else replace(self, layer=str(cell.layer))
        if self.by == BEST:
            chosen = replace(chosen, by=cell.probe, k=cell.k, l2=cell.l2)
            for option in SETTINGS:
                if getattr(self, option) is not None and option not in PROBES[cell.probe].options:
                    raise InputError(
                        f"--{option}: the sweep's best probe is {cell.probe}, which does not read it: leave it out"
                    )
        return replace(chosen, cell=cell, labels=label_set_name(labels))

    def named(self, in_sample: bool, graph: "Neighbors | None" = None) -> str:
        """The probe as a verdict file has it: what flatters its scores, or was chosen by the truth, is marked.

        So is the share of its neighbours that an approximate index found.
        """
        marks = [", in-sample"] if in_sample else []
        marks += [f", {graph.recall:.1%} of the neighbours found"] if graph is not None and graph.recall < 1 else []
        marks += [", chosen by truth"] if self.cell is not None and self.cell.oracle else []
        return self.by + "".join(marks)

    @property
    def reads_pairs(self) -> bool:
        """Whether the probe reads contrast pairs, and no single vectors."""
        return self.by in PROBES and PROBES[self.by].pairs

    def said(self) -> list[str]:
        """Remarks on a choice that a sweep has made."""
        if self.cell is None:
            return []
        lines = [f"by the sweep: {self.cell}"]
        if self.by and self.cell.labels != self.labels:
            lines.append(f"that sweep was of other labels: sweep {self.labels} for a choice by these")
        if self.cell.oracle:
            lines.append("the truth chose this cell (the sweep's --oracle): no figure here is one of a method")
        return lines


def _only(options: Mapping[str, float | None]) -> float | None:
    """The value that was typed; InputError where two names of one option were."""
    typed = {name: value for name, value in options.items() if value is not None}
    if len(typed) > 1:
        raise InputError(f"{' and '.join(typed)} are one option: give one of them")
    return next(iter(typed.values()), None)
