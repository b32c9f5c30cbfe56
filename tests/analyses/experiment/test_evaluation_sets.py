"""Test sets beside the task's own: which rows are in them, what is refused, and their lines in every table."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.costs import plan_recipe
from analyses.dry_run import stages
from analyses.experiment.outcomes import Outcome
from analyses.experiment.row_sets import OTHER_TEST
from analyses.experiment.splits import split_task
from analyses.protocol import run
from analyses.recipe.read import read_recipe
from analyses.recipe.schema import Recipe
from analyses.report import write_report
from analyses.results.names import PREDICTIONS, trial_files
from analyses.results.summary import summary
from analyses.results.table import results_table, task_rows
from analyses.results.trial_result import TrialResult
from tests.worlds.supervising import BASE, MINIATURE
from w2s_probes import InputError, auroc
from w2s_probes.io.tables import read_table, write_table

TASK = """
text = "{text}"
label = { field = "label", positive = [1] }
group = ["about"]
"""


def write_tasks(folder: Path, names: Sequence[str] = ("own",), n_test: int = 160) -> None:
    """Tasks of the miniature's texts, in groups of two, each row with its length and level."""
    source = {
        part: read_table(MINIATURE / "rows" / "miniature_price" / f"{part}.jsonl.gz") for part in ("train", "test")
    }
    for number, name in enumerate(names):
        (folder / f"{name}.toml").write_text(TASK)
        for part, size in (("train", 700), ("test", n_test)):
            start = number * size
            rows = source[part].iloc[start : start + size].reset_index(drop=True)
            words = rows["text"].str.count(" ")
            level = np.where(words > words.median(), "hard", "easy")
            about = [f"{name} {part} {i // 2}" for i in range(size)]
            (folder / name).mkdir(exist_ok=True)
            write_table(rows.assign(level=level, about=about), folder / name / f"{part}.jsonl.gz")


def recipe_of(folder: Path, *settings: str, tasks: Sequence[str] = ("own",)) -> Recipe:
    values: dict[str, Any] = BASE | {
        "data": {"folder": str(folder), "tasks": [f"{name}.toml" for name in tasks], "n_train": 200, "n_val": 60}
    }
    values["data"] |= {"n_test": 120}
    (folder / "recipe.toml").write_text("\n".join(f"{key} = {toml(value)}" for key, value in values.items()))
    return read_recipe(folder / "recipe.toml", ["student.epochs=3", "n_boot=20", *settings])


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(inner)}" for key, inner in value.items()) + "}"
    return "[" + ", ".join(map(toml, value)) + "]" if isinstance(value, list) else json.dumps(value)


@pytest.fixture
def world(tmp_path: Path) -> Path:
    write_tasks(tmp_path, ("own", "other"))
    hard = read_table(tmp_path / "other" / "test.jsonl.gz")
    write_table(hard[hard["level"] == "hard"], tmp_path / "hard.jsonl")
    return tmp_path


def test_a_set_is_the_test_part_of_a_task_or_a_file_in_the_tasks_own_fields(world: Path) -> None:
    named = (f"data.tests.other={world}/other.toml", f"data.tests.hard={world}/hard.jsonl", "seeds=[0, 1]")
    by_seed = split_task(recipe_of(world, *named), str(world / "own.toml"))
    given, file = read_table(world / "other" / "test.jsonl.gz"), read_table(world / "hard.jsonl")
    for sets in by_seed.values():
        assert list(sets.tests) == ["other", "hard"]
        assert set(sets.tests["hard"]["text"]) <= set(file["text"])
        assert set(sets.tests["other"]["text"]) <= set(given["text"])
        assert len(sets.tests["other"]) == 120
        assert OTHER_TEST + "hard" in sets.labelled
    first, second = by_seed.values()
    pd.testing.assert_frame_equal(first.tests["hard"], second.tests["hard"])  # the same rows for every seed


def test_paths_are_relative_to_the_recipe_and_a_task_is_no_other_test_set_of_its_own(world: Path) -> None:
    recipe_of(world, tasks=("own", "other"))
    text = (world / "recipe.toml").read_text()
    tests = 'data = {tests = {own = "own.toml", other = "other.toml", hard = "hard.jsonl"}, '
    (world / "recipe.toml").write_text(text.replace("data = {", tests))
    recipe = read_recipe(world / "recipe.toml")
    found = [list(next(iter(split_task(recipe, name).values())).tests) for name in recipe.data.tasks]
    assert found == [["other", "hard"], ["own", "hard"]]


