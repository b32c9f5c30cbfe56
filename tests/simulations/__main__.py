"""`make simulate`: all tables, written into docs/statistics.md and docs/auditing.md between marks of their names."""

import sys

from tests.conftest import ROOT
from tests.simulations.audits import of_planted_audits, on_the_miniature
from tests.simulations.coverage import by_gap, by_groups, by_seeds, of_single_aurocs
from tests.simulations.medians import of_medians
from tests.simulations.metric_intervals import of_metrics
from tests.simulations.noise import on_pure_noise
from tests.simulations.verdicts import across_tasks, within_a_task

PAGES = [ROOT / "docs" / name for name in ("statistics.md", "auditing.md")]
TABLES = {
    "seeds": by_seeds,
    "groups": by_groups,
    "gaps": by_gap,
    "single": of_single_aurocs,
    "medians": of_medians,
    "metrics": of_metrics,
    "verdicts within a task": within_a_task,
    "verdicts across tasks": across_tasks,
    "noise": on_pure_noise,
    "planted audits": of_planted_audits,
    "audits of the miniature": on_the_miniature,
}


def main(names: list[str]) -> None:
    """Make the tables of these names, or all."""
    for name in names or TABLES:
        (page,) = [path for path in PAGES if f"<!-- {name} -->\n" in path.read_text()]
        table = TABLES[name]()
        print(f"{name}\n{table}\n", flush=True)
        before, mark, rest = page.read_text().partition(f"<!-- {name} -->\n")
        page.write_text(before + mark + table + rest[rest.index("\n<!-- end -->") :])


if __name__ == "__main__":
    main(sys.argv[1:])
