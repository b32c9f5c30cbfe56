"""`make simulate`: all tables, written into docs/statistics.md between the marks that name them."""

import sys

from tests.conftest import ROOT
from tests.simulations.coverage import by_gap, by_groups, by_seeds, of_single_aurocs
from tests.simulations.medians import of_medians
from tests.simulations.metric_intervals import of_metrics
from tests.simulations.noise import on_pure_noise
from tests.simulations.verdicts import across_tasks, within_a_task

PAGE = ROOT / "docs" / "statistics.md"
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
}


def main(names: list[str]) -> None:
    """Make the tables of these names, or all."""
    text = PAGE.read_text()
    for name in names or TABLES:
        table = TABLES[name]()
        print(f"{name}\n{table}\n", flush=True)
        before, mark, rest = text.partition(f"<!-- {name} -->\n")
        assert mark, name
        text = before + mark + table + rest[rest.index("\n<!-- end -->") :]
        PAGE.write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
