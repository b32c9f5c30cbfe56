"""The PGR intervals to expect from a number of test rows, assumed or as a pilot's scores tell."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from ..metrics.power import Correlations, Pilot

OTHER_SET = re.compile(r"-[0-9]+@[^/]+$")  # a file of scores on a test set beside the task's own


def intervals(
    test_rows: int, gaps: list[float], weak: float | None, correlation: float | None, pilot: "Pilot | None"
) -> "tuple[list[str], pd.DataFrame]":
    """The sentence on the PGR intervals to expect on `test_rows`, and their table: the pilot's own gap first."""
    import pandas as pd

    from ..metrics.power import CORRELATIONS, GAPS, PGR, WEAK

    heading = f"{test_rows:,} test rows"
    facts = {"intervals": "rows only: another training seed moves PGR, too"}
    table: list[dict[str, Any]] = []
    if pilot is None:
        weak = WEAK if weak is None else weak
        gaps = gaps or list(GAPS)
        correlations = CORRELATIONS if correlation is None else [correlation]
        assumed: dict[str, float | Correlations] = {f", ρ = {rho:g}": rho for rho in correlations}
        unknown = "not measured here, .12 to .59 in real runs; --pilot DIR measures it in a finished run"
        rho_is = unknown if correlation is None else "as --correlation says"
    else:
        assumed = {"": pilot.correlations}
        pairs = (f"weak and {pilot.student}", "weak and ceiling", f"{pilot.student} and ceiling")
        rho_is = ", ".join(f"{pair} {rho:.2f}" for rho, pair in zip(pilot.correlations, pairs, strict=True))
        runs = "1 task and seed" if pilot.runs == 1 else f"mean of {pilot.runs} tasks and seeds"
        facts["pilot"] = f"{runs}: weak {pilot.weak:.3f}, gap {pilot.gap:.3f}"
        if pilot.gap <= 0:
            facts["pilot"] += ", which leaves nothing to recover: only other gaps are shown"
        elif pilot.weak <= 0 or pilot.weak + pilot.gap >= 1:
            facts["pilot"] += ", and AUROCs of 0 or 1 have no error to plan with: only other gaps are shown"
        else:
            table = [_row(f"{heading}, as in the pilot", test_rows, pilot.gap, pilot.weak, assumed)]
        weak = pilot.weak if weak is None else weak
        gaps = gaps or [gap for gap in GAPS if weak + gap < 1]
    facts["ρ"] = f"correlation of two models' scores within a class: {rho_is}"
    table += [_row(heading, test_rows, gap, weak, assumed) for gap in gaps]
    if not table:
        raise InputError(f"a weak supervisor of AUROC {weak:.3f} leaves no gap to plan for: give --weak or --gap")
    title = f"What {heading} can show in AUROC, if PGR is {PGR} and half of the rows are positive"
    return [title, *(fact_line(name, text) for name, text in facts.items())], pd.DataFrame(table)


def _row(
    heading: str, test_rows: int, gap: float, weak: float, assumed: "dict[str, float | Correlations]"
) -> dict[str, Any]:
    """A gap's line, with interval and status at each of the correlations."""
    from ..metrics.power import expected_pgr

    row: dict[str, Any] = {"rows": heading, "weak": weak, "ceiling": weak + gap, "gap": gap}
    for mark, correlation in assumed.items():
        expected = expected_pgr(gap, test_rows, weak=weak, correlation=correlation)
        status = f"{expected.status} in {expected.shares[expected.status]:.0%}"
        row[f"PGR (rows only){mark}"] = f"[{expected.low:.2f}, {expected.high:.2f}] {status}"
    return row


def fact_line(name: str, text: str) -> str:
    return f"  {name:<15}{text}"


def pilot_of_run(folder: Path) -> "Pilot":
    """The scorers of a finished run; InputError where it has no scores, or damaged ones."""
    from ..io.json_files import read_json
    from ..io.tables import read_table
    from ..metrics.power import pilot_of

    files = sorted(file for file in (folder / "predictions").glob("*.csv") if not OTHER_SET.search(file.name))
    if not files:
        raise InputError(f"{folder}: no predictions/TASK-SEED.csv in it: give the folder that `w2s run` wrote (--out)")
    try:
        tables = {str(file): read_table(file) for file in files}
        # Columns with a slash are draws of one method.
        plain = [name for name in map(str, tables[str(files[0])]) if "/" not in name]
        try:
            student = str(read_json(folder / "run.json")["recipe"]["baseline"])
        except (ValueError, KeyError, TypeError):  # unfinished, or not of `w2s run`
            student = ""
        if student not in plain:
            students = [name for name in plain if name.startswith("student-")]
            student = students[0] if students else student or "student-xent"
        return pilot_of(tables, student)
    except InputError as error:
        raise InputError(f"{error}: give another --pilot, or --correlation") from error
