"""What was foretold of a run's tasks, beside what their students gained, and how the two go together."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from ...forecasts import LEAST_TASKS, cells_of, gains_in, rank_correlation
from ..drawing.cells import Column, Table, TableCell, estimate, number, words
from ..load.folder import FinishedRun

SIGNED = "+.2f"
BRIEF = {"no labels": "no labels", "weak labels": "weak labels", "truth": "truth (oracle)"}


@dataclass(frozen=True)
class ForetoldView:
    """Sentences, a table by task, and one by measure; no tables where they are of another run."""

    lines: list[str]
    tasks: Table | None = None
    measures: Table | None = None


def foretold_view(run: FinishedRun) -> ForetoldView | None:
    """The section on what was foretold; None where `w2s foretell --run` has not measured this run."""
    if run.foretold is None:
        return None
    if not run.foretold.of_this_run:
        return ForetoldView(
            ["What was foretold here is of another run than the one in this folder: measure it again, by w2s foretell."]
        )
    cells = cells_of(run.foretold.table, gains_in(run.results), run.name)
    return ForetoldView(_lines(cells), _tasks(cells), _measures(cells))


def _lines(cells: pd.DataFrame) -> list[str]:
    tasks = cells["task"].nunique()
    lines = ["Measured on training rows, without a student: the recipe's layer and a probe of it, means over seeds."]
    if cells["gain"].isna().all():
        lines.append("The recipe has no student-xent, so that there is no gain to compare with.")
    elif tasks < LEAST_TASKS:
        lines.append(f"{tasks} task{'s' * (tasks > 1)}: too few for a rank correlation of a measure and the gain.")
    else:
        lines.append("Tasks are few and measures and outcomes several: some correlations leave 0 out by luck alone.")
    if cells["oracle"].any():
        lines.append("Measures that read the truth of training rows are an oracle's, and may choose nothing.")
    return lines


def _tasks(cells: pd.DataFrame) -> Table:
    measures = list(dict.fromkeys(cells["measure"]))
    oracle = set(cells["measure"][cells["oracle"]])
    columns = [
        Column("task", False),
        Column("gain", about="AUROC of student-xent less the supervisor's"),
        Column("PGR"),
        *(Column(f"{name} (oracle)" if name in oracle else name) for name in measures),
    ]
    rows = []
    for task, own in cells.groupby("task", sort=False):
        found = {str(one["measure"]): one for one in own.to_dict(orient="records")}
        first = next(iter(found.values()))
        line = [words(str(task)), number(first["gain"], "+.3f"), number(first["pgr"], ".2f")]
        rows.append([*line, *(_beside(found.get(name, {})) for name in measures)])
    return Table("What was foretold of each task (in brackets by chance), and what its student gained", columns, rows)


def _beside(cell: Any) -> TableCell:
    """A value, with its level of chance in brackets."""
    value, chance = number(cell.get("value")), number(cell.get("chance"))
    if value.value is None or chance.value is None:
        return value
    return TableCell(f"{value.text} ({chance.text})", value.value)


def _measures(cells: pd.DataFrame) -> Table:
    from w2s_probes.foretelling import EXPECTED, track_record  # scikit-learn's: only where something was foretold

    columns = [
        Column("measure", False),
        Column("reads", False),
        Column("more of it, as published", False),
        Column("tasks"),
        Column("with the gain [95 %]", about="Spearman's correlation over tasks; bootstrap over tasks"),
        Column("with the PGR [95 %]", about="the same with the gap recovered"),
        Column("in the study [95 %]", about=f"with the gain, over {track_record()}"),
    ]
    rows = []
    for name in dict.fromkeys(cells["measure"]):
        own = cells[cells["measure"] == name]
        gain, pgr = (rank_correlation(own, outcome) for outcome in ("gain", "pgr"))
        past = track_record().correlation(str(name))
        needs = str(own["needs"].iloc[0])
        rows.append(
            [
                words(name),
                words(BRIEF[needs] if own["oracle"].any() else needs, "oracle" if own["oracle"].any() else ""),
                words(EXPECTED.get(str(name))),
                number(own["value"].notna().sum(), ".0f"),
                *(estimate(found.value, found.low, found.high, SIGNED) for found in (gain, pgr)),
                number(None) if past is None else estimate(past.value, past.low, past.high, SIGNED),
            ]
        )
    return Table("How each measure went with what was gained", columns, rows)
