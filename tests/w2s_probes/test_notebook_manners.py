"""How results show themselves: one line in a terminal, a small table in a notebook, a figure drawn once."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from tests.conftest import planted
from tests.worlds.sweeping import Swept, planted_store
from w2s_probes import (
    ActivationStore,
    InputError,
    KNNProbe,
    LabelSet,
    LogisticProbe,
    disagreement_filter,
    noise_model,
    performance_gap_recovered,
    relabel,
    report_card,
)
from w2s_probes.probes.registry import PROBES, probe_settings
from w2s_probes.sweep import Grid, SweepResult, sweep
from w2s_probes.sweep.plot import _layer_color

DATA = planted()
P = relabel(KNNProbe(10), DATA.X, DATA.weak)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    return planted_store(tmp_path_factory.mktemp("manners") / "<acts>")


@pytest.fixture(scope="module")
def shown(world: Swept) -> dict[str, Any]:
    ids = np.array([f"<{i}>" for i in range(len(DATA.X))], dtype=object)
    return {
        "store": world.store,
        "labels": LabelSet(ids, DATA.weak),
        "filter": disagreement_filter(DATA.weak, P),
        "sweep": sweep(world.store, {"<weak>": world.table}, knn_k=5, logistic_l2=0.1),
        "gap": performance_gap_recovered(DATA.truth, DATA.weak, P, DATA.truth, n_boot=50),
        "no gap": performance_gap_recovered(DATA.truth, P, P, DATA.weak, n_boot=50),
        "path": LogisticProbe.path(DATA.X, DATA.weak, l2=[0.1, 1]),
    }


@pytest.mark.parametrize("name", ["store", "labels", "filter", "sweep", "gap", "no gap", "path"])
def test_a_result_is_one_line_and_a_small_table(shown: dict[str, Any], name: str) -> None:
    line, page = repr(shown[name]), shown[name]._repr_html_()
    assert "\n" not in line
    assert line.startswith(f"{type(shown[name]).__name__}(")
    assert len(line) < 300
    assert page.count("<table") == 1
    assert page.count("<tr") <= 13
    assert "<acts>" not in page
    assert "<weak>" not in page
    assert "<0>" not in page


def test_a_store_says_what_it_holds_and_its_shape(world: Swept) -> None:
    store = world.store
    rows, layers, width = store.shape
    assert layers == len(store.layers) == 3
    assert store.layer(1).shape == (rows, width) == (160, 8)
    for said in ("160", "0, 1, 2", "float32", "last", "planted", "&lt;acts&gt;"):
        assert said in store._repr_html_()


def test_a_gap_says_its_interval_and_status_in_line_and_frame(shown: dict[str, Any]) -> None:
    gap = shown["gap"]
    (line,) = gap.to_frame().to_dict(orient="records")
    assert line == {"pgr": gap.value, "pgr_low": gap.low, "pgr_high": gap.high, "gap": gap.gap, "status": gap.status}
    assert repr(gap) == f"GapRecovered({gap.value:.2f} [{gap.low:.2f}, {gap.high:.2f}], gap {gap.gap:.3f}, hard labels)"
    assert "undefined: the ceiling is not above the supervisor" in repr(shown["no gap"])


def test_tidy_frames_hold_one_measure_a_column_or_name_it_on_each_line(shown: dict[str, Any]) -> None:
    """A column called `value` stands beside one that says of what, and no two lines there are of the same."""
    card = report_card(shown["filter"], DATA.truth, draws=20).to_frame()
    noise = noise_model(DATA.weak, P, draws=20).to_frame()
    swept = shown["sweep"].to_frame()
    for frame, names in ((card, ["of", "measure"]), (noise, ["measure"]), (swept, None)):
        keys = names or [str(name) for name in frame if name not in ("value", "low", "high", "n", "status", "oracle")]
        assert {"measure", "metric"} & set(keys)
        assert not frame.duplicated(keys).any()
    wide = [shown["filter"].to_frame(), shown["gap"].to_frame(), shown["sweep"].best().to_frame()]
    wide += [KNNProbe.path(DATA.X, DATA.weak, k=[5]).to_frame(), shown["labels"].to_frame()]
    assert all("value" not in frame for frame in wide)
    best = shown["sweep"].best()
    (line,) = best.to_frame().to_dict(orient="records")
    assert line["auroc_held_out"] == best.held_out["auroc"][0]
    assert (line["auroc_training_low"], line["auroc_training_high"]) == best.training["auroc"][1:]


NOTEBOOK = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
{first}
from w2s_probes.sweep import SweepResult
figure = SweepResult.read({path!r}).plot()
shown, _ = shell.display_formatter.format(figure)
assert sorted(shown) == ["image/png", "text/plain"], sorted(shown)
assert shown["image/png"][:4] == b"\\x89PNG" or isinstance(shown["image/png"], str)
pyplot = sys.modules.get("matplotlib.pyplot")
assert pyplot is None or not pyplot.get_fignums()
"""


