"""Methods of the contrast-consistent probe: their pairs, controls and keys; what is planned, run and refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from analyses.costs import PAIRS, plan_recipe
from analyses.dry_run import stages
from analyses.experiment.kept_methods import method_description
from analyses.experiment.row_sets import RowSets
from analyses.lessons.lesson import Leak, Misuse
from analyses.methods import METHODS, find_method, find_methods
from analyses.protocol import run
from analyses.results.names import ceiling_of
from extract.extractor import Extraction
from extract.tasks import load_task
from extract.tasks.contrast import unknown_words
from tests.worlds.experiments import experiment, outcome_by, small_recipe, truth_of_planted
from w2s_probes import ActivationStore, InputError, LogisticProbe
from w2s_probes.metrics.recovery import mean_metric
from w2s_probes.rows.folds import fold_numbers
from w2s_probes.store import PairedStore
from w2s_probes.sweep import sweep

TEMPLATES = ["{text} quiet", "{text} noisy"]


def by_hand(X: NDArray[Any], y: NDArray[Any], new: NDArray[Any]) -> NDArray[np.float64]:
    """CRC-TPC by NumPy's SVD, and a calibration on weak labels by scikit-learn."""
    varies = np.tile(np.logical_and(*np.split(X.std(axis=0) > 1e-6, 2)), 2)
    X, new, half = X[:, varies], new[:, varies], varies.sum() // 2
    means, deviations = X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64)
    difference, other = (
        ((rows - means) / deviations)[:, :half] - ((rows - means) / deviations)[:, half:] for rows in (X, new)
    )
    theta = np.linalg.svd(difference, full_matrices=False)[2][0]
    s, t = difference @ theta, other @ theta
    penalty = 1 / (2 * len(s) * 1e-3)
    fitted = LogisticRegression(C=penalty, tol=1e-10).fit((s / s.std())[:, None], (y > 0.5).astype(int))
    return np.asarray(fitted.predict_proba((t / s.std())[:, None])[:, 1])


def test_scores_are_those_of_the_closed_form_and_of_training_rows_out_of_fold(tmp_path: Path) -> None:
    groups = np.repeat(np.arange(150), 2).astype(str)
    made = experiment(tmp_path, groups=groups)
    assert made.pairs is not None
    X, y = made.pairs.of(made.rows["train"]), made.weak_train
    new = made.pairs.of(made.rows["test"])
    outcome = outcome_by("probe-contrast", made)
    assert outcome.scores["test"] == pytest.approx(by_hand(X, y, new), abs=1e-3)
    assert (outcome.probe, outcome.k, outcome.l2) == ("contrast", None, None)
    fold = fold_numbers(X, y, groups=groups)
    expected = np.empty(300)
    for number in range(5):
        out = fold == number
        expected[out] = by_hand(X[~out], y[~out], X[out])
    assert made.out_of_sample_scores("contrast") == pytest.approx(expected, abs=1e-3)
    assert all(len(set(fold[groups == group])) == 1 for group in groups)
    assert made.filtered("contrast").mask.sum() == 270


def test_the_control_without_sides_is_chance_and_the_other_reads_the_same_pairs(tmp_path: Path) -> None:
    made = experiment(tmp_path)
    truth = np.array([float(int(name.partition("-")[2]) % 2) for name in made.rows["test"]["id"]])
    swapped = outcome_by("control-swapped-sides", made).scores["test"]
    assert swapped.shape == (5, 200)
    assert len({draw.tobytes() for draw in swapped}) == 5
    assert 0.4 < mean_metric("auroc", truth, swapped) < 0.6
    assert made.pairs is not None
    X, new = (made.pairs.of(made.rows[name]) for name in ("train", "test"))
    for name, labels in (
        ("control-logistic-pairs", made.weak_train),
        ("ceiling-contrast", truth_of_planted().values(made.rows["train"]["id"].to_numpy())),
    ):
        expected = LogisticProbe(1e-2).fit(X, labels).predict_proba(new)[:, 1]
        assert outcome_by(name, made).scores["test"] == pytest.approx(expected, abs=1e-6)


def test_methods_of_pairs_say_so_and_are_kept_by_the_templates(tmp_path: Path) -> None:
    names = {name for name, method in METHODS.items() if method.pairs}
    assert names >= {f"{begin}-contrast" for begin in ("ceiling", "probe", "filter", "relabel", "filter-relabel")}
    assert names >= {"control-swapped-sides", "control-logistic-pairs"}
    assert {name for name in METHODS if name.endswith("-contrast")} <= names
    assert [name for name in names if METHODS[name].oracle] == ["ceiling-contrast"]
    assert list(find_methods(["control-swapped-sides"])) == ["ceiling-contrast", "control-swapped-sides"]
    assert find_method("control-random:filter-contrast").pairs
    made = experiment(tmp_path)
    with pytest.raises(Leak):
        METHODS["ceiling-contrast"].run(made)
    with pytest.raises(Misuse, match="reads contrast pairs, which it has not declared"):
        outcome_by("probe-contrast", replace(made, pairs=None))
    other = replace(made, pairs=replace(made.pairs, identity={"contrast": ["{text} no", "{text} yes"]}))  # type: ignore
    table = made.rows["train"].assign(label=1.0)
    sets = RowSets(table, table, table, table)
    keys = [method_description("m", METHODS["probe-contrast"], view, sets) for view in (made, other)]
    assert keys[0] != keys[1]
    assert made.pair_key("contrast") != other.pair_key("contrast")
    assert not made.pair_key("knn")


