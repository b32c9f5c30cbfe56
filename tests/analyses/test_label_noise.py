"""A run's noise channel and kinds of rows: rates beside the true ones, statuses, and their section of the report."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.methods import judgements
from analyses.protocol import run
from analyses.report.load.folder import FinishedRun, read_folder
from analyses.report.page import page
from analyses.report.views.label_noise import noise_view
from analyses.results.idle_filters import idle_filters
from analyses.results.weak_rates import weak_rates
from tests.worlds.experiments import experiment, outcome_by, small_recipe
from w2s_probes.io.tables import read_table
from w2s_probes.noise import channel_model

METHODS = 'methods=["student-xent", "filter-channel", "filter-overlap", "filter-overlap-only"]'
LEAN = ("student.epochs=2", "data.n_train=120", "data.n_val=40", "data.n_test=60", "weak.n_truth=60", "n_boot=20")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of one task, whose overlap is split as published."""
    place = tmp_path_factory.mktemp("noise")
    run(small_recipe(METHODS, *LEAN, "probes.overlap.least_gain=0"), place / "out", cache=place / "kept")
    return place / "out"


def test_true_rates_count_soft_labels_in_part_and_classes_by_their_side() -> None:
    truth, weak = np.array([0, 0, 0, 0, 1, 1.0]), np.array([0.1, 0.2, 0.7, 0.0, 0.4, 0.9])
    assert weak_rates(truth, weak) == pytest.approx(
        {"rate_01": 0.25, "class_01": 0.25, "rate_10": 0.35, "class_10": 0.5}
    )
    assert set(weak_rates(np.ones(3), weak[:3])) == {"rate_10", "class_10"}


def test_a_run_records_true_rates_beside_estimated_ones_and_reports_both(folder: Path) -> None:
    (made,) = json.loads((folder / "run.json").read_text())["runs"].values()
    own, true = made["methods"]["filter-channel"], made["weak_rates"]
    table = read_table(next((folder / "labels").glob("*-0-weak.jsonl")))
    train = table[table["split"] == "train"]
    zeros = train["truth"].astype(float) < 0.5
    assert true["rate_01"] == pytest.approx(train["label"].astype(float)[zeros].mean())
    assert true["rate_10"] == pytest.approx(1 - train["label"].astype(float)[~zeros].mean())
    (found,) = read_folder(folder).runs
    view = noise_view(found)
    assert view is not None
    rates, kinds = view.tables
    (line,) = rates.rows
    assert line[2].text.startswith(f"{own['rate_01']:.2f} [{own['rate_01_low']:.2f}, ")
    assert [line[3].value, line[6].value] == pytest.approx([true["rate_01"], true["rate_10"]])
    counts = made["methods"]["filter-overlap"]
    (line,) = kinds.rows
    assert [cell.value for cell in line[3:6]] == [counts[f"{kind}_rows"] for kind in ("hard", "overlap", "easy")]
    assert sum(cell.value for cell in line[3:6]) == 120  # type: ignore[misc]
    assert line[2].value == pytest.approx(counts["overlap_rows"] / 120)
    html = page(read_folder(folder))
    assert "Rates of the noise channel, by task and seed" in html
    assert 'href="#r0-noise"' in html


def test_the_filters_keep_the_kinds_that_they_name_and_their_cards_have_no_probes_number(folder: Path) -> None:
    (made,) = json.loads((folder / "run.json").read_text())["runs"].values()
    rows = {
        name: read_table(next((folder / "filters").glob(f"*-{name}.jsonl.gz"))).query("reason != 'not a training row'")
        for name in ("filter-overlap", "filter-overlap-only")
    }
    gone = {name: table["keep"].map(str) == "False" for name, table in rows.items()}
    counts = made["methods"]["filter-overlap"]
    assert gone["filter-overlap"].sum() == counts["hard_rows"]
    assert gone["filter-overlap-only"].sum() == counts["hard_rows"] + counts["easy_rows"]
    assert set(rows["filter-overlap-only"]["reason"][gone["filter-overlap-only"]]) == {"hard row", "easy row"}
    assert set(rows["filter-overlap"]["probe"]) == {"overlap"}
    html = page(read_folder(folder))
    assert "filter-overlap-only" in html


def finished(runs: dict[str, Any]) -> FinishedRun:
    return FinishedRun("", {"runs": runs}, pd.DataFrame(), pd.DataFrame(), None, {}, [])


def test_trials_at_the_border_and_without_a_change_point_are_counted_and_said() -> None:
    rates = {"rate_01": 0.1, "rate_01_low": 0.05, "rate_01_high": 0.2, "rate_10": 0.3}
    rates |= {"rate_10_low": 0.2, "rate_10_high": 0.4}
    idle = {"removed": 0.0, "confidence_gain": 0.7, "no_change_point": 1.0}
    true = {"rate_01": 0.12, "rate_10": 0.45}
    runs = {
        "a, seed 0": {"methods": {"filter-channel": rates | {"at_border": 0.0}}, "weak_rates": true},
        "a, seed 1": {"methods": {"relabel-channel": rates | {"at_border": 1.0}, "filter-overlap": idle}},
        "b, seed 0": {"methods": {"relabel-channel": {"rate_01": 0.1, "rate_10": 0.2, "at_border": 0.0}}},
    }
    view = noise_view(finished(runs))
    assert view is not None
    assert "In 1 of 3 trials it is at the border" in view.lines[0]
    assert "1 of 2 intervals hold the true rate" in view.lines[0]
    assert "In 1 of 1 trials there is no change point, and all rows stay" in view.lines[1]
    assert [row[-1].text for row in view.tables[0].rows] == ["–", "at the border: no estimate", "few rows: no interval"]
    assert noise_view(finished({"a, seed 0": {"methods": {"filter-knn": {"removed": 3.0}}}})) is None
    (idle_line,) = idle_filters({"runs": runs})
    assert idle_line == "filter-overlap removed no row in 1 of 1 trials: no change point (least_gain)"


def test_a_channel_is_found_once_for_all_methods_that_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counted(*given: Any, **more: Any) -> Any:
        calls.append(1)
        return channel_model(*given, **more, draws=2)

    monkeypatch.setattr(judgements, "channel_model", counted)
    first = outcome_by("relabel-channel", experiment(tmp_path))
    again = outcome_by("filter-channel", experiment(tmp_path))
    assert len(calls) == 1
    assert first.notes["rate_01"] == again.notes["rate_01"]
    assert again.filtered is not None
    outcome_by("relabel-channel", experiment(tmp_path, seed=1))
    assert len(calls) == 2


def test_the_recipes_options_of_overlap_density_reach_the_filter(tmp_path: Path) -> None:
    from analyses.recipe.probe_values import Probes

    soft = np.clip(experiment(tmp_path).weak_train * 0.9 + np.random.default_rng(0).uniform(0, 0.1, 300), 0, 1)
    for options, rows in (({}, 0), ({"least_gain": 0.0}, 1)):
        made = experiment(tmp_path, weak_train=soft, probes=Probes(knn_k=20, overlap=options))
        outcome = outcome_by("filter-overlap", made)
        assert (outcome.notes["removed"] > 0) == rows
        assert outcome.notes["no_change_point"] == 1 - rows
        assert outcome.contamination is None
