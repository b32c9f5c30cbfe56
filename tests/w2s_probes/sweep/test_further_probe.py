"""A probe of the registry beyond the three that come with it, from a sweep to the filter by its best cell."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from tests.w2s_probes.sweep.test_sweep import sides, value
from tests.worlds.sweeping import Swept, planted_store
from w2s_probes import InputError, auroc, relabel
from w2s_probes.cli import heatmap
from w2s_probes.io.tables import read_table, write_table
from w2s_probes.probes import PROBES, Probe, ProbeEntry
from w2s_probes.sweep import Grid, SweepResult, sweep
from w2s_probes.sweep.sweeping import SweepPlan

PENALTIES = [0.1, 10.0]


class MeanDifference(Probe):
    """The direction between the soft means of both classes, divided by the variance of the columns plus a penalty."""

    def __init__(self, l2: float = 0.25) -> None:
        self.l2 = l2

    def _fit(self, X: NDArray[np.float32], p: NDArray[np.float64]) -> None:
        means = [np.average(X, axis=0, weights=weights) for weights in (1 - p, p)]
        self.coef_ = (means[1] - means[0]) / (X.var(axis=0) + self.l2)
        self.intercept_ = float(-(means[0] + means[1]) @ self.coef_ / 2)

    def _score(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(expit(X @ self.coef_ + self.intercept_))


class NearestRow(Probe):
    """The label of the nearest k rows that are not related to a row, which needs no folds."""

    def __init__(self, k: int = 3) -> None:
        self.k = k

    @property
    def graph_k(self) -> int:
        return self.k

    def fit(self, X: Any, y: Any, group_ids: Any = None, graph: Any = None) -> "NearestRow":
        self.X_, self.p_ = self._read(X, y)
        self.graph_ = graph
        return self

    @property
    def out_of_sample_(self) -> NDArray[np.float64]:
        return np.asarray(self.p_[self.graph_.first(self.k)].mean(axis=1))

    def _score(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        far = ((X[:, None] - self.X_) ** 2).sum(axis=2)
        return np.asarray(self.p_[np.argsort(far, axis=1, kind="stable")[:, : self.k]].mean(axis=1))


class FirstColumn(Probe):
    """Whether the first column is above its mean: nothing to choose a value of."""

    def _fit(self, X: NDArray[np.float32], p: NDArray[np.float64]) -> None:
        self.mean_ = float(X[:, 0].mean())

    def _score(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(expit(X[:, 0] - self.mean_), dtype=np.float64)


def entry_of(kind: type[Probe], name: str, **settings: Any) -> ProbeEntry:
    return ProbeEntry(name=name, where=f"{__name__}:{kind.__name__}", values=f"Values of {name}", **settings)


ENTRIES = (
    entry_of(MeanDifference, "meandiff", title="mean difference", value="l2", default=0.25),
    entry_of(FirstColumn, "first-column", title="first column", value=None, default=0),
    entry_of(NearestRow, "nearest", title="nearest rows", value="k", default=3, cross_fitted=False),
)


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    for entry in ENTRIES:
        monkeypatch.setitem(PROBES, entry.name, entry)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    return planted_store(tmp_path_factory.mktemp("sweep") / "acts", apart=(0.0, 2.0))


def swept(world: Swept, labels: Any, **settings: Any) -> SweepResult:
    return sweep(world.path, labels, meandiff_l2=PENALTIES, nearest_k=[5], knn_k=[5], seeds=[0, 3], **settings)


def test_its_lines_are_those_of_relabel_and_of_a_fit_by_hand(world: Swept) -> None:
    result = swept(world, {"weak": world.table}, contamination=[0.1])
    rows = sides(world)
    differing = 0
    for layer, X in enumerate(world.layers):
        inside, outside = X[world.rows(rows.training.ids)], X[world.rows(rows.held_out.ids)]
        for seed in (0, 3):
            for l2 in PENALTIES:
                here = {"layer": layer, "probe": "meandiff", "l2": l2, "seed": seed, "contamination": None}
                probe = MeanDifference(l2)
                scores = {
                    "training": (rows.training, relabel(probe, inside, rows.training.p, seed=seed)),
                    "held-out": (rows.held_out, probe.fit(inside, rows.training.p).predict_proba(outside)[:, 1]),
                }
                in_sample = probe.predict_proba(inside)[:, 1]
                for name, (side, p) in scores.items():
                    brier = ((p - side.p) ** 2).mean()
                    assert value(result, rows=name, metric="weak_brier", **here) == pytest.approx(brier, abs=1e-9)
                    by_truth = auroc(side.truth, p)
                    assert value(result, rows=name, metric="auroc", **here) == pytest.approx(by_truth, abs=1e-6)
                flattered = ((in_sample - rows.training.p) ** 2).mean()
                differing += flattered < value(result, rows="training", metric="weak_brier", **here) - 1e-4
                removed = here | {"contamination": 0.1, "metric": "removed"}
                assert value(result, rows="training", **removed) == pytest.approx(0.1, abs=0.01)
    assert differing  # the control: scores in sample would be told apart
    assert (result.table["status"] == "ok").all()


def test_a_probe_without_folds_is_scored_from_the_graph_that_the_layer_shares(world: Swept) -> None:
    table = swept(world, {"weak": world.table}).table
    columns = ["layer", "seed", "rows", "metric", "value"]
    ours, knn = (table.loc[table["probe"] == name, columns].reset_index(drop=True) for name in ("nearest", "knn"))
    pd.testing.assert_frame_equal(ours, knn)
    assert set(ours["seed"]) == {0, 3}


def test_a_plan_tells_its_cells_and_gives_it_memory(world: Swept) -> None:
    rows = [sides(world)]
    further, logistic = (
        SweepPlan.plan(world.store, rows, Grid({name: [0.1]}), "all", None) for name in ("meandiff", "logistic")
    )
    assert any("meandiff l2: 0.1" in line for line in further.description())
    width = 4096
    copy = 4 * width * len(rows[0].training)  # bytes
    read = 4 * width * (len(rows[0].training) + len(rows[0].held_out or ()))
    assert further.units[0].memory(width) >= read + 4 * copy
    assert logistic.units[0].memory(width) >= read + copy


def test_its_best_cell_is_chosen_drawn_and_filtered_by(
    world: Swept, tmp_path: Path, w2s: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, out = tmp_path / "weak.jsonl", tmp_path / "sweep.csv"
    write_table(world.table, labels)
    result = sweep(world.path, labels, meandiff_l2=PENALTIES)
    best = result.best()
    assert (best.probe, best.k, best.layer) == ("meandiff", None, 1)
    assert best.l2 in PENALTIES
    result.write(out)
    assert SweepResult.read(out).best() == best
    titles = [ax.get_title() for ax in result.plot().axes]
    assert titles == ["at the value that weak labels choose", "mean difference"]
    heatmap.show(result, best, 100)
    assert "weak, meandiff: " in capsys.readouterr().out

    kept = tmp_path / "kept.jsonl"
    w2s("filter", world.path, labels, "--layer", "best", "--by", "best", "--from", out, "--out", kept)
    table = read_table(kept)
    X = world.layers[1][world.rows(table["id"].to_numpy())]
    expected = relabel(MeanDifference(best.l2 or 0), X, table["label"].to_numpy())
    assert np.allclose(table["p"], expected)
    assert set(table["probe"]) == {"meandiff"}


def test_a_probe_without_a_value_is_swept_once_a_layer(
    world: Swept, tmp_path: Path, w2s: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, out = tmp_path / "weak.jsonl", tmp_path / "sweep.csv"
    write_table(world.table, labels)
    result = sweep(world.path, {"weak": labels}, first_column=True, knn_k=[5, 7], contamination=[0.1])
    table = result.table[result.table["probe"] == "first-column"]
    assert table[["k", "l2"]].isna().all().all()
    cells = table[table["contamination"].isna() & (table["rows"] == "training") & (table["metric"] == "weak_brier")]
    assert cells["layer"].tolist() == [0, 1]
    assert result.record["grid"]["first_column"] is True
    assert "first_column" not in sweep(world.path, {"weak": labels}, knn_k=[5]).record["grid"]
    assert result.grid("first-column", "weak_brier").shape == (2, 1)
    axes = result.plot().axes
    assert [ax.get_title() for ax in axes] == ["at the value that weak labels choose", "kNN"]
    assert len(axes[0].containers) == 2  # drawn against layer, both of them
    alone = sweep(world.path, {"weak": labels}, first_column=True)
    assert len(alone.plot().axes) == 1
    best = alone.best()
    assert (best.setting, best.cells) == (f"layer {best.layer}, first-column", 2)
    heatmap.show(alone, best, 100)
    shown = [line for line in capsys.readouterr().out.splitlines() if "*" in line]
    assert len(shown) == 1  # the best cell alone is marked
    alone.write(out)
    assert SweepResult.read(out).best() == best

    kept = tmp_path / "kept.jsonl"
    w2s("filter", world.path, labels, "--layer", "best", "--by", "best", "--from", out, "--out", kept)
    judged = read_table(kept)
    X = world.layers[best.layer][world.rows(judged["id"].to_numpy())]
    assert np.allclose(judged["p"], relabel(FirstColumn(), X, judged["label"].to_numpy()))


def test_a_sweep_of_a_probe_without_a_value_from_the_command_line(
    world: Swept, tmp_path: Path, w2s: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, out = tmp_path / "weak.jsonl", tmp_path / "sweep.csv"
    write_table(world.table, labels)
    w2s("sweep", world.path, labels, "--first-column", "--layers", "1", "--out", out, "--dry-run")
    assert "\nfirst-column\n" in capsys.readouterr().out
    w2s("sweep", world.path, labels, "--first-column", "--layers", "1", "--students", "xent", "--out", out)
    assert set(read_table(out)["probe"]) == {"weak", "first-column", "student"}
    w2s("report", tmp_path, "--out", tmp_path / "report.html")
    assert "first-column" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_numbers_are_no_values_of_a_probe_without_one(world: Swept) -> None:
    for wrong in ([0.5], 3, "yes"):
        with pytest.raises(InputError, match="first_column takes True or False, since first-column has no value"):
            sweep(world.path, world.table, first_column=wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="knn_k takes a number or a list of numbers"):
        sweep(world.path, world.table, knn_k=True)


def test_students_take_a_probe_without_a_value_for_a_judge(world: Swept) -> None:
    result = sweep(
        world.path, {"weak": world.table}, layers=[1], knn_k=[5], students="xent", student_filter="first-column"
    )
    of_students = result.table[result.table["method"] == "filter-first-column"]
    assert (of_students["status"] == "ok").any()
    assert of_students[["k", "l2"]].isna().all().all()
