"""The students of a sweep beside heads that are trained by hand, the gap that they recover, and which is chosen."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from tests.worlds.sweeping import Swept, planted_store
from w2s_probes import InputError, KNNProbe, LogisticProbe, auroc, disagreement_filter
from w2s_probes.io.tables import read_table, write_table
from w2s_probes.losses import LOSSES, xent
from w2s_probes.losses.added import added
from w2s_probes.metrics.recovery_over_seeds import gap_recovered_over_seeds
from w2s_probes.places import Place, local
from w2s_probes.relabeling import relabel
from w2s_probes.students import HeadLesson, HeadStudent, train_heads
from w2s_probes.sweep import Grid, StudentGrid, SweepResult, sweep
from w2s_probes.sweep.student_scores import stopping_rows
from w2s_probes.sweep.sweeping import SweepPlan
from w2s_probes.sweep.swept_labels import SweptLabels, read_labels

SEEDS, LAYER = (0, 4), 2
ASKED: dict[str, Any] = {
    "knn_k": [3, 9],
    "logistic_l2": [0.01, 1.0],
    "seeds": SEEDS,
    "students": ["xent", "logconf"],
    "student_filter": ["none", "knn"],
    "student_relabel": "logistic",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    return planted_store(tmp_path_factory.mktemp("students") / "acts", n=240, apart=(0.0, 1.0, 3.0))


@pytest.fixture(scope="module")
def swept(world: Swept) -> SweepResult:
    return sweep(world.path, {"weak": world.table}, **ASKED)


@pytest.fixture(scope="module")
def rows(world: Swept) -> SweptLabels:
    return read_labels({"weak": world.table}, None, None, world.store.ids, "")[0]


def by_hand(world: Swept, rows: SweptLabels, seed: int) -> dict[tuple[str, str], HeadStudent]:
    """Every student of a seed: one call a head, by the probes' and filters' own functions.

    All training rows choose between values by those that students learn; what is taught comes from these alone.
    """
    side = rows.training
    X, stop = world.layers[LAYER][world.rows(side.ids)], stopping_rows(side)
    fit = ~stop
    y = side.p[fit]

    def best(probes: list[Any]) -> NDArray[np.float64]:
        chosen = min(probes, key=lambda probe: np.mean((relabel(probe, X, side.p, seed=seed) - side.p)[fit] ** 2))
        return relabel(chosen, X[fit], y, seed=seed)

    kept = disagreement_filter(y, best([KNNProbe(k) for k in (3, 9)]), 0.1).mask
    logistic = best([LogisticProbe(l2) for l2 in (0.01, 1.0)])
    found = {}
    for loss in ("xent", "logconf"):
        for method, labels, mask in (
            ("student", y, None),
            ("filter-knn", y, kept),
            ("relabel-logistic", logistic, None),
        ):
            asked = HeadLesson(labels, rows=mask, val_labels=side.p[stop], loss=loss, seed=seed)
            (found[method, loss],) = train_heads(X[fit], [asked], X[stop])
    assert side.truth is not None
    found["ceiling", "xent"] = HeadStudent(seed=seed).fit(X[fit], side.truth[fit], X[stop], side.truth[stop])
    return found  # type: ignore[return-value]


def lines(result: SweepResult, **where: Any) -> pd.DataFrame:
    table = result.table[result.table["probe"] == "student"]
    for name, wanted in where.items():
        table = table[table[name].isna()] if wanted is None else table[table[name] == wanted]
    return table


def value(result: SweepResult, **where: Any) -> float:
    (found,) = lines(result, **where)["value"]
    return float(found)


def scores(world: Swept, rows: SweptLabels, head: HeadStudent) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """P(1) of the stopping and of the held-out rows."""
    assert rows.held_out is not None
    X, other = (world.layers[LAYER][world.rows(side.ids)] for side in (rows.training, rows.held_out))
    return head.predict_proba(X[stopping_rows(rows.training)])[:, 1], head.predict_proba(other)[:, 1]


def test_each_student_is_the_head_that_one_would_train_by_hand(
    world: Swept, swept: SweepResult, rows: SweptLabels
) -> None:
    stop, held_out = stopping_rows(rows.training), rows.held_out
    assert held_out is not None
    assert held_out.truth is not None
    assert rows.training.truth is not None
    runs = []
    for seed in SEEDS:
        heads = by_hand(world, rows, seed)
        runs.append({"weak": held_out.p})
        for (method, loss), head in heads.items():
            inner, outer = scores(world, rows, head)
            name = "ceiling" if method == "ceiling" else f"{method}:{loss}"
            runs[-1][name] = outer
            here: dict[str, Any] = {"layer": LAYER, "method": method, "loss": loss, "seed": seed}
            found = {(m, r): value(swept, metric=m, rows=r, **here) for m in ("auroc", "weak_auroc", "weak_brier")
                     for r in ("stopping", "held-out")}  # fmt: skip
            assert found["auroc", "held-out"] == pytest.approx(auroc(held_out.truth, outer), abs=2e-3)
            assert found["auroc", "stopping"] == pytest.approx(auroc(rows.training.truth[stop], inner), abs=2e-3)
            assert found["weak_auroc", "held-out"] == pytest.approx(auroc(held_out.p, outer), abs=2e-3)
            assert found["weak_brier", "held-out"] == pytest.approx(np.mean((outer - held_out.p) ** 2), abs=1e-4)
    recovered = gap_recovered_over_seeds(held_out.truth, runs).recovered
    assert len(recovered) == 6
    for name, pgr in recovered.items():
        method, loss = name.split(":")
        found_lines = lines(swept, layer=LAYER, method=method, loss=loss, metric="pgr_auroc")
        (line,) = found_lines.to_dict(orient="records")
        assert line["value"] == pytest.approx(pgr.value, abs=0.02)
        assert line["status"] == pgr.status
        assert pd.isna(line["seed"])
        assert not line["low"] >= line["value"]
        assert not line["high"] <= line["value"]  # an end may be open


def test_the_ceiling_alone_is_marked_as_an_oracle_and_filters_say_their_cell(swept: SweepResult) -> None:
    of = swept.table[swept.table["probe"] == "student"]
    assert set(of["method"][of["oracle"]]) == {"ceiling"}
    assert of["oracle"][of["method"] == "ceiling"].all()
    assert set(of["contamination"][of["method"] == "filter-knn"]) == {0.1}
    judged = of[of["seed"].notna()]
    assert set(judged["k"][judged["method"] == "filter-knn"]) <= {3, 9}
    assert set(judged["l2"][judged["method"] == "relabel-logistic"]) <= {0.01, 1.0}
    assert judged["k"][judged["method"] == "student"].isna().all()
    assert swept.table["method"][swept.table["probe"] != "student"].isna().all()


def test_nothing_that_is_taught_or_chosen_reads_the_truth_or_the_rows_held_out(
    world: Swept, swept: SweepResult, rows: SweptLabels
) -> None:
    assert rows.held_out is not None
    outside = world.table["id"].isin(rows.held_out.ids).to_numpy()
    other = world.table.copy()
    rng = np.random.default_rng(1)
    other["truth"] = rng.permutation(other["truth"])
    other.loc[outside, "label"] = rng.permutation(other.loc[outside, "label"])
    again = sweep(world.path, {"weak": other}, **ASKED)
    keys = ["seed", "layer", "method", "loss", "metric", "value"]
    for result in (swept, again):
        assert (lines(result)["rows"] != "training").all()
    wanted: list[Any] = []
    for result in (swept, again):
        of = lines(result, rows="stopping", oracle=False)
        wanted.append(of[of["metric"].isin(["weak_auroc", "weak_brier"])][keys].reset_index(drop=True))
    pd.testing.assert_frame_equal(*wanted)
    assert again.best_student().setting == swept.best_student().setting
    moved = [
        lines(result, method="student", rows="held-out", metric="weak_auroc")["value"] for result in (swept, again)
    ]
    assert (moved[0].to_numpy() != moved[1].to_numpy()).any()  # the control: these rows are measured


def test_the_best_student_is_that_of_the_best_mean_on_the_rows_that_stopped_it(swept: SweepResult) -> None:
    best = swept.best_student()
    of = lines(swept, rows="stopping", metric="weak_auroc", oracle=False)
    means = of[of["seed"].notna()].groupby(["layer", "method", "loss"])["value"].mean()
    assert (best.layer, best.method, best.loss) == means.idxmax()
    assert best.compared == len(means) == 3 * 6
    assert not best.oracle
    here: dict[str, Any] = {"layer": best.layer, "method": best.method, "loss": best.loss, "seed": None}
    assert best.held_out["auroc"][0] == value(swept, metric="auroc", rows="held-out", **here)
    assert best.held_out["pgr_auroc"][0] == value(swept, metric="pgr_auroc", **here)
    assert "on held-out rows" in str(best)
    with pytest.raises(InputError, match="oracle=True"):
        swept.best_student(by="auroc")
    by_truth = swept.best_student(by="auroc", oracle=True)
    assert by_truth.oracle
    assert by_truth.method != "ceiling"
    assert swept.best().probe in ("knn", "logistic")  # the probes' own choice is as without students


def test_the_probes_lines_are_those_of_a_sweep_without_students(world: Swept, swept: SweepResult) -> None:
    plain = sweep(world.path, {"weak": world.table}, **{k: v for k, v in ASKED.items() if not k.startswith("student")})
    own = swept.table[swept.table["probe"] != "student"].reset_index(drop=True)
    pd.testing.assert_frame_equal(own, plain.table)
    assert not plain.has_students
    with pytest.raises(InputError, match="no students were swept"):
        plain.best_student()


def test_tables_are_read_back_and_those_without_the_columns_too(
    world: Swept, swept: SweepResult, tmp_path: Path
) -> None:
    swept.write(tmp_path / "sweep.csv")
    again = SweepResult.read(tmp_path / "sweep.csv")
    pd.testing.assert_frame_equal(again.table, swept.table)
    assert again.record["best_students"][0]["method"] == swept.best_student().method
    grid = again.students("auroc_gain")
    assert list(grid.columns) == ["student xent", "student logconf", "filter-knn .1 xent", "filter-knn .1 logconf",
                                  "relabel-logistic xent", "relabel-logistic logconf", "ceiling xent"]  # fmt: skip
    assert grid.index.tolist() == [0, 1, 2]
    table = read_table(tmp_path / "sweep.csv")
    older = table[table["probe"] != "student"].drop(columns=["method", "loss"])
    write_table(older, tmp_path / "older.csv")
    assert SweepResult.read(tmp_path / "older.csv").best().setting == swept.best().setting


def test_parts_are_kept_by_the_students_too_and_a_unit_sent_elsewhere_gives_the_same(
    world: Swept, swept: SweepResult, tmp_path: Path
) -> None:
    labels = read_labels({"weak": world.table}, None, None, world.store.ids, "")
    values = {"knn": (3, 9), "logistic": (0.01, 1.0)}

    def keys(students: StudentGrid | None) -> list[str]:
        grid = Grid(values, (), "strong", 5, SEEDS, "exact", students)
        return [unit.key for unit in SweepPlan.plan(world.store, labels, grid, "all", tmp_path).units]

    asked = StudentGrid(("xent", "logconf"), ("none", "knn"), ("logistic",))
    assert len({*keys(None), *keys(asked), *keys(StudentGrid(("xent",)))}) == 9
    assert "students" not in Grid(values).record()
    plan = SweepPlan.plan(world.store, labels, Grid(values, (), "strong", 5, SEEDS, "exact", asked), "1", None)
    packed = pickle.loads(pickle.dumps(plan.units[0].packed()))
    here = swept.table[swept.table["layer"] == 1].reset_index(drop=True)
    pd.testing.assert_frame_equal(packed.unpacked(plan.units[0].labels).run(), here)


def test_students_whose_probe_serves_no_cell_are_left_out_with_the_reason(world: Swept, tmp_path: Path) -> None:
    """At the first layer most rows are equal, so that kNN has too few neighbours of another group."""
    X = world.layers[0].copy()
    X[: len(X) - 5] = 1.0
    table = world.table.assign(truth=np.nan)
    other = planted_store(tmp_path / "acts", n=240, apart=(0.0,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(other.store), "layer", lambda self, number, ids=None: X[other.rows(np.asarray(ids))])
        result = sweep(other.path, {"weak": table}, knn_k=9, students="xent", student_filter=["none", "knn"])
    (status,) = lines(result, method="filter-knn")["status"]
    assert status == "left out: no cell of knn can be used at this layer"
    assert len(lines(result, method="student", status="ok")) > 0
    assert not (result.table["method"] == "ceiling").any()  # no truth is known
    assert set(lines(result, method="student")["metric"]) == {"weak_auroc", "weak_brier"}


def test_probes_that_students_need_are_swept_at_their_defaults() -> None:
    students = StudentGrid(("xent",), ("none", "topo"), ("knn",))
    values = Grid({"logistic": (0.1,)}, students=students).values
    assert {name: own for name, own in values.items() if own} == {"knn": (50,), "logistic": (0.1,), "topo": (50,)}
    assert Grid({"knn": (5, 7)}, students=students).values["knn"] == (5, 7)


def test_names_that_do_not_exist_are_refused(world: Swept) -> None:
    for wrong, message in (
        ({"students": "logcon"}, "did you mean 'logconf'"),
        ({"students": "xent", "student_filter": "knm"}, "student_filter: 'knm': did you mean 'knn'"),
        ({"students": "xent", "student_relabel": ["none"]}, "student_relabel: 'none'"),
        ({"students": "xent", "student_filter": []}, "one filter"),
        ({"students": [3]}, "students takes a name or a list of names; got 3"),
        ({"students": "xent", "student_filter": "knn", "contamination": 2.0}, "contamination"),
    ):
        asked: dict[str, Any] = wrong
        with pytest.raises(InputError, match=message):
            sweep(world.path, world.table, knn_k=3, **asked)


def test_labels_made_by_a_probe_tell_nothing_of_the_rows_that_choose_among_students(tmp_path: Path) -> None:
    """On pure noise a student of relabelled rows is as bad there as one of the labels themselves."""
    world = planted_store(tmp_path / "acts", n=400, apart=(0.0,))
    rng = np.random.default_rng(0)
    sets = {f"noise {at}": world.table.assign(label=rng.uniform(0.01, 0.99, 400)) for at in range(12)}
    found = sweep(world.path, sets, logistic_l2=[0.01], students="xent", student_relabel="logistic", held_out=0.1)
    scored = lines(found, metric="weak_auroc", rows="stopping")
    by_method = scored[scored["seed"].notna()].groupby("method")["value"].mean()
    assert by_method["relabel-logistic"] < by_method["student"] + 0.03


def test_a_loss_of_ones_own_is_swept_by_the_command_and_its_code_names_what_is_kept(
    world: Swept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {"layers": [LAYER], "knn_k": [3], "students": ["mine"], "parts": tmp_path / "parts"}
    monkeypatch.setattr(local, "cores", lambda: 2)

    def brier() -> float:
        result = sweep(world.path, {"weak": world.table}, **asked, place=Place(jobs=2))
        return value(result, method="student", metric="weak_brier", rows="stopping", seed=0)

    def turned(logits: Any, soft: Any, **more: Any) -> Any:
        return xent(logits, 1 - soft, **more)

    monkeypatch.setitem(LOSSES, "mine", xent)
    first = brier()
    monkeypatch.setitem(LOSSES, "mine", turned)
    second = brier()
    assert abs(second - first) > 0.02
    monkeypatch.setitem(LOSSES, "xent", turned)
    assert added(["xent", "kl"]).keys() == {"xent"}


QUICK: dict[str, Any] = {"layers": [LAYER], "knn_k": [3], "students": ["xent"], "student_filter": ["none", "knn"]}


def test_truth_of_held_out_rows_alone_is_measured_there_and_weak_labels_elsewhere(world: Swept, tmp_path: Path) -> None:
    """As weak-to-strong data often are: the truth is known of the rows that judge."""
    table = world.table.assign(split=np.where(np.arange(len(world.table)) % 4, "train", "test"))
    table["truth"] = table["truth"].where(table["split"] == "test")
    found = sweep(world.path, {"weak": table}, **QUICK)
    found.write(tmp_path / "sweep.csv")
    said = str(found.best_student())
    assert "; weak_auroc 0." in said
    assert "on the rows that stopped it, auroc " in said


def test_truth_of_none_of_the_rows_that_stop_is_no_truth_there(world: Swept, rows: SweptLabels) -> None:
    stop = stopping_rows(rows.training)
    known = world.table["id"].isin(rows.training.ids[~stop][:40])
    found = sweep(world.path, {"weak": world.table.assign(truth=world.table["truth"].where(known))}, **QUICK)
    assert set(lines(found, rows="stopping")["metric"]) == {"weak_auroc", "weak_brier"}
    assert found.best_student().held_out.keys() == {"weak_auroc", "weak_brier"}


def test_a_sweep_without_a_student_to_choose_is_written_all_the_same(
    world: Swept, rows: SweptLabels, tmp_path: Path
) -> None:
    """Its weak labels are of one class among the rows that would choose."""
    few = world.table["id"].isin(rows.training.ids[~stopping_rows(rows.training)][:6])
    rare = world.table.assign(label=np.where(few, 0.9, 0.1))
    found = sweep(world.path, {"rare": rare, "weak": world.table}, **QUICK)
    found.write(tmp_path / "sweep.csv")
    again = SweepResult.read(tmp_path / "sweep.csv")
    assert again.record["best_students"][0]["labels"] == "weak"
    assert "'rare' has no student to choose by weak_auroc" in again.record["no_best_student"]["rare"]


def test_a_gap_that_is_unstable_is_called_so_and_keeps_its_open_ends(world: Swept, tmp_path: Path) -> None:
    """The supervisor is the truth with little noise: there is hardly a gap."""
    rng = np.random.default_rng(0)
    near = (0.15 + 0.7 * world.table["truth"] + rng.normal(0, 0.02, len(world.table))).clip(0, 1)
    asked = QUICK | {"layers": [1], "parts": tmp_path / "parts"}
    found = sweep(world.path, {"weak": world.table.assign(label=near)}, **asked)
    shaky = lines(found, metric="pgr_auroc")
    assert set(shaky["status"]) <= {"unstable", "undefined", "no gap"}
    pd.testing.assert_frame_equal(
        sweep(world.path, {"weak": world.table.assign(label=near)}, **asked).table, found.table
    )
    best = found.best_student()
    if "pgr_auroc" in best.held_out:
        assert str(best).endswith(f"({best.pgr_status})")