def test_a_table_under_a_tasks_name_is_of_that_task_alone(world: Path) -> None:
    recipe = recipe_of(world, f"data.tests.own.hard={world}/hard.jsonl", tasks=("own", "other"))
    assert recipe.data.tests_of("own") == {"hard": str(world / "hard.jsonl")}
    assert recipe.data.tests_of("other") == {}


def test_every_value_of_a_field_is_a_subset_of_the_test_rows(world: Path) -> None:
    (sets,) = split_task(recipe_of(world, "data.subset=level"), str(world / "own.toml")).values()
    source = read_table(world / "own" / "test.jsonl.gz").set_index("text")["level"]
    assert list(sets.subsets) == ["level=easy", "level=hard"]
    for name, mask in sets.subsets.items():
        assert mask.tolist() == (sets.test["text"].map(source) == name.removeprefix("level=")).tolist()
    one = recipe_of(world, 'data.subset={ field = "level", values = ["hard"] }')
    (sets,) = split_task(one, str(world / "own.toml")).values()
    assert list(sets.subsets) == ["level=hard"]


def test_a_set_that_shares_rows_or_groups_with_training_is_refused_by_name(world: Path) -> None:
    train = read_table(world / "own" / "train.jsonl.gz")
    fresh = read_table(world / "hard.jsonl")
    for name, shared, said in (
        ("texts", train.iloc[:9].assign(about="elsewhere"), "by their text"),
        ("groups", fresh.iloc[:9].assign(about=train["about"].iloc[:9].to_numpy()), "by their group"),
    ):
        write_table(pd.concat([fresh.iloc[20:], shared]), world / f"{name}.csv")
        recipe = recipe_of(world, f"data.tests.{name}={world}/{name}.csv", "data.n_train=500", "weak.n_truth=60")
        with pytest.raises(InputError, match=rf"own: test set '{name}' shares \d+ of its .*{said}.*leave them"):
            split_task(recipe, str(world / "own.toml"))
    beside = world / "own" / "test.jsonl.gz"  # control: rows of the task's own test set may be in another one
    split_task(recipe_of(world, f"data.tests.again={beside}"), str(world / "own.toml"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["data.tests.one=ONE"], r"own: test set 'one': .*one\.jsonl: every label is 1"),
        (["data.tests.gone=gone.jsonl"], r"own: test set 'gone': gone\.jsonl: no such file of test rows"),
        (["data.tests.gone=nothing"], r"own: test set 'gone': task 'nothing': no file"),
        (["data.tests.test=other.toml"], r"'test' cannot be the name of a test set"),
        (["data.tests.a/b=other.toml"], r"'a/b' cannot be the name of a test set"),
        (["data.tests.wrong.hard=other.toml"], r"tests\.wrong is a table, but no task is called so: own"),
        (["data.subset=colour"], r"no field 'colour'; it has 'text', 'label', 'level', 'about'"),
        (["data.subset=about"], r"field 'about' has \d+ values among the test rows.*name those wanted"),
        (["data.subset=label"], r"own: test set 'label=0' has one class only \(60 rows\): name the values"),
        (
            ['data.subset={field="level",values=["mad"]}'],
            r"'level' is 'mad' in no test row: it is 'easy', 'hard'",
        ),
        (['data.subset={fields="level"}'], r"data\.subset"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(world: Path, settings: list[str], message: str) -> None:
    rows = read_table(world / "hard.jsonl")
    write_table(rows[rows["label"] == 1], world / "one.jsonl")
    with pytest.raises(InputError, match=message) as error:
        split_task(
            recipe_of(world, *(one.replace("ONE", f"{world}/one.jsonl") for one in settings)), str(world / "own.toml")
        )
    assert "\n" not in str(error.value)


def judged(seed: int = 0) -> TrialResult:
    """Models that are better on the own set than on the other, and know nothing on the second half of the own."""
    rng = np.random.default_rng(seed)
    truth, half = np.tile([0.0, 1.0], 100), np.arange(200) >= 100
    outcomes = {}
    for name, signal in (("weak", 0.5), ("ceiling", 2.0), ("student-xent", 1.0)):
        own = rng.normal(size=200) + signal * (2 * truth - 1) * ~half
        scores = {"test": own, "test:other": rng.normal(size=200) + signal / 2 * (2 * truth - 1)}
        outcomes[name] = Outcome({key: 1 / (1 + np.exp(-value)) for key, value in scores.items()})
    outcomes["mine"] = Outcome({"test": outcomes["weak"].scores["test"]})  # a method that scores its own set alone
    table = pd.DataFrame({"id": [f"r{i}" for i in range(200)], "label": truth})
    return TrialResult(table, None, outcomes, frozenset(), seed, 1, tests={"other": table}, subsets={"half=yes": half})


def test_every_number_is_given_by_test_set() -> None:
    one = judged()
    table = results_table(task_rows("t", {0: one, 1: judged(1)}, 30))
    assert list(dict.fromkeys(table["test_set"])) == ["test", "other", "half=yes"]
    value = table[table["seed"] == 0].set_index(["test_set", "method", "metric"])["value"]
    student, half = one.outcomes["student-xent"].scores, one.subsets["half=yes"]
    assert value["test", "student-xent", "auroc"] == pytest.approx(auroc(one.truth, student["test"]))
    assert value["other", "student-xent", "auroc"] == pytest.approx(auroc(one.truth, student["test:other"]))
    assert value["half=yes", "student-xent", "auroc"] == pytest.approx(auroc(one.truth[half], student["test"][half]))
    assert table[table["test_set"] == "half=yes"]["n"].dropna().max() == 100
    assert set(table[table["metric"] == "pgr_auroc"]["test_set"]) == {"test", "other", "half=yes"}
    assert "mine" in set(table[table["test_set"] == "half=yes"]["method"])
    assert "mine" not in set(table[table["test_set"] == "other"]["method"])
    alone = results_table(task_rows("t", {0: judged().on("test"), 1: judged(1).on("test")}, 30))
    own = table[table["test_set"] == "test"].reset_index(drop=True)
    pd.testing.assert_frame_equal(own, alone)  # control: the other sets change nothing of the own one's numbers
    assert {"t", "t on other", "t on half=yes"} == set(summary(table)["task"])


def test_a_trials_files_have_one_of_every_set_with_rows_of_its_own() -> None:
    more = trial_files({("boolq", 1): []}, {"boolq": ["hard"]}) - trial_files({("boolq", 1): []})
    assert more == {"labels/boolq-1@hard-test.jsonl", "predictions/boolq-1@hard.csv"}


def test_a_run_scores_every_set_keeps_its_files_and_reports_them(world: Path) -> None:
    settings = [f"data.tests.hard={world}/hard.jsonl", "data.subset=level"]
    settings += ['methods=["student-xent", "probe-knn", "filter-knn", "control-random:filter-knn"]', "probes.knn_k=5"]
    recipe = recipe_of(world, *settings)
    out = world / "out"
    results = run(recipe, out)
    methods = {"weak", "ceiling", "ceiling-knn", *recipe.methods}
    for test_set in ("test", "hard", "level=easy", "level=hard"):
        assert set(results[results["test_set"] == test_set]["method"]) == methods
    scores = pd.read_csv(out / PREDICTIONS / "own-0@hard.csv")
    value = results.set_index(["test_set", "method", "metric"])["value"]
    assert value["hard", "probe-knn", "auroc"] == pytest.approx(auroc(scores["truth"], scores["probe-knn"]))
    assert read_table(out / "labels" / "own-0@hard-test.jsonl")["label"].tolist() == scores["weak"].tolist()
    compared = pd.read_csv(out / "comparisons.csv")
    assert set(compared["test_set"]) == {"test", "hard", "level=easy", "level=hard"}
    page = write_report(out).read_text()
    for words in ("Test sets beside each other", "level=hard: AUROC", "hard: PGR"):
        assert words in page
    assert all(stage.kept for stage in stages(recipe, out))
    other = recipe_of(world, *settings[2:])
    assert not all(stage.kept for stage in stages(other, out))  # control: the rows that are scored are part of the key
    again = run(other, out)
    assert set(again["test_set"]) == {"test"}
    assert not list(out.rglob("*@hard*"))  # the earlier run's files
    assert "Test sets beside each other" not in write_report(out).read_text()


def test_a_plan_counts_the_rows_of_every_set(world: Path) -> None:
    plain, more = (
        plan_recipe(recipe_of(world, *settings), tokens_per_row=20)
        for settings in ([], [f"data.tests.other={world}/other.toml"])
    )
    assert more.models["strong"].lengths.tokens.size - plain.models["strong"].lengths.tokens.size == 120


def test_a_plan_without_files_counts_them_by_size(world: Path) -> None:
    (world / "mine.toml").write_text('like = "own.toml"\nstress = { distractor = { rate = 1, text = "!" } }\n')
    sizes = []
    for settings in ([], [f"data.tests.other={world}/other.toml"], [f'data.tasks=["{world}/mine.toml"]']):
        plan = plan_recipe(recipe_of(world, f"data.folder={world}/nowhere", *settings), tokens_per_row=20)
        sizes.append(plan.models["strong"].lengths.tokens.size)
    assert [size - sizes[0] for size in sizes] == [0, 120, 240]