def test_every_method_is_shown_beside_the_ceiling_that_its_pgr_is_by() -> None:
    for name, method in METHODS.items():
        if not method.oracle:
            assert ceiling_of(name) == method.ceiling, name


SMALL = ["data.n_train=200", "data.n_val=60", "data.n_test=200", "student.epochs=5", "weak.n_truth=60"]
NAMES = "methods=['student-xent','probe-contrast','control-swapped-sides','filter-contrast']"


def task_file(folder: Path, contrast: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "sound_pairs.toml"
    path.write_text(f'like = "miniature_sound"\ncontrast = {contrast}\n')
    return path


def test_a_run_reads_both_sides_once_and_its_store_serves_the_other_commands(tmp_path: Path) -> None:
    task = task_file(tmp_path, TEMPLATES)
    recipe = small_recipe(*SMALL, NAMES, f"data.tasks=['{task}']")
    plan = plan_recipe(recipe)
    assert plan.models[PAIRS].costs.rows == 2 * plan.models["strong"].costs.rows
    by_size = plan_recipe(recipe, tokens_per_row=50)
    assert by_size.models[PAIRS].costs.rows == 2 * by_size.models["strong"].costs.rows
    results = run(recipe, tmp_path / "run", cache=tmp_path)
    of_test: Any = results[results["metric"] == "auroc"].set_index("method")
    assert of_test.loc["probe-contrast", "probe"] == "contrast"
    assert not of_test.loc["probe-contrast", "oracle"]
    assert of_test.loc["probe-contrast", "value"] > of_test.loc["control-swapped-sides", "value"] + 0.1
    pgr: Any = results[results["metric"] == "pgr_auroc"].set_index("method")
    assert {"probe-contrast", "control-swapped-sides", "filter-contrast"} <= set(pgr.index)
    found = {stage.name: stage.kept for stage in stages(recipe, tmp_path)}
    assert all(found.values())
    (folder,) = (tmp_path / "contrast").glob("*/*")
    store = PairedStore(ActivationStore.open(folder))
    assert f"activations of contrast pairs of {2 * len(store)} of {2 * len(store)} rows" in found
    rows = load_task(str(task), recipe.data.folder).test.head(3)
    rows = rows[rows["id"].isin(store.ids)]
    layer = store.layers[0]
    for side, template in enumerate(TEMPLATES):  # the very texts, read by the model themselves
        texts = rows.assign(text=[template.replace("{text}", text) for text in rows["text"]])
        Extraction.plan(recipe.strong.model, texts, layers=layer).run(tmp_path / f"side{side}")
        expected = ActivationStore.open(tmp_path / f"side{side}").layer(layer)
        got = np.split(store.layer(layer, ids=rows["id"].tolist()), 2, axis=1)[side]
        np.testing.assert_allclose(got, expected, atol=1e-4)
    table = sweep(store.sides, tmp_path / "run" / "labels" / "sound_pairs-0-weak.jsonl", contrast=True).table
    assert table.loc[(table["probe"] == "contrast") & (table["metric"] == "auroc"), "value"].notna().all()
    other = small_recipe(*SMALL, NAMES, f"data.tasks=['{task_file(tmp_path / 'other', TEMPLATES[::-1])}']")
    assert not next(s for s in stages(other, tmp_path) if "contrast pairs" in s.name).kept  # ids are the same


def test_a_task_without_pairs_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    recipe = small_recipe(NAMES)
    said = r"'probe-contrast' reads contrast pairs, and task 'miniature_price' has none: give it `contrast`, such as"
    for refused in (plan_recipe, lambda one: stages(one, tmp_path), lambda one: run(one, tmp_path)):
        with pytest.raises(InputError, match=said.replace("'probe-contrast'", "method '[a-z-]+'")):
            refused(recipe)
    assert not list(tmp_path.iterdir())


def test_words_that_the_model_does_not_know_are_named_before_anything_is_made(tmp_path: Path) -> None:
    for contrast, unknown in (
        (["{text} Yes", "{text} No"], "'Yes' of its contrast '{text} Yes'"),
        (["quiet {text}", "noisy {text} Never Ever"], "'Never', 'Ever' of its contrast 'noisy {text} Never Ever'"),
    ):
        recipe = small_recipe(*SMALL, NAMES, f"data.tasks=['{task_file(tmp_path / 'tasks', contrast)}']")
        for refused in (plan_recipe, lambda one: stages(one, tmp_path / "out"), lambda one: run(one, tmp_path / "out")):
            with pytest.raises(InputError, match=r"task 'sound_pairs': the tokenizer of .* does not know ") as caught:
                refused(recipe)
            assert unknown in str(caught.value)
    assert not (tmp_path / "out").exists()
    without = small_recipe(*SMALL, f"data.tasks=['{task_file(tmp_path / 'tasks', contrast)}']")
    assert plan_recipe(without)  # no method of it reads pairs


def test_a_template_is_looked_at_word_by_word_and_the_texts_own_words_are_not() -> None:
    class Tokenizer:
        unk_token_id: int | None = 7

        def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
            assert not add_special_tokens
            return {"input_ids": [7 if word.startswith("x") else 1 for word in text.split("-")]}

    assert unknown_words(Tokenizer(), "{text} a-b xc {text}xd a-xe xc") == ["xc", "xd", "a-xe"]
    nothing_unknown = Tokenizer()
    nothing_unknown.unk_token_id = None
    assert unknown_words(nothing_unknown, "{text} xc") == []
