"""The report on fusion: beside its controls, with α over the rows, and what is said where these are missing."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyses.report.load.folder import read_folder
from analyses.report.page import page
from analyses.report.views.differences import difference, methods_of
from analyses.report.views.fusion import fusion_view
from analyses.results.names import (
    ALPHA,
    DYNAMIC,
    HALF,
    OTHER_ALPHA,
    OTHER_CHANGE,
    STATIC,
    TUNED,
    predictions_file,
    trial_key,
)
from tests.worlds.report_folders import SIGNAL, write_run

FUSED = SIGNAL | {DYNAMIC: 2.0, STATIC: 2.0, HALF: 1.9, TUNED: 0.9, "prior-zeroshot": 1.7}


def with_alpha(folder: Path, seeds: tuple[int, ...]) -> None:
    """Write α of each row where a run writes it: half of the rows at the cap of 2, the others at .95."""
    for seed in seeds:
        file = folder / predictions_file("alpha", seed)
        table = pd.read_csv(file)
        table.insert(4, ALPHA + DYNAMIC, np.where(np.arange(len(table)) % 2, 0.95, 2.0))
        table.to_csv(file, index=False)


def test_fusion_stands_beside_its_controls_with_alpha_over_the_rows(tmp_path: Path) -> None:
    write_run(tmp_path, ["alpha"], seeds=(0, 1), signal=FUSED)
    with_alpha(tmp_path, (0, 1))
    (run,) = read_folder(tmp_path).runs
    assert not [name for name in methods_of(run.predictions["alpha"][0]) if name.startswith(ALPHA)]
    for seed in (0, 1):
        run.record["runs"][trial_key("alpha", seed)]["methods"][DYNAMIC] = {"capped": 0.5}
    view = fusion_view(run, "r0")
    assert view is not None
    assert [line.split()[1] for line in view.lines] == [OTHER_ALPHA, OTHER_CHANGE]
    by = {row[1].text: row for row in view.table.rows}
    assert list(by) == [DYNAMIC, "prior-zeroshot", HALF, STATIC, TUNED]
    line = by[DYNAMIC]
    assert (line[2].text, line[3].text) == ("by row: 1.48 (0.95, 1.48, 2.00)", "0.50")
    assert [by[name][2].text for name in ("prior-zeroshot", HALF, STATIC, TUNED)] == ["0", "0.5", "1", "–"]
    for column, other in ((5, STATIC), (6, "prior-zeroshot"), (7, TUNED)):
        found = difference(run.predictions["alpha"], DYNAMIC, other)
        assert found is not None
        assert line[column].value == pytest.approx(found.estimate.value)
    assert by[STATIC][5].value is None
    assert view.figure is not None
    html = page(read_folder(tmp_path))
    assert "Logit fusion" in html
    assert html.count(ALPHA + DYNAMIC) == 0  # it is no method


def test_what_is_missing_beside_fusion_is_said(tmp_path: Path) -> None:
    write_run(tmp_path, ["alpha"], signal=SIGNAL | {DYNAMIC: 2.0})
    html = page(read_folder(tmp_path))
    for name in (STATIC, "prior-zeroshot", TUNED):
        assert f"Without {name} nothing says what" in html
    assert "test rows by α" not in html


def test_a_run_without_fusion_has_no_such_section(tmp_path: Path) -> None:
    write_run(tmp_path, ["alpha"], signal=SIGNAL | {"prior-zeroshot": 1.0})
    assert fusion_view(read_folder(tmp_path).runs[0], "r0") is None
    assert "Logit fusion" not in page(read_folder(tmp_path))
