"""`keep_students = true`: every trained head and model of a run as a student that other commands and libraries open."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyses.dry_run import stages
from analyses.protocol import run
from analyses.report.load.folder import read_folder
from tests.worlds.experiments import small_recipe
from w2s_probes.io.sealed import not_as_written
from w2s_probes.io.tables import read_table
from w2s_probes.store.activation_store import ActivationStore
from w2s_probes.students.artefacts import SavedStudent
from w2s_probes.students.predicting import predict

METHODS = 'methods=["student-xent", "s2s-1", "filter-knn", "control-random:filter-knn", "probe-knn"]'
TASK = "miniature_price-0"


def test_heads_of_a_run_are_kept_and_score_its_test_rows_as_the_run_did(tmp_path: Path, counted: Counter[str]) -> None:
    plain = run(small_recipe(METHODS), tmp_path / "plain", cache=tmp_path / "cache")
    assert not (tmp_path / "plain" / "students").exists()
    recipe = small_recipe(METHODS, "keep_students=true")
    kept = {stage.name for stage in stages(recipe, tmp_path / "cache") if stage.kept}
    assert kept & {"ceiling", "student-xent", "filter-knn"} == set()  # their scores are there, they are not
    out = tmp_path / "out"
    pd.testing.assert_frame_equal(run(recipe, out, cache=tmp_path / "cache"), plain)
    places = {file.parent.relative_to(out / "students").as_posix() for file in out.glob("students/**/student.json")}
    several = {f"{TASK}-control-random-filter-knn/{i}" for i in range(1, len(places))} & places
    assert len(several) > 1
    assert places - several == {f"{TASK}-{name}" for name in ("weak", "ceiling", "student-xent", "filter-knn")} | {
        f"{TASK}-s2s-1/1",
        f"{TASK}-s2s-1/2",
    }
    scores = read_table(out / "predictions" / f"{TASK}.csv").set_index("id")
    stores = [
        ActivationStore.open(folder.parent) for folder in (tmp_path / "cache").glob("activations/*/manifest.json")
    ]
    for place, column in (
        (f"{TASK}-student-xent", "student-xent"),
        (f"{TASK}-s2s-1/2", "s2s-1"),
        (f"{TASK}-weak", "weak"),
    ):
        record = json.loads((out / "students" / place / "student.json").read_text())
        assert not_as_written(out / "students" / place / "student.json", record) == {}
        assert (record["task"], record["seed"], record["rows"]["val"] > 0) == ("miniature_price", 0, True)
        student = SavedStudent.find(out / "students" / place)
        (store,) = [one for one in stores if one.key == record["store"]]
        p = predict(student, pd.DataFrame({"id": scores.index}), store=store)
        np.testing.assert_allclose(p, scores[column].astype(float), atol=1e-5)
    assert not read_folder(out).students  # the report of a run does not list them
    before = counted["heads"]
    run(recipe, out, cache=tmp_path / "cache")
    assert counted["heads"] == before  # nothing is trained again
    assert all(stage.kept for stage in stages(recipe, tmp_path / "cache"))


def test_students_of_an_earlier_run_go_and_those_of_the_user_stay(tmp_path: Path) -> None:
    settings = ["keep_students=true", 'methods=["student-xent", "student-entropy"]']
    run(small_recipe(*settings), tmp_path)
    mine = tmp_path / "students" / "mine"
    mine.mkdir()
    (mine / "student.json").write_text("{}")
    run(small_recipe(settings[0], 'methods=["student-xent"]'), tmp_path)
    left = {folder.name for folder in (tmp_path / "students").iterdir()}
    assert left == {f"{TASK}-{name}" for name in ("weak", "ceiling", "student-xent")} | {"mine"}


def test_several_students_may_stand_where_an_earlier_run_had_one_and_the_other_way_round(tmp_path: Path) -> None:
    """As where the supervisor becomes an ensemble."""
    small, out = ('methods=["student-xent"]', "keep_students=true", "student.epochs=2"), tmp_path / "out"
    one = 'weak={kind="head", model="data/miniature/weak", n_truth=150}'
    several = "weak={kind='ensemble', n_truth=150, members=[{kind='head', model='data/miniature/weak'}, "
    several += "{kind='head', model='data/miniature/weak'}]}"

    def places() -> set[str]:
        found = (out / "students").glob(f"{TASK}-weak/**/student.json")
        return {file.parent.relative_to(out / "students").as_posix() for file in found}

    run(small_recipe(*small, one), out, cache=tmp_path / "cache")
    assert places() == {f"{TASK}-weak"}
    run(small_recipe(*small, several), out, cache=tmp_path / "cache")
    assert places() == {f"{TASK}-weak/1", f"{TASK}-weak/2"}
    run(small_recipe(*small, one), out, cache=tmp_path / "cache")
    assert places() == {f"{TASK}-weak"}
    assert SavedStudent.find(out / "students" / f"{TASK}-weak").kind == "head"


def test_students_of_gold_rows_say_so_and_how_many(tmp_path: Path) -> None:
    names = [
        "student-xent",
        "gold-append:20",
        "control-gold-weak:gold-append:20",
        "gold-after:20",
        "gold-select-checkpoint",
    ]
    run(small_recipe(f"methods={json.dumps(names)}", "keep_students=true", "gold.n=20", "student.epochs=3"), tmp_path)
    records = {
        file.parent.relative_to(tmp_path / "students").as_posix().removeprefix(f"{TASK}-"): json.loads(file.read_text())
        for file in (tmp_path / "students").glob("**/student.json")
    }
    told = {name: (one["role"], one.get("gold_rows"), one.get("stopped_by")) for name, one in records.items()}
    assert told == {
        "weak": ("truth", None, None),
        "ceiling": ("truth", None, None),
        "student-xent": ("weak", None, None),
        "gold-append-20": ("gold", 20, None),
        "control-gold-weak-gold-append-20": ("weak", None, None),
        "gold-after-20/1": ("weak", None, None),
        "gold-after-20/2": ("gold", 20, None),
        "gold-select-checkpoint/1": ("weak", None, "gold"),
        "gold-select-checkpoint/2": ("weak", None, None),
    }
    assert records["gold-after-20/2"]["rows"]["train"] == 20
    assert records["gold-append-20"]["rows"]["train"] > 20


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_fine_tuned_students_of_a_run_are_kept_and_open_again(kind: str, tmp_path: Path) -> None:
    recipe = small_recipe(
        'methods=["student-xent"]',
        "keep_students=true",
        f"student.kind={kind}",
        "student.finetuning.epochs=1",
        "student.finetuning.learning_rate=3e-3",
        "data.n_train=60",
        "data.n_val=30",
        "data.n_test=40",
        "probes.knn_k=20",
        "weak.n_truth=60",
    )
    run(recipe, tmp_path)
    labels = read_table(tmp_path / "labels" / f"{TASK}-test.jsonl")
    scores = read_table(tmp_path / "predictions" / f"{TASK}.csv").set_index("id")
    for name in ("ceiling", "student-xent"):
        folder = tmp_path / "students" / f"{TASK}-{name}"
        record = json.loads((folder / "student.json").read_text())
        assert (record["kind"], not_as_written(folder / "student.json", record)) == (kind, {})
        p = predict(SavedStudent.find(folder), labels)
        np.testing.assert_allclose(p, scores[name].astype(float)[labels["id"]], atol=1e-6)
    unfinished = list((tmp_path / "kept").glob("unfinished/*"))
    assert unfinished == []