HOOK = "from IPython.core.pylabtools import select_figure_formats; import matplotlib.pyplot"


@pytest.mark.parametrize("first", ["", f"{HOOK}; select_figure_formats(shell, {{'png'}})"])
def test_a_notebook_draws_the_plot_of_a_sweep_once(shown: dict[str, Any], tmp_path: Path, first: str) -> None:
    shown["sweep"].write(tmp_path / "sweep.csv")
    code = NOTEBOOK.format(first=first, path=str(tmp_path / "sweep.csv"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_no_layer_has_a_colour_like_a_probes() -> None:
    probes = [np.array(to_rgb(color)) for color in (entry.color for entry in PROBES.values())]
    for count in (1, 3, 13, 40):
        colors = [np.array(_layer_color(at, count)[:3]) for at in range(count)]
        assert min(float(np.abs(one - probe).sum()) for one in colors for probe in probes) > 0.35
        assert len({tuple(color.round(3)) for color in colors}) == count


@pytest.mark.parametrize("values", [5, np.int64(5), [5], (5,), np.array([5]), pd.Series([5]), range(5, 6)], ids=repr)
def test_a_sweep_takes_one_number_as_a_list_of_one(world: Swept, values: Any) -> None:
    table = sweep(world.store, world.table, knn_k=values, layers="2").table
    assert table.equals(sweep(world.store, world.table, knn_k=[5], layers="2").table)


def test_every_option_of_a_sweep_that_lists_numbers_takes_a_single_one(world: Swept) -> None:
    one = sweep(world.store, world.table, topo_k=4, logistic_l2=0.0, contamination=0.1, seeds=3, layers="2")
    several = sweep(world.store, world.table, topo_k=[4], logistic_l2=[0.0], contamination=[0.1], seeds=[3], layers="2")
    assert one.table.equals(several.table)
    assert one.record["grid"] == several.record["grid"]
    assert set(one.probes) == {"topo", "logistic"}  # a penalty of 0 is a value, not none


@pytest.mark.parametrize("name", ["knn_k", "logistic_l2", "topo_k", "contamination", "seeds"])
@pytest.mark.parametrize(
    "wrong",
    ["5", "1,5", None, {5: 1}, True, [[1, 5]], ["5"], b"5", object()],
    ids=lambda wrong: repr(wrong).partition(" at ")[0],
)
def test_what_is_no_number_is_refused_with_an_example(name: str, wrong: Any) -> None:
    with pytest.raises(InputError, match=rf"{name} takes a number or a list of numbers, as {name}="):
        if name in (entries := probe_settings()):
            Grid({entries[name].name: wrong})
        else:
            Grid({"knn": [5]}, **{name: wrong})


def test_a_sweep_says_how_far_it_is(world: Swept, tmp_path: Path) -> None:
    heard: list[tuple[str, int, int]] = []

    def progress(*said: Any) -> None:
        heard.append(said)

    sweep(world.store, world.table, knn_k=5, parts=tmp_path / "parts", progress=progress)
    assert heard == [("layers", done, 3) for done in range(4)]
    heard.clear()
    sweep(world.store, world.table, knn_k=5, parts=tmp_path / "parts", progress=progress)  # all of it is there
    assert heard == [("layers", 3, 3)]


def test_read_results_show_themselves_too(shown: dict[str, Any], world: Swept, tmp_path: Path) -> None:
    shown["sweep"].write(tmp_path / "sweep.csv")
    assert SweepResult.read(tmp_path / "sweep.csv")._repr_html_() == shown["sweep"]._repr_html_()
    assert ActivationStore.open(world.path)._repr_html_() == world.store._repr_html_()
