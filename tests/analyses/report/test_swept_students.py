"""The part of a report that tells of a sweep's students."""

from pathlib import Path

import pytest

from analyses.report import write_report
from analyses.report.load.folder import read_folder
from analyses.report.views.sweeps import sweep_view
from tests.worlds.sweeping import planted_store
from w2s_probes.sweep import SweepResult, sweep


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SweepResult]:
    folder = tmp_path_factory.mktemp("students")
    world = planted_store(folder / "acts", apart=(0.0, 3.0))
    asked = {"student_filter": ["none", "knn"], "seeds": [0, 1]}
    result = sweep(world.path, {"<b>weak": world.table}, knn_k=5, students=["xent", "kl"], **asked)  # type: ignore[arg-type]
    result.write(folder / "out" / "sweep.csv")
    return folder / "out", result


def test_every_student_stands_with_its_gain_and_gap_recovered_and_the_chosen_one_is_marked(
    swept: tuple[Path, SweepResult],
) -> None:
    folder, result = swept
    (read,) = read_folder(folder).sweeps
    table = sweep_view(read, "s").students
    assert table is not None
    names = [column.name for column in table.columns]
    at = names.index("PGR in AUROC, held-out [95 %]")
    assert len(table.rows) == 2 * 5
    found = {(row[0].text, row[1].text): row for row in table.rows}
    best = result.best_student()
    marked = [key for key, row in found.items() if row[-1].text == "best by weak labels"]
    assert marked == [(str(best.layer), best.name)]
    pgr, low, _ = best.held_out["pgr_auroc"]
    assert found[str(best.layer), best.name][at].text.startswith(f"{pgr:.3f}")
    assert low < pgr or low != low
    assert found["1", "ceiling xent"][at].text in ("", "–")  # its own measure


def test_the_page_holds_them_and_a_figure_by_layer(swept: tuple[Path, SweepResult]) -> None:
    folder, _ = swept
    page = write_report(folder).read_text()
    assert "Students by layer, method and loss" in page
    assert "&lt;b&gt;weak: students by layer (held-out rows)" in page
    assert "<b>weak" not in page


def test_a_sweep_without_students_says_nothing_of_them(tmp_path: Path) -> None:
    world = planted_store(tmp_path / "acts", apart=(0.0, 3.0))
    sweep(world.path, world.table, knn_k=5).write(tmp_path / "out" / "sweep.csv")
    (read,) = read_folder(tmp_path / "out").sweeps
    assert sweep_view(read, "s").students is None
    assert "Students by layer" not in write_report(tmp_path / "out").read_text()
