"""Stressed tasks: exact rates in training, plain test rows as the control, and test sets of the same kind."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyses.experiment.row_sets import RowSets
from analyses.experiment.splits import split_task
from analyses.experiment.stress import with_share
from analyses.protocol import run
from analyses.recipe.read import read_recipe
from tests.conftest import ROOT
from tests.worlds.experiments import SMALL
from w2s_probes import InputError
from w2s_probes.io.tables import read_table, write_table
from w2s_probes.rows.groups import GROUP

Make = Callable[..., dict[int, RowSets]]
MARK = "(seen by an expert)"
DISTRACTOR = f'distractor = {{ rate = 0.8, text = "{MARK}" }}'
PRICE = ROOT / "data" / "miniature" / "rows" / "miniature_price"
TAUGHT = ("weak", "train", "val")


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """The row sets of a task file like the miniature's price with this stress, by seed."""

    def row_sets(stress: str, *settings: str, like: str = "miniature_price") -> dict[int, RowSets]:
        content = f'like = "{like}"\n' + (f"[stress]\n{stress}\n" if stress else "")
        (tmp_path / "mine.toml").write_text(content)
        given = [*SMALL, "seeds=[0, 1]", f'data.tasks=["{tmp_path}/mine.toml"]', *settings]
        return split_task(read_recipe("demo", given), str(tmp_path / "mine.toml"))

    return row_sets


def plain_sets() -> dict[int, RowSets]:
    return split_task(read_recipe("demo", [*SMALL, "seeds=[0, 1]"]), "miniature_price")


def taught(sets: RowSets) -> dict[str, pd.DataFrame]:
    return {part: sets.tables[part] for part in TAUGHT}


@pytest.mark.parametrize("stress", [DISTRACTOR, "no_answer = 0.2", "imbalance = 0.1"])
def test_the_test_rows_stay_those_of_the_plain_task(make: Make, stress: str) -> None:
    plain = plain_sets()
    for seed, sets in make(stress).items():
        pd.testing.assert_frame_equal(sets.test, plain[seed].test)


def test_a_task_like_another_without_stress_is_that_task(make: Make) -> None:
    plain = plain_sets()
    for seed, sets in make("").items():
        for name, table in sets.tables.items():
            pd.testing.assert_frame_equal(table, plain[seed].tables[name])


def test_a_distractor_is_in_an_exact_share_of_one_class_by_seed_and_in_the_other_one_where_it_is_reversed(
    make: Make,
) -> None:
    by_seed, plain = make(DISTRACTOR), plain_sets()
    marked: dict[int, list[str]] = {}
    for seed, sets in by_seed.items():
        for part, table in taught(sets).items():
            with_it = table["text"].str.endswith(MARK)
            assert with_it.sum() == round(0.8 * (table["label"] == 1).sum())
            assert not with_it[table["label"] == 0].any()
            before = plain[seed].tables[part]
            assert (table["text"].str.removesuffix(" " + MARK) == before["text"]).all()
            assert ((table["id"] == before["id"]) == ~with_it).all()  # other texts are other rows
            assert (table[GROUP] == before[GROUP]).all()
            assert table["id"].is_unique
        marked[seed] = sets.train["text"][sets.train["text"].str.endswith(MARK)].tolist()
        assert list(sets.tests) == ["distractor", "distractor-reversed"]
        for name, label in (("distractor", 1), ("distractor-reversed", 0)):
            test = sets.tests[name]
            with_it = test["text"].str.endswith(MARK)
            assert with_it.sum() == round(0.8 * (test["label"] == label).sum())
            assert (test["label"][with_it] == label).all()
    assert marked[0] != marked[1]
    for seed, sets in make(DISTRACTOR).items():
        pd.testing.assert_frame_equal(sets.train, by_seed[seed].train)
    pd.testing.assert_frame_equal(by_seed[0].tests["distractor"], by_seed[1].tests["distractor"])


def test_a_distractor_may_stand_around_the_text(make: Make) -> None:
    sets = make('distractor = { rate = 1, text = "Fact: {text}!", label = 0 }')[0]
    with_it = sets.train["text"].str.startswith("Fact: ") & sets.train["text"].str.endswith("!")
    assert (with_it == (sets.train["label"] == 0)).all()


@pytest.mark.parametrize("share", [0.1, 0.37, 0.9])
def test_imbalance_is_exact_in_every_set_that_is_trained_on(make: Make, share: float) -> None:
    for sets in make(f"imbalance = {share}").values():
        for table in taught(sets).values():
            assert table["label"].sum() == round(share * len(table))
        groups = [set(table[GROUP]) for table in taught(sets).values()]
        assert not groups[0] & groups[1] | groups[1] & groups[2] | groups[0] & groups[2]
        assert sets.test["label"].mean() == pytest.approx(0.5, abs=0.08)
        judged = sets.test["label"][sets.subsets["imbalance"]]
        assert judged.mean() == pytest.approx(share, abs=0.5 / len(judged) + 1e-9)


