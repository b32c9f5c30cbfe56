"""Recipes, tasks and splits: what a run will do, before it does it."""

import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyses.experiment.splits import split
from analyses.methods import METHODS, find_methods
from analyses.recipe.read import RECIPES, read_recipe, read_recipes
from extract.tasks import TASKS, Task, find_task, read_task
from w2s_probes import InputError
from w2s_probes.io.validated import validated

MINIMAL = """
methods = ["student-xent"]
[data]
tasks = ["clinc_oos"]
folder = "rows"
[weak]
[strong]
model = "./strong"
"""


def recipe_file(folder: Path, text: str = MINIMAL) -> Path:
    (folder / "rows").mkdir(exist_ok=True)
    (folder / "recipe.toml").write_text(text)
    return folder / "recipe.toml"


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda p: p.stem)
def test_recipes_that_come_along_are_valid(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("W2S_DATA", "/somewhere")
    for recipe in read_recipes(path).values():
        found = find_methods(recipe.methods)
        assert [name for name in found if not name.startswith("ceiling-")] == recipe.methods
        assert len(recipe.seeds) >= 3
        filters = [name for name, method in found.items() if method.removal and not name.startswith("control-")]
        if path.stem != "robust":  # whose controls are not methods
            assert {f"control-random:{name}" for name in filters} <= set(found)  # no filter without its control
        for task in recipe.data.tasks:
            find_task(task)


def test_paths_are_relative_to_the_recipe_and_settings_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = recipe_file(tmp_path)
    here = tmp_path / "here"
    (here / "rows").mkdir(parents=True)
    monkeypatch.chdir(here)
    recipe = read_recipe(path)
    assert recipe.data.folder == tmp_path / "rows"
    assert recipe.strong.model == str(tmp_path / "strong")
    changed = read_recipe(path, ["data.folder=rows", "seeds=[1, 2]", "strong.model=org/name", "probes.knn_k=7"])
    assert changed.data.folder == here / "rows"
    assert changed.seeds == [1, 2]
    assert changed.strong.model == "org/name"
    assert changed.probes.knn_k == 7


def test_a_chat_template_is_a_file_beside_the_recipe_or_a_word(tmp_path: Path) -> None:
    for name in ("t.jinja", "own", "none"):
        (tmp_path / name).write_text("{{ messages[0]['content'] }}")
    for written, read in {
        "t.jinja": str(tmp_path / "t.jinja"),
        "own": "own",
        "none": "none",
        "own:rag": "own:rag",
    }.items():
        path = recipe_file(tmp_path, MINIMAL + f'\n[asking]\nchat_template = "{written}"\n')
        assert read_recipe(path).asking.chat_template == read


def test_variables_are_filled_in_or_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = recipe_file(tmp_path, MINIMAL.replace('"rows"', '"$W2S_TEST_FOLDER/rows"'))
    monkeypatch.delenv("W2S_TEST_FOLDER", raising=False)
    with pytest.raises(InputError, match=r"data.folder: the environment variable W2S_TEST_FOLDER is not set"):
        read_recipe(path)
    monkeypatch.setenv("W2S_TEST_FOLDER", str(tmp_path))
    assert read_recipe(path).data.folder == tmp_path / "rows"
    path = recipe_file(tmp_path, MINIMAL.replace('"rows"', '"$HF_TOKEN/rows"'))
    monkeypatch.setenv("HF_TOKEN", "planted")
    with pytest.raises(InputError, match=r"data.folder: \$HF_TOKEN is secret by its name") as refused:
        read_recipe(path)
    assert "planted" not in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["data.n_trian=5"], r"unknown key 'data\.n_trian'; did you mean 'data\.n_train'\?"),
        (["sede=[1]"], r"unknown key 'sede'; did you mean 'seeds'\?"),
        (["data.n_train=1"], r"data.n_train: input should be greater than or equal to 2"),
        (["weak.kind=head"], r"weak: kind = 'head' needs `model`"),
        (["seeds=[1, 1]"], r"seeds names something twice: 1, 1"),
        (['methods=["probe-knn", "probe-knn"]'], r"methods names something twice"),
        (['data.tasks=["a/t.toml", "b/t.toml"]'], r"data.tasks names something twice: t, t"),
        (["seeds=[-1]"], r"seeds.0: input should be greater than or equal to 0"),
        (["data.n_train=50"], r"probes.knn_k = 50 needs more rows than data.n_train = 50"),
        (
            ["weak.kind=finetuned"],
            r"weak.kind: input should be 'text', .*, 'labels', 'simulated', 'prior', 'lm' or 'boosted'",
        ),
        (["probes.contamination=1.5"], r"probes.contamination: input should be less than 1"),
        (["data.n_train"], r"--set data.n_train: write it as table.key=value"),
        (["methods.x=1"], r"'methods' is not a table"),
        (["weak.model=x"], r"weak: kind = 'text' takes no `model`"),
        (["weak.kind=ensemble", "weak.members=[{kind='text'}]"], r"weak: an ensemble needs at least two members"),
        (["student.kind=full", "student.finetuning.epoch=1"], r"unknown key 'student.finetuning.epoch'; did you mean"),
        (
            ["student.kind=full", "data.n_train=60", "student.finetuning.batch_size=64"],
            r"batch_size = 64 needs at least",
        ),
        (["weak={kind='finetune', model='m', n_truth=20}"], r"weak: finetuning.batch_size = 32 needs at least as many"),
        (["student.loss=logcon"], r"student.loss: loss 'logcon': did you mean 'logconf'"),
    ],
)
def test_faults_name_the_key_and_the_remedy(tmp_path: Path, settings: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_recipe(recipe_file(tmp_path), settings)


def test_broken_and_missing_recipes_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such recipe"):
        read_recipe(tmp_path / "none.toml")
    with pytest.raises(InputError, match="not valid TOML"):
        read_recipe(recipe_file(tmp_path, "methods = ["))


def test_an_unknown_method_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"method 'filter-tpo': did you mean 'filter-topo'\?"):
        find_methods(["filter-tpo"])
    assert list(find_methods(["probe-knn", "student-xent"])) == ["ceiling-knn", "probe-knn", "student-xent"]
    known = (
        "student",
        "probe",
        "ceiling",
        "filter",
        "relabel",
        "control",
        "s2s",
        "bootstrap",
        "gate",
        "mowst",
        "prior",
        "fusion",
        "gold",
        "two",
    )
    assert all(name.partition("-")[0] in known for name in METHODS)


