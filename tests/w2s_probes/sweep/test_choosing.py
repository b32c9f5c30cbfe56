"""The best cell: chosen by weak labels alone, and measured again where nothing was chosen."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.worlds.sweeping import Swept, planted_store
from w2s_probes import InputError
from w2s_probes.sweep import SweepResult, sweep


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    return planted_store(tmp_path_factory.mktemp("choice") / "acts", n=200)


@pytest.fixture(scope="module")
def swept(world: Swept) -> SweepResult:
    return sweep(world.path, world.table, knn_k=[1, 5, 25], logistic_l2=[0.001, 0.1, 10.0])


def test_the_best_cell_has_the_least_loss_against_the_weak_labels(swept: SweepResult) -> None:
    table = swept.table
    losses = table[(table["metric"] == "weak_brier") & (table["rows"] == "training")]
    best = swept.best()
    assert best.cells == len(losses) == 18
    assert best.training["weak_brier"][0] == losses["value"].min()
    assert best.layer == 2  # where the classes are farthest apart
    assert not best.oracle
    assert swept.best(by="weak_auroc").training["weak_auroc"][0] == pytest.approx(
        table[(table["metric"] == "weak_auroc") & (table["rows"] == "training")]["value"].max()
    )


def test_no_truth_and_no_held_out_label_can_move_the_choice(world: Swept, swept: SweepResult) -> None:
    rng = np.random.default_rng(0)
    lied_to = sweep(
        world.path,
        world.table.assign(truth=rng.permutation(world.table["truth"])),
        knn_k=[1, 5, 25],
        logistic_l2=[0.001, 0.1, 10.0],
    )
    keys = ("layer", "probe", "k", "l2")
    assert [getattr(lied_to.best(), key) for key in keys] == [getattr(swept.best(), key) for key in keys]
    assert lied_to.best().training["auroc"] != swept.best().training["auroc"]  # control: the lie was read
    split = world.table.assign(split=np.where(np.arange(200) < 150, "train", "test"))
    turned = split.assign(label=np.where(split["split"] == "test", 1 - split["label"], split["label"]))
    one, other = (sweep(world.path, each, knn_k=[1, 5]) for each in (split, turned))
    before, after = (each.table[each.table["rows"] == "training"].reset_index(drop=True) for each in (one, other))
    pd.testing.assert_frame_equal(before, after)
    assert one.best().held_out["weak_auroc"] != other.best().held_out["weak_auroc"]


def test_choosing_by_truth_must_be_called_an_oracle_and_is_marked(swept: SweepResult) -> None:
    with pytest.raises(InputError, match="choosing by auroc reads the truth: say oracle=True"):
        swept.best(by="auroc")
    best = swept.best(by="auroc", oracle=True)
    assert best.oracle
    assert "an oracle: the truth chose" in str(best)
    assert (
        best.training["auroc"][0]
        == swept.table[swept.table["metric"] == "auroc"].query("rows == 'training' and probe != 'weak'")["value"].max()
    )


def test_on_labels_of_nothing_the_chosen_value_is_too_good_and_the_held_out_one_is_not(tmp_path: Path) -> None:
    world = planted_store(tmp_path / "acts", n=120, apart=(0.0, 0.0, 0.0, 0.0))
    rng = np.random.default_rng(0)
    there, held_out = [], []
    for _ in range(25):
        noise = world.table[["id"]].assign(label=rng.permutation(np.arange(120) % 2).astype(float))
        found = sweep(world.path, noise, knn_k=[1, 3, 5, 9, 15], held_out=0.4)
        best = found.best(by="weak_auroc")
        there.append(best.training["weak_auroc"][0])
        held_out.append(best.held_out["weak_auroc"][0])
    error = float(np.std(held_out) / 5)
    assert np.mean(there) > 0.55
    assert abs(np.mean(held_out) - 0.5) < 3 * error
    assert np.mean(there) - np.mean(held_out) > 3 * error


def test_labels_without_truth_are_chosen_and_shown_by_agreement(world: Swept) -> None:
    found = sweep(world.path, world.table[["id", "label"]], layers="1-2", knn_k=[5], logistic_l2=[0.1])
    assert found.shown_metric("labels") == ("weak_auroc", "held-out")
    assert set(found.best().held_out) == {"weak_auroc", "weak_brier"}
    with pytest.raises(InputError, match="has no auroc to choose by: its rows have no `truth`"):
        found.best(by="auroc", oracle=True)


def test_the_figure_shows_each_probe_against_layer_and_value(swept: SweepResult, tmp_path: Path) -> None:
    figure = swept.plot()
    by_layer, by_k, by_l2 = figure.axes
    assert by_layer.get_ylabel() == "AUROC − AUROC of the weak labels"
    assert [text.get_text() for text in by_layer.get_legend().get_texts()] == ["kNN", "logistic"]  # type: ignore[union-attr]
    lines = [line for line in by_k.get_lines() if len(np.asarray(line.get_xdata())) == 3]
    grid = swept.grid("knn", "auroc_gain", "held-out")
    assert len(lines) == 3
    np.testing.assert_allclose(np.asarray(lines[2].get_ydata(), dtype=float), grid.loc[2].to_numpy(dtype=float))
    assert by_l2.get_xscale() == "log"
    for name in ("figure.png", "figure.svg"):
        swept.save_plot(tmp_path / name)
        first = (tmp_path / name).read_bytes()
        swept.save_plot(tmp_path / name)
        assert (tmp_path / name).read_bytes() == first


def test_a_result_shows_what_it_is(swept: SweepResult) -> None:
    assert repr(swept) == "SweepResult(18 cells over 3 layers, probes knn, logistic, label sets labels)"
    assert "best of 18 by weak_brier" in swept._repr_html_()
    with pytest.raises(InputError, match="no label set 'weka' in this sweep"):
        swept.best("weka")
