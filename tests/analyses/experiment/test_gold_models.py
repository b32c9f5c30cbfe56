"""Uses of gold rows on tiny models, against trainings by hand: a fine-tuned student that goes on, a layer chosen."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.experiment.gold_rows import gold_order
from analyses.experiment.splits import split_task
from analyses.protocol import run
from analyses.recipe.schema import Recipe
from tests.worlds.experiments import small_recipe
from w2s_probes import ActivationStore, auroc
from w2s_probes.io.tables import read_table
from w2s_probes.losses import Objective
from w2s_probes.students import HeadLesson, HeadStudent, Texts, train_heads
from w2s_probes.students.finetune import finetune

TASK = "miniature_sound"
FEW = [f"data.tasks=['{TASK}']", "data.n_train=80", "data.n_val=40", "data.n_test=60", "weak={kind='text',n_truth=60}"]
FEW += ["n_boot=10", "probes.topo_k=5", "probes.knn_k=5"]
NAME = f"{TASK}-0"


def rows_of(recipe: Recipe, out: Path, gold: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, Any]:
    """Training rows with weak `label` and `truth`, validation rows, test rows, and the gold rows' mask."""
    weak = read_table(out / "labels" / f"{NAME}-weak.jsonl").astype({"label": float, "truth": float})
    train, val = (weak[weak["split"] == part].reset_index(drop=True) for part in ("train", "val"))
    (sets,) = split_task(recipe, TASK).values()
    assert train["id"].tolist() == sets.train["id"].astype(str).tolist()
    mask = np.isin(np.arange(len(train)), gold_order(sets.train, 0, TASK)[:gold])
    return train, val, read_table(out / "predictions" / f"{NAME}.csv"), mask


def test_a_fine_tuned_student_goes_on_with_the_truth_of_gold_rows(tmp_path: Path) -> None:
    student = "student={kind='full',finetuning={epochs=2,batch_size=16,learning_rate=1e-3,warm_up=2,eval_every=5}}"
    names = ["student-xent", "gold-after:30", "control-gold-weak:gold-after:30"]
    recipe = small_recipe(f"methods={names}", student, *FEW)
    results = run(recipe, tmp_path)
    train, val, test, gold = rows_of(recipe, tmp_path, 30)
    texts = pd.concat([read_table(tmp_path / "labels" / f"{NAME}-test.jsonl")])["text"].tolist()
    settings, held_out = recipe.student.finetuning, Texts(val["text"].tolist(), val["label"])

    def by_hand(rows: pd.DataFrame, labels: str, start: Path | None = None) -> Any:
        taught, folder = Texts(rows["text"].tolist(), rows[labels]), tmp_path / f"{labels}-{len(rows)}"
        more: dict[str, Any] = {"settings": settings, "objective": Objective("xent"), "folder": folder, "save": True}
        return finetune(recipe.strong.model, taught, held_out, {"test": texts}, seed=0, start=start, **more)

    first = by_hand(train, "label")
    np.testing.assert_allclose(test["student-xent"].astype(float), first.scores["test"], atol=1e-5)
    for name, labels in (("gold-after:30", "truth"), ("control-gold-weak:gold-after:30", "label")):
        later = by_hand(train[gold], labels, first.model)
        np.testing.assert_allclose(test[name].astype(float), later.scores["test"], atol=1e-5, err_msg=name)
        assert np.abs(later.scores["test"] - first.scores["test"]).max() > 0.01
    assert results[results["metric"] == "auroc"].set_index("method")["trusted"].reindex(names).tolist() == [0, 30, 0]


def test_gold_rows_choose_the_layer_of_a_real_model(tmp_path: Path) -> None:
    chosen = ["gold.n=40", "gold.use=select", "gold.select=layer", "gold.layers=[0,1,4]", "strong.layer=2"]
    recipe = small_recipe("methods=student-xent", *chosen, *FEW)
    results = run(recipe, tmp_path)
    train, val, test, gold = rows_of(recipe, tmp_path, 40)
    stores = [ActivationStore.open(file.parent) for file in tmp_path.glob("activations/*/manifest.json")]
    by_layer = {store.layers[0]: store for store in stores}
    assert sorted(by_layer) == [0, 1, 2, 4]
    heads, on_gold = {}, {}
    for layer, store in by_layer.items():
        X, X_val = (store.layer(layer, ids=part["id"].tolist()) for part in (train, val))
        lesson = HeadLesson(train["label"].to_numpy(), ~gold, val_labels=val["label"].to_numpy(), epochs=40)
        (head,) = train_heads(X, [lesson], X_val, seed=0)
        assert isinstance(head, HeadStudent)
        heads[layer] = head
        on_gold[layer] = auroc(train["truth"][gold], head.predict_proba(X[gold])[:, 1])
    best = max([2, 0, 1, 4], key=lambda layer: on_gold[layer])  # of equal ones the recipe's own, then the first
    line = results[(results["method"] == "gold-select-layer") & (results["metric"] == "auroc")].iloc[0]
    assert (line["layer"], line["trusted"]) == (best, 40)
    expected = heads[best].predict_proba(by_layer[best].layer(best, ids=test["id"].tolist()))[:, 1]
    np.testing.assert_allclose(test["gold-select-layer"].astype(float), expected, atol=1e-5)
    table = pd.read_csv(tmp_path / "gold_choices.csv").iloc[0]
    assert (table["chosen"], table["candidates"], table["gold"]) == (best, 4, 40)
    assert table["gold_auroc"] == pytest.approx(on_gold[best], abs=1e-9)
    assert len(set(on_gold.values())) > 1
