"""Gold rows that are not there, that are rows of other sets, and settings of theirs that nothing reads, are refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyses.experiment import GoldUse
from analyses.experiment.gold_rows import gold_rows
from analyses.experiment.splits import split_task
from analyses.methods import find_method
from analyses.recipe.gold import Gold
from analyses.supervisors.held_out import refuse_without_truth
from tests.worlds.experiments import small_recipe
from w2s_probes import InputError


def told(tmp_path: Path, *settings: str) -> str:
    with pytest.raises(InputError) as caught:
        recipe = small_recipe(*settings)
        splits = {"miniature_price": split_task(recipe, "miniature_price")}
        refuse_without_truth(recipe, {name: find_method(name) for name in recipe.methods}, splits)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["gold.use=append"], "gold: use needs `n`"),
        (["gold.use=append", "gold.n=0"], "n = 0 leaves no gold rows"),
        (["gold.use=append", "gold.n=301"], "301 gold rows are more than strong-train has: data.n_train = 300"),
        (["gold.use=append", "gold.n=[9,9]"], "n names something twice"),
        (["gold.n=9", "gold.n_weak=50"], "n_weak is of `use`"),
        (["gold.use=after", "gold.n=1"], "needs gold rows of both classes, and the 1 are of one: raise gold.n"),
        (["gold.use=select", "gold.select=layer", "gold.n=9"], 'select = "layer" needs `layers`'),
        (["gold.use=select", "gold.select=knnn", "gold.n=9"], "did you mean 'gold-select-knn'"),
        (["methods=gold-append"], "say how many, [gold] n = 100, or name it gold-append:100"),
        (["methods=gold-append", "gold.n=[5,9]"], "gold.n has several numbers: name it gold-append:5"),
        (["methods=gold-append:5:0"], "has no weak rows"),
        (["methods=gold-select-knn:9:50"], "reads all weak rows: leave :50 out"),
        (["methods=control-gold-weak:control-gold-alone:9"], "is a control itself"),
        (["methods=control-gold-alone:9:50"], "reads no weak rows: leave :50 out"),
        (["methods=student-xent", "gold.n=9"], "[gold]: no method reads gold rows"),
        (
            ["methods=gold-append:9", "gold.share=.3"],
            "gold.share is given, and no method reads it: it is of gold-weight",
        ),
        (["methods=gold-append:9", "gold.layers=[1,2]"], "gold.layers is given, and no method reads it"),
        (
            ["methods=gold-select-layer:9", "gold.layers=[1,2]", "gold.values={knn_k=[3]}"],
            "gold.values is given, and no",
        ),
        (["methods=gold-select-knn:9", "gold.values={knn=[3]}"], "unknown key 'gold.values.knn'; did you mean"),
        (["methods=gold-select-knn:9", "gold.values={knn_k=[3.5]}"], "gold.values: knn_k: input should be a valid int"),
        (["methods=gold-select-knn:9", "gold.values={knn_k=[0]}"], "gold.values: knn_k: input should be greater"),
        (["methods=gold-select-knn:9", "gold.values={knn_k=[]}"], "knn_k: a list of values is expected, each once"),
        (["methods=gold-select-knn:9", "gold.values={knn_k=[5,300]}"], "gold.values.knn_k: 300 needs more rows than"),
        (
            ["methods=gold-select-logistic:9", "gold.values={logistic_l2=[-1]}"],
            "gold.values: logistic_l2: input should",
        ),
        (["methods=gold-select-checkpoint:300"], "nor related to one, and 0 of 300 are left: lower gold.n"),
    ],
)
def test_recipes_that_ask_for_gold_rows_that_are_not_there_are_refused(
    settings: list[str], words: str, tmp_path: Path
) -> None:
    assert words in told(tmp_path, *settings)


@pytest.mark.parametrize("part", ["weak", "val", "test"])
def test_a_file_of_gold_labels_of_other_sets_is_refused_and_names_rows(part: str, tmp_path: Path) -> None:
    (sets,) = split_task(small_recipe(), "miniature_price").values()
    rows = pd.concat([sets.train[:20], sets.tables[part][:2]])
    file = tmp_path / "gold.jsonl"
    rows[["id", "label"]].to_json(file, orient="records", lines=True)
    said = told(tmp_path, "methods=gold-append", f"gold.file={file}")
    assert "has 2 " in said
    assert min(sets.tables[part]["id"][:2].astype(str)) in said
    rows[:20][["id", "label"]].to_json(file, orient="records", lines=True)
    drawn = gold_rows(Gold(file=file), sets, "miniature_price", 0).of(GoldUse())
    assert set(drawn.ids) == set(rows["id"][:20])
    assert np.array_equal(drawn.truth(), sets.train.set_index("id")["label"].reindex(list(drawn.ids)))
    assert "reads 21 gold rows, more than of strong-train" in told(
        tmp_path, "methods=gold-append:21", f"gold.file={file}"
    )
    rows[:20].assign(label=0.7)[["id", "label"]].to_json(file, orient="records", lines=True)
    assert "gold labels are 0 or 1" in told(tmp_path, "methods=gold-append", f"gold.file={file}")


def test_a_list_of_numbers_makes_a_curve_and_its_lines_beside() -> None:
    recipe = small_recipe("methods=student-xent", "gold.n=[0,20,40]", "gold.use=append,after", "gold.n_weak=100")
    points = [f"gold-{use}:{n}:100" for use in ("append", "after") for n in (20, 40)]
    alone = ["control-weak-alone:100", "control-gold-alone:20", "control-gold-alone:40"]
    assert recipe.methods == ["student-xent", *alone, *points]
    single = small_recipe("methods=student-xent", "gold.n=20", "gold.use=append")
    assert single.methods == ["student-xent", "control-gold-alone", "gold-append"]