DEONTOLOGY = {
    "text": "{scenario} {nested.excuse}",
    "label": {"field": "label", "positive": ["1", True]},
    "group": ["scenario"],
}


def table(*rows: tuple[str, str, Any]) -> pd.DataFrame:
    return pd.DataFrame([{"scenario": s, "nested": {"excuse": e}, "label": y} for s, e, y in rows])


def test_a_task_builds_rows_from_the_sources_own_fields() -> None:
    task = validated(Task, DEONTOLOGY, "task")
    rows = task.rows(table(("a", "x", "1"), ("a", "y", 0), ("b", "z", True), ("b", "z", True)), "file")
    assert rows["text"].tolist() == ["a x", "a y", "b z"]  # equal rows are one
    assert rows["label"].tolist() == [1, 0, 1]
    assert rows["group"].tolist()[0] == rows["group"].tolist()[1] != rows["group"].tolist()[2]
    assert rows["id"].is_unique


def test_equal_texts_with_different_labels_are_left_out() -> None:
    task = validated(Task, DEONTOLOGY, "task")
    rows = task.rows(table(("a", "x", "1"), ("a", "x", "0"), ("b", "z", "1"), ("c", "z", "0")), "file")
    assert rows["text"].tolist() == ["b z", "c z"]


def test_tasks_that_do_not_fit_their_file_name_the_row_and_field(tmp_path: Path) -> None:
    task = validated(Task, DEONTOLOGY, "task")
    with pytest.raises(InputError, match=r"file, row 1: no field 'nested.excuse'; it has 'scenario', 'label'"):
        task.rows(pd.DataFrame([{"scenario": "a", "label": 1}]), "file")
    with pytest.raises(InputError, match=r"every label is 0: does `label.positive` name values"):
        task.rows(table(("a", "x", "no"), ("b", "y", "no")), "file")
    with pytest.raises(InputError, match=r"task 'clinc': no file .*; did you mean 'clinc_oos'\?"):
        find_task("clinc")
    (tmp_path / "t.toml").write_text('text = "{a}"\nlable = 1\n')
    with pytest.raises(InputError, match=r"unknown key 'lable'; did you mean 'label'\?|label: field required"):
        find_task(str(tmp_path / "t.toml"))
    with pytest.raises(InputError, match=r"train.jsonl.gz: no such file"):
        read_task("clinc_oos", tmp_path)


@pytest.mark.parametrize("path", sorted(TASKS.glob("*.toml")), ids=lambda p: p.stem)
def test_tasks_that_come_along_are_valid(path: Path) -> None:
    name, task = find_task(path.stem)
    assert name == path.stem
    assert "{" in task.text


