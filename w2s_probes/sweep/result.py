"""The result of a sweep: one tidy table, the best cells, and a figure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..errors import InputError, reason
from ..io.files import replacing
from ..io.json_files import read_json
from ..io.sealed import not_as_written, write_sealed
from ..io.tables import read_table, write_table
from .beside import record_path, refuse_other_record
from .grid import BY_TRUTH, ChooseBy
from .measures import COLUMNS, OF_STUDENTS, STUDENT_PROBE, WEAK, as_table
from .swept_table import SweptTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False, repr=False)
class SweepResult(SweptTable):
    """The lines of a sweep (see docs/sweeps.md for the columns) and the record of how they were made.

    >>> line = {"labels": "weak", "seed": 0, "layer": 3, "probe": "knn", "k": 5, "rows": "training", "status": "ok"}
    >>> line |= {"metric": "weak_brier", "value": 0.2, "oracle": False}
    >>> float(SweepResult(as_table([line])).grid("knn", "weak_brier").loc[3, 5])
    0.2
    """

    record: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path | str) -> "SweepResult":
        """A sweep as `w2s sweep` or `write` left it; its record lies beside it as .json.

        InputError where either of them is not as it was written.
        """
        path = Path(path)
        table = read_table(path)
        if missing := [name for name in COLUMNS if name not in table and name not in OF_STUDENTS]:
            raise InputError(f"{path}: no table of a sweep: it has no column {missing[0]!r}")
        beside = record_path(path)
        record = read_json(beside, "sweep again") if beside.is_file() else {}
        if not isinstance(record, dict):
            raise InputError(f"{beside}: no record of a sweep, which is a JSON object: sweep again")
        if altered := list(not_as_written(beside, record, [path.name])):
            raise InputError(
                f"{path.with_name(altered[0])}: not as the sweep wrote it: sweep again, which reuses its parts, or "
                f"move {beside.name} elsewhere to read the table as it is"
            )
        try:
            return cls(as_table(table.to_dict(orient="records")), record)
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise InputError(
                f"{path}: a cell is not what a sweep writes there ({reason(error)}): sweep again"
            ) from error

    def write(self, path: Path | str, by: ChooseBy = "weak_brier", *, oracle: bool = False) -> None:
        """The table, in the format that the name ends in, and the record beside it as .json with the best cells."""
        path = Path(path)
        refuse_other_record(path)
        best = [self.best(labels, by, oracle=oracle).record() for labels in self.labels]
        students = {}
        if self.has_students:
            by_student: ChooseBy = by if by in BY_TRUTH else "weak_auroc"
            students = self.best_students(by_student, oracle=oracle).record()
        write_table(self.table, path)
        write_sealed(record_path(path), {**self.record, "best": best, **students}, [path.name])

    def plot(self, labels: str | None = None) -> "Figure":
        """AUROC against layer and against k and l2, as differences to the weak labels where the truth is known.

        A notebook shows the figure where it is the last value of a cell, once; pyplot does not know of it.
        """
        from .plot import sweep_figure

        return sweep_figure(self, self.one_label_set(labels))

    def save_plot(self, path: Path | str, labels: str | None = None) -> None:
        """The figure as PNG, SVG or PDF, by the name's ending; the same bytes each time."""
        from matplotlib import rc_context

        path = Path(path)
        dated = (
            {"Creator": None} if path.suffix == ".png" else {"Creator": None, "Producer": None, "CreationDate": None}
        )
        if path.suffix == ".svg":
            dated = {"Creator": None, "Date": None}
        with replacing(path) as temporary, rc_context({"svg.hashsalt": "w2s-probes"}):
            self.plot(labels).savefig(temporary, dpi=150, metadata=dated)

    def __repr__(self) -> str:
        cells = self.table[self.table["contamination"].isna() & ~self.table["probe"].isin([WEAK, STUDENT_PROBE])]
        counted = cells.groupby(["layer", "probe", "k", "l2"], dropna=False).ngroups
        return (
            f"SweepResult({counted} cells over {cells['layer'].nunique()} layers, probes {', '.join(self.probes)}, "
            f"label sets {', '.join(self.labels)})"
        )

    def _repr_html_(self) -> str:
        from html import escape

        bests = [self.best(labels) for labels in self.labels]
        lines = [
            {
                "labels": best.labels,
                "best cell": f"{best.setting} (best of {best.cells} by {best.chosen_by})",
                **{
                    f"{best.shown} on {name}": "{:.3f} [{:.3f}, {:.3f}]".format(*side[best.shown])
                    for name, side in (("the rows it was chosen on", best.training), ("held-out rows", best.held_out))
                    if best.shown in side
                },
            }
            for best in bests
        ]
        table = pd.DataFrame(lines).to_html(index=False, border=0, na_rep="")  # pandas escapes the names
        return f"<p><b>SweepResult</b>: {escape(repr(self)[len('SweepResult(') : -1])}</p>{table}"
