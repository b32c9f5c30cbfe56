"""A sweep whose fits are done on a device: the same cells, kept apart; a device that lacks something ends it."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.worlds.sweeping import Swept, planted_store
from w2s_probes import InputError
from w2s_probes.devices import DeviceError
from w2s_probes.places import Place
from w2s_probes.sweep import Grid, sweep
from w2s_probes.sweep import device_memory as memory
from w2s_probes.sweep.student_grid import StudentGrid
from w2s_probes.sweep.swept_labels import read_labels
from w2s_probes.sweep.unit import Unit

torch = pytest.importorskip("torch")
VALUES: dict[str, Any] = {"knn_k": 5, "logistic_l2": 0.1, "mlp_l2": [1e-2, 1.0], "folds": 2, "transfer": True}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    return planted_store(tmp_path_factory.mktemp("sweep") / "acts")


def test_cells_are_those_of_the_processor_and_kept_apart(world: Swept, tmp_path: Path) -> None:
    how: dict[str, Any] = {"layers": [2], "students": "xent", "parts": tmp_path, **VALUES}
    here = sweep(world.path, {"weak": world.table}, **how)
    there = sweep(world.path, {"weak": world.table}, device="cpu:0", **how)
    assert len(list(tmp_path.glob("layer-*"))) == 2
    numbers = ["value", "low", "high"]
    others = [name for name in here.table if name not in numbers]
    pd.testing.assert_frame_equal(there.table[others], here.table[others])
    pd.testing.assert_frame_equal(there.table[numbers], here.table[numbers], atol=2e-4)
    assert set(here.table["probe"].dropna()) >= {"knn", "logistic", "mlp"}
    assert there.record["grid"] == here.record["grid"] | {"device": "cpu"}


def test_a_key_knows_the_kind_of_a_device_and_nothing_of_the_processor(world: Swept) -> None:
    labels = read_labels({"weak": world.table}, None, 0.2, world.store.ids, "")

    def key(device: str) -> str:
        grid = Grid({"logistic": (0.1,)}, device=device)
        assert ("device" in grid.record()) == (device != "cpu")
        return Unit.of(world.store, 1, tuple(labels), grid, None).key

    keys = [key(device) for device in ("cpu", "cuda", "cuda:1", "mps")]
    assert len(set(keys)) == 3
    assert keys[1] == keys[2]
    assert keys[0] == Unit.of(world.store, 1, tuple(labels), Grid({"logistic": (0.1,)}), None).key


@pytest.mark.parametrize("place", ["mlp_on_device.train_on_device", "device_design.opened"])
def test_a_device_without_room_ends_the_sweep_and_nothing_is_kept(
    world: Swept, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **options: Any) -> Any:
        raise DeviceError("device='cuda': 9 rows do not fit into its memory: use 'cpu'")

    module = "mlp" if place.startswith("mlp") else "device_design"
    monkeypatch.setattr(f"w2s_probes.probes.{module}.{place.partition('.')[2]}", full)
    with pytest.raises(InputError, match="9 rows do not fit into its memory"):
        sweep(world.path, world.table, layers=[1], device="cpu:0", parts=tmp_path, **VALUES)
    assert not list(tmp_path.iterdir())


def test_a_device_that_nothing_reads_or_that_is_not_there_is_refused(world: Swept) -> None:
    with pytest.raises(InputError, match="'cpu:0' is for the fits of logistic, mlp and students, and none is swept"):
        sweep(world.path, world.table, knn_k=5, device="cpu:0")
    with pytest.raises(DeviceError, match="device='cuda:77': torch cannot use this device"):
        sweep("no store", "no labels", logistic_l2=1, device="cuda:77")
    with pytest.raises(InputError, match="device 'GPU' is no device"):
        Grid({"logistic": (0.1,)}, device="GPU")


def test_memory_on_a_device_is_the_sum_of_what_lies_there(monkeypatch: pytest.MonkeyPatch) -> None:
    n, d, layer = 100_000, 4096, 4 * 100_000 * 4096
    assert memory.device_memory(Grid({"logistic": (0.1,), "knn": (5,)}), n, d) == 0
    assert memory.device_memory(Grid({"knn": (5,)}, index="cpu"), n, d) == 0
    assert memory.device_memory(Grid({"knn": (5,)}, index="cuda"), n, d) == layer + (1 << 29) + 10**9
    fits = Grid({"logistic": (0.1, 1.0)}, device="cuda", folds=2)
    batch = 112 * 6 * n + 160 * 6 * d + 16 * (1 << 25)  # six fits, and two blocks in float64
    assert memory.device_memory(fits, n, d) == 2 * layer + batch + 10**9
    heads = Grid({"logistic": (0.1,)}, device="cuda", students=StudentGrid(("xent",), ("none",), (), (0.1,)))
    assert memory.device_memory(heads, n, d) == 2 * layer + max(2 * layer, layer) + 10**9

    bytes_of_a_layer = memory.device_memory(fits, n, d)
    monkeypatch.setattr(memory, "free_memory_of", lambda device: {"cuda": 2 * bytes_of_a_layer + 1}.get(device))
    four = Place(jobs=4)
    assert memory.with_room(four, fits, bytes_of_a_layer).jobs == 2
    assert memory.with_room(four, fits, 9 * bytes_of_a_layer).jobs == 1  # what it lacks is then said in words
    assert memory.with_room(four, Grid({"logistic": (0.1,)}), 0) is four
    assert memory.with_room(four, Grid({"knn": (5,)}, index="mps"), bytes_of_a_layer) is four