def test_a_train_row_whose_group_is_in_test_is_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "ethics_deontology"
    folder.mkdir()
    parts = {"train": "abcd", "test": "cdef"}
    for part, scenarios in parts.items():
        records = [{"scenario": s, "excuse": part, "label": str(i % 2)} for i, s in enumerate(scenarios)]
        text = "".join(json.dumps(record) + "\n" for record in records)
        (folder / f"{part}.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    _, rows = read_task("ethics_deontology", tmp_path)
    assert rows["train"]["text"].tolist() == ["a train", "b train"]
    assert len(rows["test"]) == 4


def pool(n: int, group_size: int, positive: float, name: str) -> pd.DataFrame:
    """n rows in groups, an exact share of them positive."""
    return pd.DataFrame(
        {
            "id": [f"{name}-{i}" for i in range(n)],
            "text": [f"{name} {i}" for i in range(n)],
            "label": [int((i * 7919) % n < positive * n) for i in range(n)],
            "group": [f"{name}-g{i // group_size}" for i in range(n)],
        }
    )


@given(st.integers(0, 1000), st.integers(1, 4), st.sampled_from([0.3, 0.5, 0.7]), st.booleans())
def test_splits_are_disjoint_by_id_and_group_and_of_the_sizes_asked_for(
    seed: int, group_size: int, positive: float, balance: bool
) -> None:
    train, test = pool(400, group_size, positive, "train"), pool(200, 1, positive, "test")
    sizes: dict[str, Any] = {"n_weak": 40, "n_train": 100, "n_val": 30, "n_test": 90}
    sets = split(train, test, **sizes, balance=balance, seed=seed, task="t")
    parts = {"weak": sets.weak, "train": sets.train, "val": sets.val, "test": sets.test}
    assert {name: len(part) for name, part in parts.items()} == {"weak": 40, "train": 100, "val": 30, "test": 90}
    assert pd.concat([p["id"] for p in parts.values()]).is_unique
    groups = [set(part["group"]) for part in parts.values()]
    assert all(not a & b for i, a in enumerate(groups) for b in groups[:i])
    again = split(train, test, **sizes, balance=balance, seed=seed, task="t")
    assert again.train["id"].tolist() == sets.train["id"].tolist()
    other = split(train, test, **sizes, balance=balance, seed=seed + 1, task="t")
    assert other.test["id"].tolist() == sets.test["id"].tolist()  # the same test rows for every seed
    assert other.train["id"].tolist() != sets.train["id"].tolist()
    if balance:
        pooled = pd.concat([sets.weak, sets.train, sets.val])["label"].mean()
        assert pooled == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (
            {"n_train": 500},
            r"n_truth \+ n_val \+ n_train = 40 \+ 30 \+ 500 = 570 rows .* has 240 after balancing: .* set data.at_most",
        ),
        (
            {"n_test": 500},
            r"t: n_test = 500, but test has 120 rows after balancing: lower it, or set data.at_most = true",
        ),
    ],
)
def test_sizes_that_do_not_fit_are_refused_with_the_numbers(sizes: dict[str, int], message: str) -> None:
    wanted: dict[str, Any] = {"n_weak": 40, "n_train": 100, "n_val": 30, "n_test": 90} | sizes
    with pytest.raises(InputError, match=message):
        split(pool(400, 1, 0.3, "a"), pool(200, 1, 0.3, "b"), **wanted, balance=True, seed=0, task="t")


@pytest.mark.parametrize("balance", [True, False])
def test_a_task_of_equal_texts_is_refused(balance: bool) -> None:
    """Equal texts are one row or, where their labels differ, none."""
    sizes: dict[str, Any] = {"n_weak": 40, "n_train": 100, "n_val": 30, "n_test": 90, "balance": balance}
    train, test = pool(400, 1, 0.5, "a"), pool(200, 1, 0.5, "b")
    for rows in (0, 1):
        message = rf"t: {{}} has one class only after equal texts were taken away \({rows} rows are left\)"
        with pytest.raises(InputError, match=message.format("train")):
            split(train.iloc[:rows], test, **sizes, seed=0, task="t", at_most=True)
        with pytest.raises(InputError, match=message.format("test")):
            split(train, test.iloc[:rows], **sizes, seed=0, task="t", at_most=True)


def test_sizes_that_are_meant_at_most_shrink_alike() -> None:
    train, test = pool(400, 1, 0.5, "a"), pool(200, 1, 0.5, "b")
    sizes: dict[str, Any] = {"n_weak": 400, "n_train": 1000, "n_val": 200, "n_test": 500}
    sets = split(train, test, **sizes, balance=True, seed=0, task="t", at_most=True)
    assert {name: len(table) for name, table in sets.tables.items()} == {
        "weak": 100, "train": 250, "val": 50, "test": 200,
    }  # fmt: skip
    small: dict[str, Any] = {"n_weak": 40, "n_train": 100, "n_val": 20, "n_test": 50}
    as_asked = split(train, test, **small, balance=True, seed=0, task="t", at_most=True)
    exact = split(train, test, **small, balance=True, seed=0, task="t")
    assert as_asked.train["id"].tolist() == exact.train["id"].tolist()
    with pytest.raises(InputError, match="one class only"):
        split(train.iloc[:6], test, **sizes, balance=False, seed=0, task="t", at_most=True)
