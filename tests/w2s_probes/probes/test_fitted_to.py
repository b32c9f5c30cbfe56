"""Saved probes know the layer and the model that they were fitted to, and no other is read by them unsaid."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.worlds.sweeping import Swept, planted_store
from w2s_probes import ActivationStore, InputError, LogisticProbe, load_probe, save_probe
from w2s_probes.cli import main
from w2s_probes.importing import import_activations
from w2s_probes.io.arrays import read_arrays, write_arrays
from w2s_probes.io.tables import read_table, write_table
from w2s_probes.probes.fitted_to import check_fitted_to, reads_in, reads_of, refuse_other_layer
from w2s_probes.students.artefacts import SavedStudent, save_student
from w2s_probes.students.predicting import predict


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two stores of one width, of two models; probes of layers 1 and 2 of the first, one that does not say so."""
    place = tmp_path_factory.mktemp("fitted")
    world = planted_store(place / "acts")
    planted_store(place / "other", weights="another")
    planted_store(place / "more", n=40)  # the same model, other rows
    write_table(world.table, place / "weak.jsonl")
    for name, layer in (("one", 1), ("two", 2), ("like-two", 2)):
        save_probe(fitted(world, layer), place / f"{name}.safetensors", fitted_to=(world.store, layer))
    save_probe(fitted(world, 2), place / "unsaid.safetensors", notes={"by": "hand"})
    return place


def fitted(world: Swept, layer: int) -> LogisticProbe:
    X = world.layers[layer][world.rows(world.table["id"].to_numpy(dtype=object))]
    return LogisticProbe(0.1).fit(X, world.table["label"].to_numpy(dtype=float))


def test_a_probes_file_holds_its_layer_and_model_and_the_probe_is_the_same(place: Path) -> None:
    reads = reads_in(place / "two.safetensors")
    assert reads is not None
    assert (reads["layer"], reads["model"], reads["site"]) == (2, "planted", "blocks.2")
    assert reads["identity"]["weights"] == "planted"
    unsaid = load_probe(place / "unsaid.safetensors")
    assert (load_probe(place / "two.safetensors").coef_ == unsaid.coef_).all()
    assert reads_in(place / "unsaid.safetensors") is None
    _, record = read_arrays(place / "two.safetensors")
    assert json.dumps(record["notes"])


def test_other_rows_of_the_same_layer_are_read_and_another_layer_or_model_is_refused(place: Path) -> None:
    store, other, more = (ActivationStore.open(place / name) for name in ("acts", "other", "more"))
    assert check_fitted_to(place / "two.safetensors", store, 2) is None
    with pytest.raises(InputError, match=r"two.safetensors: it was fitted to layer 2, not 1"):
        check_fitted_to(place / "two.safetensors", store, 1)
    with pytest.raises(InputError, match=r"of another model than .*: another, not planted"):
        check_fitted_to(place / "two.safetensors", other, 2)
    assert check_fitted_to(place / "two.safetensors", more, 2) is None
    reads = reads_of(store, 2)
    at_mean = reads | {"identity": reads["identity"] | {"position": "mean"}}
    with pytest.raises(InputError, match=r"of other activations than a probe was .*: position is last, not mean"):
        refuse_other_layer("a probe", at_mean, more, 2)
    with pytest.raises(InputError, match=r"layer 2 was read at blocks.2, and a probe was fitted to norm"):
        refuse_other_layer("a probe", reads | {"site": "norm"}, more, 2)
    unsaid = check_fitted_to(place / "unsaid.safetensors", other, 1)
    assert unsaid is not None
    assert "does not say which layer and model it was fitted to" in unsaid
    narrow = planted_store(place / "narrow", d=3).store
    with pytest.raises(InputError, match="its vectors have 3 numbers, those that this probe was fitted to 8"):
        save_probe(load_probe(place / "two.safetensors"), place / "x.safetensors", fitted_to=(narrow, 2))
    with pytest.raises(InputError, match="layer 7"):
        save_probe(load_probe(place / "two.safetensors"), place / "x.safetensors", fitted_to=(store, 7))
    with pytest.raises(InputError, match=r"fitted_to=.*give a pair \(store, layer\)"):
        save_probe(load_probe(place / "two.safetensors"), place / "x.safetensors", fitted_to="acts")  # type: ignore[arg-type]
    assert not (place / "x.safetensors").exists()