def test_imbalance_of_a_small_task_makes_its_sets_smaller(make: Make) -> None:
    (sets, _) = make("imbalance = 0.9", "data.n_train=1900", "data.at_most=true").values()
    assert 500 < len(sets.train) < 1900
    for table in taught(sets).values():
        assert abs(table["label"].sum() - 0.9 * len(table)) <= 0.5


def test_imbalance_with_groups_keeps_sizes_and_rates(tmp_path: Path) -> None:
    rows = read_table(PRICE / "train.jsonl.gz")
    (tmp_path / "g").mkdir()
    for part, start in (("train", 0), ("test", 1200)):
        part_rows = rows.iloc[start : start + 1200].reset_index(drop=True)
        write_table(
            part_rows.assign(of=[f"{part} {i // 3}" for i in range(len(part_rows))]), tmp_path / "g" / f"{part}.jsonl"
        )
    task = (
        'text = "{text}"\nlabel = { field = "label", positive = [1] }\ngroup = ["of"]\nstress = { imbalance = 0.2 }\n'
    )
    (tmp_path / "g.toml").write_text(task)
    given = [*SMALL, f"data.folder={tmp_path}", f'data.tasks=["{tmp_path}/g.toml"]', "data.n_test=100"]
    (sets,) = split_task(read_recipe("demo", given), str(tmp_path / "g.toml")).values()
    assert [len(table) for table in taught(sets).values()] == [150, 300, 100]
    assert [int(table["label"].sum()) for table in taught(sets).values()] == [30, 60, 20]
    assert not set(sets.weak[GROUP]) & set(sets.train[GROUP])


def test_the_share_of_a_subset_is_exact() -> None:
    for share in (0.05, 0.3, 0.5, 0.8):
        labels = np.tile([1, 0, 0, 1, 1], 100)
        mask = with_share(labels, share)
        assert abs(labels[mask].sum() - share * mask.sum()) < 1
        assert mask.sum() >= 200 * min(1, 1 / max(share, 1 - share) / 2)


def test_rows_without_an_answer_are_an_exact_share_of_the_same_words_and_keep_their_labels(make: Make) -> None:
    plain = plain_sets()
    for seed, sets in make("no_answer = 0.25").items():
        for part, table in [*taught(sets).items(), ("test", sets.tests["no-answer"])]:
            before = plain[seed].tables[part]
            changed = table["text"] != before["text"]
            assert changed.sum() == round(0.25 * len(table))
            assert (table["label"] == before["label"]).all()
            lengths = [texts["text"][changed].str.count(" ").tolist() for texts in (table, before)]
            assert lengths[0] == lengths[1]
            words = set(" ".join(before["text"]).split())
            assert set(" ".join(table["text"][changed]).split()) <= words


def test_no_text_model_can_tell_the_label_of_a_row_whose_answer_is_gone(make: Make) -> None:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    sets = make("no_answer = 0.5", "data.n_test=800")[0]
    whole = plain_sets()[0]
    reader = make_pipeline(CountVectorizer(), LogisticRegression(max_iter=500))
    rows = pd.concat([whole.train, whole.weak])
    reader.fit(rows["text"], rows["label"])
    gone = sets.tests["no-answer"]
    changed = (gone["text"] != sets.test["text"]).to_numpy()
    right = reader.predict(gone["text"]) == gone["label"]
    assert right[changed].mean() == pytest.approx(0.5, abs=0.09)  # 400 rows: ±.05
    assert right[~changed].mean() > 0.8  # control


@pytest.mark.parametrize(("rule", "easy"), [("shortest = 0.6", "short"), ("longest = 0.6", "long")])
def test_only_easy_rows_are_trained_on_and_the_hard_ones_are_a_test_set(make: Make, rule: str, easy: str) -> None:
    rows = read_table(PRICE / "train.jsonl.gz")["text"].str.len()
    for sets in make(f"easy_only = {{ {rule} }}").values():
        lengths = pd.concat([table["text"] for table in taught(sets).values()]).str.len()
        limit = np.quantile(rows, 0.6 if easy == "short" else 0.4)
        assert (lengths <= limit + 3).all() if easy == "short" else (lengths >= limit - 3).all()
        hard = sets.test["text"][sets.subsets["hard"]].str.len()
        assert (hard.min() > lengths.max()) if easy == "short" else (hard.max() < lengths.min())
        assert (sets.subsets["easy"] == ~sets.subsets["hard"]).all()
        assert 0.2 < sets.subsets["hard"].mean() < 0.6


