"""`w2s foretell --run`: every measure of a finished run's tasks and seeds, beside what its students gained."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checkout import from_checkout
from ..errors import InputError
from ..io.tables import write_table
from . import progress, terminal
from .foretold_labels import ORACLE
from .options import Kind
from .probe_choice import ProbeChoice

if TYPE_CHECKING:
    import pandas as pd


def foretell_of_run(
    run: Path, cache: Path, out: Path | None, choice: ProbeChoice, draws: int, seed: int, show: Kind
) -> None:
    """Measure, write the table into the run's folder or to `out`, and say what is in it; nothing is trained.

    InputError for a folder that holds no finished run, and for a cache without its activations.
    """
    if not (run / "run.json").is_file():
        pairs = sorted(path.parent.name for path in run.glob("*/run.json")) if run.is_dir() else []
        several = f": give one of its runs, {', '.join(pairs[:4])}" if pairs else ": no folder of `w2s run`"
        raise InputError(f"{run}{several}")
    with from_checkout():
        from analyses.forecasts import FORETOLD, GAINS, cells_of, foretell_run, gains_of, rank_correlation
    from ..foretelling import MEASURES
    from .answers_on_forecasts import ForetellAnswer

    gains = gains_of(run)
    probe: Any = {"by": choice.by, "k": choice.k, "l2": choice.l2}
    with progress.steps(show) as step:
        table = foretell_run(run, cache, **probe, draws=draws, seed=seed, progress=step)
    where = run / FORETOLD if out is None else out
    write_table(table, where)
    cells = cells_of(table, gains)
    correlations = [
        (name, outcome, rank_correlation(cells[cells["measure"] == name], outcome))
        for name in MEASURES
        for outcome in GAINS
    ]
    remarks = _remarks(cells, correlations)
    terminal.show(_shown(cells), by="task", asked=True)
    for line in remarks:
        terminal.say(line)
    if table["oracle"].any():
        terminal.say(ORACLE)
    terminal.say(f"Written: {where}")
    if out is None:
        terminal.next_command("w2s", "report", run)
    terminal.answer_json(ForetellAnswer.of_run(table, correlations, run, cache, choice.by, remarks, where))


def _remarks(cells: "pd.DataFrame", correlations: list[tuple[str, str, Any]]) -> list[str]:
    tasks = cells["task"].nunique()
    known = [(name, found) for name, outcome, found in correlations if outcome == "gain" and found.value == found.value]
    if cells["gain"].isna().all():
        return ["the recipe has no student-xent, so there is no gain to compare with"]
    if not known:
        return [f"{tasks} task{'s' * (tasks > 1)}: too few for a rank correlation of a measure and the gain"]
    told = (f"{name} {found}" for name, found in known)
    return [f"Spearman's correlation with the gain over {tasks} tasks [95 %, over tasks]: {'; '.join(told)}"]


def _shown(cells: "pd.DataFrame") -> "pd.DataFrame":
    """A line for each task and measure, under the task and what its student gained in AUROC."""
    import pandas as pd

    lines = []
    for cell in cells.to_dict(orient="records"):
        gain = f", gain {cell['gain']:+.3f}" if cell["gain"] == cell["gain"] else ""
        known = cell["value"] == cell["value"]
        lines.append(
            {
                "task": f"{cell['task']}{gain}",
                "measure": cell["measure"],
                "mean": f"{cell['value']:.3f}" if known else "",
                "by chance": f"{cell['chance']:.3f}" if cell["chance"] == cell["chance"] else "",
                "seeds": str(cell["seeds"]),
                "needs": "truth ORACLE" if cell["oracle"] else cell["needs"],
            }
        )
    return pd.DataFrame(lines)
