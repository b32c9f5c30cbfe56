"""Every number of a sweep beside the probe, filter or label set that it stands for."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.worlds.sweeping import Swept, planted_store
from w2s_probes import InputError, KNNProbe, LabelSet, LogisticProbe, TopoProbe, auroc, disagreement_filter, topo_filter
from w2s_probes.relabeling import relabel
from w2s_probes.share import Share
from w2s_probes.sweep import Grid, SweepResult, sweep
from w2s_probes.sweep.sweeping import SweepPlan
from w2s_probes.sweep.swept_labels import read_labels
from w2s_probes.sweep.unit import Unit


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    return planted_store(tmp_path_factory.mktemp("sweep") / "acts")


@pytest.fixture(scope="module")
def swept(world: Swept) -> SweepResult:
    """A sweep of everything, with a fifth of the rows held out."""
    return sweep(
        world.path,
        {"weak": world.table},
        knn_k=[1, 7],
        logistic_l2=[0.01, 1.0],
        topo_k=[4],
        contamination=[0.1],
        seeds=[0, 3],
    )


def value(result: SweepResult, **where: Any) -> float:
    """The one value on the line that is described."""
    table = result.table
    for name, wanted in where.items():
        table = table[table[name].isna()] if wanted is None else table[table[name] == wanted]
    assert len(table) == 1, table
    return float(table["value"].iloc[0])


def sides(world: Swept) -> Any:
    """The label set as the sweep parted it."""
    return read_labels({"weak": world.table}, None, 0.2, world.store.ids, "")[0]


PROBES: dict[str, tuple[Any, dict[str, float]]] = {
    "knn": (KNNProbe(7), {"k": 7}),
    "logistic": (LogisticProbe(0.01), {"l2": 0.01}),
    "topo": (TopoProbe(4, 4), {"k": 4}),
}


@pytest.mark.parametrize("name", PROBES)
@pytest.mark.parametrize("layer", [0, 2])
def test_cells_are_the_probes_out_of_sample_and_on_held_out_rows(
    world: Swept, swept: SweepResult, name: str, layer: int
) -> None:
    probe, values = PROBES[name]
    rows = sides(world)
    X = world.layers[layer]
    inside, outside = X[world.rows(rows.training.ids)], X[world.rows(rows.held_out.ids)]
    p = relabel(probe, inside, rows.training.p, seed=3)
    here: dict[str, Any] = {"layer": layer, "probe": name, "seed": 3, "contamination": None, **values}
    training, held_out = here | {"rows": "training"}, here | {"rows": "held-out"}
    by_truth = auroc(rows.training.truth, p)
    assert value(swept, metric="auroc", **training) == pytest.approx(by_truth, abs=1e-6)
    gain = by_truth - auroc(rows.training.truth, rows.training.p)
    assert value(swept, metric="auroc_gain", **training) == pytest.approx(gain, abs=1e-6)
    brier = float(np.mean((p - rows.training.p) ** 2))
    assert value(swept, metric="weak_brier", **training) == pytest.approx(brier, abs=1e-6)
    assert value(swept, metric="weak_auroc", **training) == pytest.approx(auroc(rows.training.p, p), abs=1e-6)
    unseen = probe.fit(inside, rows.training.p).predict_proba(outside)[:, 1]
    assert value(swept, metric="auroc", **held_out) == pytest.approx(auroc(rows.held_out.truth, unseen), abs=1e-6)
    same = float(np.mean((unseen > 0.5) == (rows.held_out.truth > 0.5)))
    assert value(swept, metric="accuracy", **held_out) == pytest.approx(same)


def test_filter_lines_are_the_filters_reports(world: Swept, swept: SweepResult) -> None:
    rows = sides(world).training
    X = world.layers[1][world.rows(rows.ids)]
    by_knn = disagreement_filter(rows.p, relabel(KNNProbe(7), X, rows.p), 0.1).report(rows.truth)
    by_topo = topo_filter(X, rows.p, 4, 4, 0.1).report(rows.truth)
    for probe, report in (("knn", by_knn), ("topo", by_topo)):
        k = 7 if probe == "knn" else 4
        here = {"layer": 1, "probe": probe, "k": k, "seed": 0, "contamination": 0.1}
        assert value(swept, metric="precision", **here) == pytest.approx(report["precision"])
        assert value(swept, metric="accuracy_kept", **here) == pytest.approx(report["accuracy_after"])
        assert value(swept, metric="removed", **here) == pytest.approx(report["removed"] / len(rows))
        assert value(swept, metric="overshoot", **here) == pytest.approx(report["overshoot"] / len(rows))
    assert by_topo["overshoot"] > 0  # else the line would say nothing


def test_every_cell_stands_once_for_each_layer_seed_row_set_and_metric(swept: SweepResult) -> None:
    table = swept.table
    cells = table[table["contamination"].isna() & (table["probe"] != "weak")]
    assert len(cells) == 3 * 5 * 2 * 2 * 5  # layers, cells, seeds, row sets, metrics
    keys = ["labels", "seed", "layer", "probe", "k", "l2", "contamination", "rows", "metric"]
    assert not table.duplicated(keys).any()
    assert not table["oracle"].any()
    assert (table["status"] == "ok").all()
    assert ((table["low"] <= table["value"]) & (table["value"] <= table["high"]) | table["low"].isna()).all()


def test_a_layer_is_read_searched_and_factorised_once(world: Swept, monkeypatch: pytest.MonkeyPatch) -> None:
    from w2s_probes.neighbors.store_graphs import store_neighbors
    from w2s_probes.probes import design
    from w2s_probes.store.activation_store import ActivationStore
    from w2s_probes.sweep import layer_scores

    calls: list[str] = []

    def counted(name: str, function: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            calls.append(name)
            return function(*arguments, **options)

        return call

    monkeypatch.setattr(ActivationStore, "layer", counted("read", ActivationStore.layer))
    monkeypatch.setattr(layer_scores, "store_neighbors", counted("search", store_neighbors))
    monkeypatch.setattr(design.Design, "of", counted("factorise", design.Design.of))
    other = world.table.assign(label=1 - world.table["label"])
    sweep(world.path, {"a": world.table, "b": other}, layers="1-2", topo_k=[5, 9], knn_k=[1, 2, 3],
          logistic_l2=[0.1, 1.0], seeds=[0, 1])  # fmt: skip
    assert sorted(calls) == ["factorise"] * 2 + ["read"] * 2 + ["search"] * 2


def test_label_sets_are_measured_as_if_each_were_alone(world: Swept) -> None:
    other = world.table.assign(label=1 - world.table["label"])
    both = sweep(world.path, {"a": world.table, "b": other}, layers=1, knn_k=[3], logistic_l2=[0.1])
    alone = sweep(world.path, {"b": other}, layers=1, knn_k=[3], logistic_l2=[0.1])
    of_b = both.table[both.table["labels"] == "b"].reset_index(drop=True)
    pd.testing.assert_frame_equal(of_b, alone.table, rtol=1e-6)


def test_rows_come_from_the_split_from_a_test_file_or_are_set_aside(world: Swept, tmp_path: Path) -> None:
    order, table = world.store.ids, world.table
    by_split = table.assign(split=np.where(np.arange(len(table)) < 100, "train", "val"))
    (found,) = read_labels(by_split, None, None, order, "")
    assert (len(found.training), len(found.held_out or [])) == (100, 60)
    (found,) = read_labels(by_split[:100], table[100:], None, order, "")
    assert set(found.held_out.ids) == set(table["id"][100:])  # type: ignore[union-attr]
    (found,) = read_labels(table, None, 0.0, order, "")
    assert found.held_out is None
    with pytest.raises(InputError, match="is a training row of"):
        read_labels(by_split, table[90:], None, order, "")


def test_rows_set_aside_are_whole_groups_and_texts_and_the_same_for_every_label_set(world: Swept) -> None:
    numbers = np.arange(len(world.table))
    table = world.table.assign(group=[f"g{i // 4}" for i in numbers], text=[f"t{i // 6}" for i in numbers])
    found = read_labels({"a": table, "b": table.assign(label=1 - table["label"])}, None, 0.25, world.store.ids, "")
    assert found[0].rows_hash == found[1].rows_hash
    held_out = table["id"].isin(found[0].held_out.ids)  # type: ignore[union-attr]
    assert 0.2 <= held_out.mean() <= 0.32
    for column in ("group", "text"):
        assert (held_out.groupby(table[column]).nunique() == 1).all()
    assert found[0].training.groups is not None


def test_a_layer_that_cannot_serve_a_cell_leaves_it_out_and_says_why(tmp_path: Path) -> None:
    world = planted_store(tmp_path / "acts", n=80)
    same = np.zeros_like(world.layers[0])
    equal = planted_store(tmp_path / "acts2", n=80)
    layers = [same, *equal.layers[1:]]
    from w2s_probes.sweep import layer_scores

    def read(store: Any, number: int, training: Any, held_out: Any, grid: Grid) -> Any:
        X = layers[number]
        inside, outside = X[world.rows(training.ids)], X[world.rows(held_out.ids)]
        return layer_scores.SweptLayer(store, number, training.ids, inside, outside, training.groups, grid)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layer_scores.SweptLayer, "read", read)
        result = sweep(world.path, world.table, knn_k=[3], logistic_l2=[0.1], topo_k=[4])
    table = result.table
    assert set(table["layer"][table["status"].str.startswith("left out")]) == {0}
    assert len(result.left_out()) == 3
    assert any("64 of the 64 rows are equal" in reason for reason in result.left_out())
    assert result.best().layer != 0
    assert table[(table["layer"] > 0) & (table["status"] != "ok")].empty


def test_a_sweep_that_was_stopped_goes_on_and_one_with_other_labels_begins_anew(
    world: Swept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = tmp_path / "parts"
    whole = sweep(world.path, world.table, knn_k=[3], logistic_l2=[0.1])
    lines = Unit._lines
    done: list[int] = []

    def counted(unit: Unit) -> Any:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(unit.layer)
        return lines(unit)

    monkeypatch.setattr(Unit, "_lines", counted)
    with pytest.raises(KeyboardInterrupt):
        sweep(world.path, world.table, knn_k=[3], logistic_l2=[0.1], parts=parts)
    kept = sorted(parts.iterdir())
    assert len(kept) == 2
    kept[0].write_bytes(kept[0].read_bytes()[:50])  # damaged: made again
    done.clear()
    again = sweep(world.path, world.table, knn_k=[3], logistic_l2=[0.1], parts=parts)
    assert done == [0, 2]
    pd.testing.assert_frame_equal(again.table, whole.table)
    done.clear()
    sweep(world.path, world.table.assign(label=world.table["label"] * 0.99), layers=0, knn_k=[3], parts=parts)
    assert done == [0]


def test_parts_in_each_others_places_are_made_again(world: Swept, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    whole = sweep(world.path, world.table, knn_k=[3], parts=parts)
    first, second, *_ = sorted(parts.iterdir())
    content = first.read_bytes()
    second.replace(first)
    second.write_bytes(content)
    again = sweep(world.path, world.table, knn_k=[3], parts=parts)
    pd.testing.assert_frame_equal(again.table, whole.table)
    assert first.read_bytes() == content


@pytest.mark.parametrize("head", ["[]", "7", '"x"', "{", "[" * 200_000, '{"sha256": 1}'])
def test_a_part_with_another_first_line_is_made_again(head: str, world: Swept, tmp_path: Path) -> None:
    whole = sweep(world.path, world.table, layers=0, knn_k=[3], parts=tmp_path)
    (part,) = tmp_path.iterdir()
    lines = gzip.decompress(part.read_bytes()).partition(b"\n")[2]
    part.write_bytes(gzip.compress(head.encode() + b"\n" + lines))
    pd.testing.assert_frame_equal(
        sweep(world.path, world.table, layers=0, knn_k=[3], parts=tmp_path).table, whole.table
    )


def test_shares_fill_one_folder_and_the_last_has_the_table(world: Swept, tmp_path: Path) -> None:
    labels = read_labels(world.table, None, 0.2, world.store.ids, "")
    planned = SweepPlan.plan(world.store, labels, Grid({"knn": [3]}), "all", tmp_path / "parts")
    whole = SweepPlan.plan(world.store, labels, Grid({"knn": [3]}), "all", None).run()
    assert planned.run_share(Share(0, 2)) is None
    assert len(list((tmp_path / "parts").iterdir())) == 2
    last = planned.run_share(Share(1, 2))
    assert last is not None
    pd.testing.assert_frame_equal(last.table, whole.table)


def test_a_sweep_is_read_back_as_it_was_written(swept: SweepResult, tmp_path: Path) -> None:
    for name in ("sweep.csv", "sweep.parquet", "sweep.jsonl.gz"):
        swept.write(tmp_path / name)
        again = SweepResult.read(tmp_path / name)
        pd.testing.assert_frame_equal(again.table, swept.table)
        assert again.record["best"] == [swept.best().record()]
    assert again.record["store"]["model"] == "planted"


def test_without_values_the_published_ones_are_swept_as_far_as_the_rows_go(world: Swept) -> None:
    found = sweep(world.path, world.table[:60], layers=2)
    assert list(found.grid("knn", "weak_brier").columns) == [1, *range(5, 50, 5)]
    assert len(found.grid("logistic", "weak_brier").columns) == 11


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a k beyond the rows": ({"knn_k": [200]}, "k=200 needs at least 201 training rows, got 128"),
    "a k of nothing": ({"knn_k": [0]}, "knn_k=0 must be at least 1"),
    "a penalty below nothing": ({"logistic_l2": [-1.0]}, "l2=-1 must be in"),
    "a layer that is not stored": ({"layers": "7"}, "layer 7 is outside 0..2"),
    "a contamination of all": ({"contamination": [1.0]}, "contamination=1.0 must be in"),
    "no seeds": ({"seeds": []}, "give at least one"),
    "all rows held out": ({"held_out": 1.0}, "held_out=1.0 must be in"),
    "an unknown connectivity": ({"connectivity": "stong"}, "did you mean 'strong'"),
}


@pytest.mark.parametrize(("options", "message"), BAD.values(), ids=list(BAD))
def test_bad_values_are_refused_before_any_work(world: Swept, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        sweep(world.path, world.table, **options)


def test_bad_labels_are_refused(world: Swept) -> None:
    with pytest.raises(InputError, match="one class only"):
        sweep(world.path, world.table.assign(label=0.9))
    with pytest.raises(InputError, match="labels of role 'truth' cannot be swept"):
        sweep(world.path, LabelSet(world.table["id"], world.table["truth"], "truth"))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="has no row for 1 of 161 ids"):
        sweep(world.path, pd.concat([world.table, world.table[:1].assign(id="nobody")]))
    with pytest.raises(InputError, match="two label sets are called 'x'"):
        sweep(world.path, ["a/x.csv", "b/x.jsonl"])


def test_truth_on_some_rows_measures_on_those_alone(world: Swept) -> None:
    table = world.table.assign(split=np.where(np.arange(160) < 120, "train", "test"))
    some = table.assign(truth=np.where(np.arange(160) % 3 == 0, table["truth"], np.nan))
    found = sweep(world.path, {"some": some}, layers=2, knn_k=[7], contamination=[0.2])
    whole = sweep(world.path, {"some": table}, layers=2, knn_k=[7], contamination=[0.2])
    here = {"probe": "knn", "rows": "training", "contamination": None}
    assert value(found, metric="weak_brier", **here) == value(whole, metric="weak_brier", **here)
    (rows,) = read_labels(some, None, None, world.store.ids, "")
    known = ~np.isnan(rows.training.truth)  # type: ignore[arg-type]
    p = relabel(KNNProbe(7), world.layers[2][world.rows(rows.training.ids)], rows.training.p)
    assert value(found, metric="auroc", **here) == pytest.approx(auroc(rows.training.truth[known], p[known]))  # type: ignore[index]
    by_truth = found.table[found.table["metric"].isin(["auroc", "precision"]) & (found.table["rows"] == "training")]
    assert set(by_truth["n"]) == {known.sum()} == {40}
    result = disagreement_filter(rows.training.p, p, 0.2)
    removed = known & ~result.mask
    wrong = (rows.training.p > 0.5) != (rows.training.truth == 1)
    assert value(found, metric="precision") == pytest.approx(wrong[removed].mean())
    none = sweep(world.path, table.assign(truth=None), layers=2, knn_k=[7])
    assert "auroc" not in set(none.table["metric"])


def test_rows_related_to_training_rows_are_no_test(world: Swept) -> None:
    order, numbers = world.store.ids, np.arange(160)
    table = world.table.assign(group=[f"g{i % 50}" for i in numbers], text=[f"t{i}" for i in numbers])
    split = table.assign(split=np.where(numbers < 100, "train", "val"))
    split.loc[numbers >= 130, "group"] = [f"own{i}" for i in range(30)]
    split.loc[159, "text"] = "t0"
    (found,) = read_labels(split, None, None, order, "")
    assert found.related == 31
    assert set(found.held_out.ids) == set(split["id"][130:159])  # type: ignore[union-attr]
    with pytest.raises(InputError, match="every row to hold out shares a group"):
        read_labels(split[:130], None, None, order, "")
    with pytest.raises(InputError, match="names the rows to hold out; leave the share out"):
        read_labels(split, None, 0.2, order, "")


def test_held_out_rows_that_an_index_cannot_serve_cost_the_cell_and_not_the_sweep(
    world: Swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> Any:
        raise InputError("an index that finds too little")

    monkeypatch.setattr(TopoProbe, "score_near", refused)
    found = sweep(world.path, {"weak": world.table}, layers="2", knn_k=[7], topo_k=[4])
    assert found.left_out() == {"left out: an index that finds too little": 1}
    assert value(found, probe="knn", rows="held-out", metric="weak_brier") > 0