def test_easy_rows_may_be_told_by_a_field(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    for part in ("train", "test"):
        rows = read_table(PRICE / f"{part}.jsonl.gz")
        write_table(rows.assign(level=np.arange(len(rows)) % 3), tmp_path / "f" / f"{part}.jsonl")
    task = 'text = "{text}"\nlabel = { field = "label", positive = [1] }\n'
    (tmp_path / "f.toml").write_text(task + 'stress = { easy_only = { field = "level", values = [0, 1.0] } }\n')
    given = [*SMALL, f"data.folder={tmp_path}", f'data.tasks=["{tmp_path}/f.toml"]']
    (sets,) = split_task(read_recipe("demo", given), str(tmp_path / "f.toml")).values()
    level = pd.concat([read_table(tmp_path / "f" / f"{p}.jsonl") for p in ("train", "test")]).set_index("text")["level"]
    assert set(pd.concat([table["text"] for table in taught(sets).values()]).map(level)) == {0, 1}
    assert set(sets.test["text"][sets.subsets["hard"]].map(level)) == {2}


@pytest.mark.parametrize(
    ("stress", "message"),
    [
        ("", None),
        ('distractor = { rate = 0, text = "x" }', r"stress\.distractor\.rate"),
        ("distractor = { rate = 0.5 }", r"stress\.distractor\.text"),
        ('distractor = { rate = 0.5, txt = "x" }', r"unknown key 'stress\.distractor\.txt'; did you mean 'text'"),
        ("imbalance = 1.0", r"stress\.imbalance"),
        ("imbalance = 0.1\nno_answer = 0.2", r"give one of .* a task file; imbalance and no_answer are given"),
        ("easy_only = { }", r"stress\.easy_only: give one rule: field and values, or shortest, or longest"),
        ('easy_only = { field = "level" }', r"field and values belong together"),
        ('easy_only = { field = "level", values = [1] }', r"no field 'level'; it has 'text', 'label'"),
        ('easy_only = { field = "label", values = ["none"] }', r"0 of \d+ training rows are easy"),
        ('easy_only = { field = "label", values = [1] }', r"mine: train has one class only"),
        ("imbalance = 0.999", r"mine: the weak-train set of 150 rows has one class only"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(make: Make, stress: str, message: str | None) -> None:
    if message is None:
        make(stress)
        return
    with pytest.raises(InputError, match=message) as error:
        make(stress)
    assert "\n" not in str(error.value)


def test_too_few_rows_of_a_class_say_how_many_are_lacking(make: Make) -> None:
    with pytest.raises(InputError, match=r"mine: stress\.imbalance = 0\.98: \d+ rows of label 1 are lacking for \d+"):
        make("imbalance = 0.98", "data.n_train=2000")


def test_a_task_like_one_that_is_like_another_is_refused(make: Make, tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text('like = "miniature_price"\n')
    with pytest.raises(InputError, match="is like 'miniature_price' itself: name that one"):
        make("", like="base.toml")
    with pytest.raises(InputError, match="task 'miniature_prize': no file"):
        make("", like="miniature_prize")


def test_a_recipes_own_set_may_not_have_the_name_of_a_stressed_one(make: Make) -> None:
    with pytest.raises(InputError, match=r"data\.tests\.distractor: the stress of mine has a test set of this name"):
        make(DISTRACTOR, "data.tests.distractor=miniature_mood")


def test_a_plain_task_and_its_stressed_twin_run_side_by_side(make: Make, tmp_path: Path) -> None:
    make(DISTRACTOR.replace("0.8", "1"))
    tasks = f'data.tasks=["miniature_price", "{tmp_path}/mine.toml"]'
    results = run(read_recipe("demo", [*SMALL, 'methods=["student-xent"]', tasks]), tmp_path / "out")
    value = results[results["metric"] == "auroc"].set_index(["task", "test_set", "method"])["value"]
    assert value["mine", "distractor", "ceiling"] > 0.98
    assert value["mine", "distractor-reversed", "ceiling"] < value["mine", "test", "ceiling"] - 0.1
    assert value["miniature_price", "test", "ceiling"] > value["mine", "distractor-reversed", "ceiling"] + 0.1


def test_the_pages_run_as_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, tasks = ((ROOT / name).read_text() for name in ("docs/experiments.md", "data/README.md"))
    (recipe,) = re.findall(r"```toml\n(seeds = \[0\]\n.*?)```", page, flags=re.DOTALL)
    name, task = re.findall(r"```toml\n# (price_with_a_mark\.toml)\n(.*?)```", tasks, flags=re.DOTALL)[0]
    (tmp_path / name).write_text(task)
    (tmp_path / "recipe.toml").write_text(recipe)
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    results = run(read_recipe(tmp_path / "recipe.toml"), tmp_path / "out")
    assert set(results["task"]) == {"miniature_price", "price_with_a_mark"}
    assert set(results["test_set"]) == {"test", "distractor", "distractor-reversed"}
