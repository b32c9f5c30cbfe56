"""The report on what was foretold: the library's numbers beside the run's gains, and nothing of another run."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyses.forecasts import FORETOLD, RUN_COLUMNS, cells_of, gains_in, rank_correlation
from analyses.report.load.folder import read_folder
from analyses.report.page import page
from analyses.report.views.foretold import foretold_view
from tests.worlds.report_folders import write_run
from w2s_probes.errors import InputError
from w2s_probes.foretelling import EXPECTED, MEASURES, track_record
from w2s_probes.io.json_files import read_json
from w2s_probes.io.tables import write_table

TASKS = [f"task <{i}>" for i in range(6)]


def foretold(folder: Path, tasks: list[str], checksum: str | None = None) -> pd.DataFrame:
    """A table as `w2s foretell --run` writes it, with made-up numbers; CAPA has none on the first task."""
    rng, lines = np.random.default_rng(0), []
    own = str(read_json(folder / "run.json")["checksum"])[:16] if checksum is None else checksum
    for task in tasks:
        for seed in (0, 1):
            for name in MEASURES:
                truth = name in ("CAPA", "robust expansion")
                gone = name == "CAPA" and task == tasks[0]
                value = np.nan if gone else rng.uniform()
                ends = (value - 0.1, value + 0.1)
                line = [task, seed, name, value, *ends, value / 2, 1, "truth" if truth else "weak labels", 100]
                lines.append([*line, truth, 0, "undefined" if gone else "ok", own])
    table = pd.DataFrame(lines, columns=RUN_COLUMNS)
    write_table(table, folder / FORETOLD)
    return table


def test_tables_hold_the_means_over_seeds_the_gains_and_the_librarys_correlations(tmp_path: Path) -> None:
    write_run(tmp_path, TASKS, seeds=(0, 1))
    table = foretold(tmp_path, TASKS)
    (run,) = read_folder(tmp_path).runs
    view = foretold_view(run)
    assert view is not None
    assert view.tasks is not None
    assert view.measures is not None
    gains, means = gains_in(run.results), table.groupby(["task", "measure"])["value"].mean()
    assert [column.name for column in view.tasks.columns][3:] == [
        *MEASURES[:4],
        "CAPA (oracle)",
        "robust expansion (oracle)",
    ]
    for row in view.tasks.rows:
        task = row[0].text
        assert row[1].value == pytest.approx(gains.loc[task, "gain"])
        for cell, name in zip(row[3:], MEASURES, strict=True):
            if np.isnan(means[task, name]):
                assert cell.value is None
            else:
                assert cell.value == pytest.approx(means[task, name])
                assert cell.text == f"{means[task, name]:.3f} ({means[task, name] / 2:.3f})"
    cells = cells_of(table, gains)
    for row in view.measures.rows:
        name = row[0].text
        found, past = rank_correlation(cells[cells["measure"] == name], "gain"), track_record().correlation(name)
        assert past is not None
        assert row[2].text == EXPECTED[name]
        assert row[3].text == ("5" if name == "CAPA" else "6")
        assert row[4].value == pytest.approx(found.value)
        assert row[6].value == past.value
    html = page(read_folder(tmp_path))
    assert "What was foretold" in html
    assert "an oracle" in " ".join(view.lines)


def test_few_tasks_have_no_correlation_and_no_table_no_section(tmp_path: Path) -> None:
    write_run(tmp_path, ["alpha", "beta"], seeds=(0, 1))
    assert foretold_view(read_folder(tmp_path).runs[0]) is None
    assert "What was foretold" not in page(read_folder(tmp_path))
    foretold(tmp_path, ["alpha", "beta"])
    view = foretold_view(read_folder(tmp_path).runs[0])
    assert view is not None
    assert view.measures is not None
    assert {row[4].value for row in view.measures.rows} == {None}
    assert "2 tasks: too few for a rank correlation" in " ".join(view.lines)


def test_numbers_of_another_run_are_not_shown_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    write_run(tmp_path, ["alpha"])
    foretold(tmp_path, ["alpha"], checksum="0123456789abcdef")
    view = foretold_view(read_folder(tmp_path).runs[0])
    assert view is not None
    assert (view.tasks, view.measures) == (None, None)
    assert "of another run than the one in this folder" in page(read_folder(tmp_path))
    file = tmp_path / FORETOLD
    file.write_text(file.read_text().replace("weak labels", "stars"))
    with pytest.raises(InputError, match=r"foretold.csv.*stars"):
        read_folder(tmp_path)
    file.write_text("task,seed\n")
    with pytest.raises(InputError, match=r"foretold.csv"):
        read_folder(tmp_path)