def test_a_record_that_lacks_its_layer_is_refused(place: Path, tmp_path: Path) -> None:
    arrays, record = read_arrays(place / "two.safetensors")
    broken_records: list[dict[str, object]] = [{"layer": 2}, {"identity": {}}, {"layer": "2", "identity": {}}]
    for broken in broken_records:
        write_arrays(tmp_path / "p.safetensors", arrays, record | {"notes": {"reads": broken}})
        with pytest.raises(InputError, match="lacks the layer or the identity"):
            SavedStudent.find(tmp_path / "p.safetensors")


def test_foretell_and_predict_refuse_a_probe_of_elsewhere_and_say_where_a_file_is_silent(
    place: Path, fails: Callable[..., str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    one, two, like, unsaid = (str(place / f"{name}.safetensors") for name in ("one", "two", "like-two", "unsaid"))
    two_on = ["--layer", "2", "--probe", two, "--probe"]
    assert "one.safetensors: it was fitted to layer 1, not 2" in fails("foretell", place / "acts", *two_on, one)
    assert "of another model than" in fails("foretell", place / "other", *two_on, like)
    for third, silent in ((like, False), (unsaid, True)):
        with pytest.raises(SystemExit) as ended:
            main(["foretell", str(place / "acts"), *two_on, third, "--json"])
        printed = capsys.readouterr()
        assert ended.value.code == 0
        remarks = json.loads(printed.out)["probes"]["remarks"]
        assert [unsaid in line for line in remarks] == [True] * silent
        assert ("does not say which layer" in printed.err) is silent
    words = ["predict", unsaid, "--rows", str(place / "weak.jsonl"), "--out", str(tmp_path / "p.csv")]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--store", str(place / "other"), "--layer", "1"])
    assert ended.value.code == 0
    assert "nothing checks that it is layer 1 of" in capsys.readouterr().out
    said = fails("predict", two, *words[2:], "--store", place / "other")
    assert "of another model than" in said


def test_a_students_folder_keeps_what_its_head_was_fitted_to(place: Path, tmp_path: Path) -> None:
    found = SavedStudent.find(place / "two.safetensors")
    save_student(tmp_path / "student", {"kind": "head"}, head=load_probe(found.path), reads=found.reads)
    again = SavedStudent.find(tmp_path / "student")
    assert again.reads == found.reads
    table, store = read_table(place / "weak.jsonl"), ActivationStore.open(place / "acts")
    p = predict(again, table, store=store)
    with pytest.raises(InputError, match="it reads layer 2, not 1"):
        predict(again, table, store=store, layer=1)
    assert ((p > 0.5) == table["truth"]).mean() > 0.9


def test_imported_activations_of_no_known_model_are_read_with_a_remark(tmp_path: Path) -> None:
    """Nothing says the weights of either: only the same import is surely the same."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 6)).astype(np.float32)
    rows = pd.DataFrame({"id": [str(i) for i in range(40)], "text": [f"text {i}" for i in range(40)]})
    write_table(rows, tmp_path / "rows.jsonl")
    stores = []
    for name, values in (("one", X), ("same", X), ("reversed", X[:, ::-1])):
        np.save(tmp_path / f"{name}.npy", values)
        file = tmp_path / f"{name}.npy"
        stores.append(import_activations(file, tmp_path / "rows.jsonl", tmp_path / name, layers=3))
    probe = LogisticProbe(0.1).fit(X, (X[:, 0] > 0).astype(float))
    save_probe(probe, tmp_path / "p.safetensors", fitted_to=(stores[0], 3))
    assert check_fitted_to(tmp_path / "p.safetensors", stores[0], 3) is None
    assert check_fitted_to(tmp_path / "p.safetensors", stores[1], 3) is None
    remark = check_fitted_to(tmp_path / "p.safetensors", stores[2], 3)
    assert remark is not None
    assert "no weights are known of either" in remark
