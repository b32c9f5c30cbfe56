"""Several raters in a recipe: files and trained supervisors combined, trusted rows counted, disputed ones filtered."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.experiment.splits import split_task
from analyses.protocol import run
from analyses.report.load.folder import read_folder
from analyses.report.page import page
from analyses.report.views.cards import cards
from analyses.report.views.raters import rater_view
from analyses.supervisors.rater_scores import DISAGREEMENT, RATERS, TEST_SCORES, TRUSTED_READ
from tests.worlds.rated import SENSITIVITY, SPECIFICITY
from tests.worlds.supervising import HEAD, MINIATURE, labels_by, recipe_with
from w2s_probes import InputError
from w2s_probes.io.tables import read_table, write_table
from w2s_probes.raters import disagreement

TASK = "miniature_price"
METHODS = 'methods=["student-xent", "filter-raters", "control-random:filter-raters"]'
LEAN = ("student.epochs=5", "data.n_train=200", "data.n_val=60", "data.n_test=150")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Label files by three raters of known rates for every text of the task; each lacks a tenth of the rows."""
    folder, rng = tmp_path_factory.mktemp("files"), np.random.default_rng(0)
    rows = pd.concat([read_table(MINIATURE / "rows" / TASK / f"{part}.jsonl.gz") for part in ("train", "test")])
    rows = rows.drop_duplicates("text").reset_index(drop=True)
    truth = rows["label"].to_numpy(float)
    for j, name in enumerate("abc"):
        right = np.where(truth == 1, SENSITIVITY[j], SPECIFICITY[j])
        said = np.where(rng.random(len(rows)) < right, truth, 1 - truth)
        # Of each row one rater at most says nothing.
        kept = np.arange(len(rows)) % 30 != 10 * j
        write_table(rows[["text"]].assign(label=said)[kept], folder / f"{name}.jsonl")
    return [str(folder / f"{name}.jsonl") for name in "abc"]


def members(files: list[str], *more: dict[str, Any]) -> list[dict[str, Any]]:
    return [*({"kind": "labels", "file": file} for file in files), *more]


def test_label_files_alone_take_no_row_for_weak_train(files: list[str], tmp_path: Path) -> None:
    weak = {"kind": "ensemble", "by": "dawid-skene", "members": members(files)}
    sets, labels = labels_by(recipe_with(tmp_path, weak), tmp_path / "kept")
    assert sets.weak.empty
    assert np.isnan(labels[TEST_SCORES]).sum() == pytest.approx(0.1 * 250, abs=12)
    # The raters are as accurate as they were planted, by the training rows without their truth.
    found = labels[RATERS]
    assert found[:, 4] == pytest.approx(SENSITIVITY[:3], abs=0.2)
    assert ((found[:, 5] <= found[:, 4]) & (found[:, 4] <= found[:, 6])).all()
    assert labels[TRUSTED_READ].tolist() == [0]
    assert len(labels[DISAGREEMENT]) == 250
    assert np.unique(labels[DISAGREEMENT].round(3)).tolist() == [0, 0.471, 0.5]


def test_weights_are_learned_from_the_fifth_of_weak_train_that_no_member_learns(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weak = {"kind": "ensemble", "by": "weights", "members": members(files, {"kind": "text"})}
    recipe = recipe_with(tmp_path, weak)
    sets, labels = labels_by(recipe, tmp_path / "kept")
    assert labels[TRUSTED_READ].tolist() == [20]
    assert labels[RATERS][:, 1].sum() == pytest.approx(1)
    # Their truth moves the weights, and no member: not even the one that learns from the rest of weak-train.
    from analyses.supervisors.held_out import held_out_rows

    held = held_out_rows(sets.weak, TASK, 0)
    turned = sets.weak.assign(label=np.where(held, 1 - sets.weak["label"], sets.weak["label"]))
    monkeypatch.setattr("tests.worlds.supervising.split_task", lambda *_: {0: sets.with_tables({"weak": turned})})
    _, other = labels_by(recipe, tmp_path / "turned")
    assert np.array_equal(other[TEST_SCORES], labels[TEST_SCORES], equal_nan=True)
    assert other[RATERS][:3, 1] == pytest.approx(-labels[RATERS][:3, 1], abs=0.15)
    agreed = recipe_with(tmp_path / "b", weak | {"trusted": False})
    assert labels_by(agreed, tmp_path / "agreed")[1][TRUSTED_READ].tolist() == [0]


def test_a_run_counts_trusted_rows_filters_disputed_ones_and_reports_the_raters(
    files: list[str], tmp_path: Path
) -> None:
    weak = {"kind": "ensemble", "by": "weights", "members": members(files[:2], {"kind": "boosted", "rounds": 10})}
    recipe = recipe_with(tmp_path, weak, METHODS, "probes.contamination=0.2", *LEAN)
    results = run(recipe, tmp_path / "out", cache=tmp_path / "kept")
    auroc = results[results["metric"] == "auroc"].set_index("method")
    assert auroc.loc["weak", "trusted"] == 20
    assert auroc.loc["student-xent", "trusted"] == 0
    (made,) = json.loads((tmp_path / "out" / "run.json").read_text())["runs"].values()
    assert [line["rater"] for line in made["raters"]] == ["labels a", "labels b", "boosted"]
    assert all(line["weight_low"] <= line["weight"] <= line["weight_high"] for line in made["raters"])
    assert made["disagreement"]["rows"] == 200
    verdicts = read_table(tmp_path / "out" / "filters" / f"{TASK}-0-filter-raters.jsonl.gz")
    gone = verdicts[verdicts["keep"].map(str) == "False"]
    assert len(gone) == 40
    assert set(gone["reason"]) == {"raters disagree"}
    assert set(gone["probe"]) == {"raters"}
    (found,) = read_folder(tmp_path / "out").runs
    view = rater_view(found)
    assert view is not None
    assert view.table is not None
    assert [row[1].text for row in view.table.rows] == ["labels a", "labels b", "boosted"]
    assert "raters disagree by" in view.lines[0]
    card = next(card for card in cards(found.filtered, found.record["runs"]) if card.name == "filter-raters")
    assert (card.probe, card.layer, card.removed, card.asked) == ("raters", "", 40, 40)
    assert {example.p for example in card.examples} == {None}  # disagreement is no distance to a probe's P
    html = page(read_folder(tmp_path / "out"))
    assert "Raters combined by weights, by task" in html
    assert "filter-raters" in html


def test_a_combined_file_is_a_supervisor_whose_disputed_rows_can_be_filtered(files: list[str], tmp_path: Path) -> None:
    tables = [read_table(file).set_index("text")["label"].astype(float) for file in files]
    p = pd.concat(tables, axis=1)
    table = pd.DataFrame({"text": p.index, "label": p.mean(axis=1).to_numpy()})
    write_table(table.assign(disagreement=disagreement(p.to_numpy())), tmp_path / "combined.csv")
    weak = {"kind": "labels", "file": str(tmp_path / "combined.csv")}
    recipe = recipe_with(tmp_path, weak, METHODS, *LEAN)
    results = run(recipe, tmp_path / "out")
    assert "filter-raters" in set(results["method"])
    (found,) = read_folder(tmp_path / "out").runs
    view = rater_view(found)
    assert view is not None
    assert view.table is None
    write_table(table, tmp_path / "combined.csv")
    with pytest.raises(InputError, match="'filter-raters' cannot be used here: there is one supervisor here"):
        run(recipe, tmp_path / "other")


WEIGHTS = "weak={kind='ensemble', by='weights', trusted=false, members=[{kind='text'}, {kind='text'}]}"
REFUSED = {
    "one rater": ("weak={kind='text'}", "method 'filter-raters' needs several raters, and weak.kind = 'text' is one"),
    "two by agreement": (WEIGHTS, "weights by agreement need three members: two agree equally well"),
    "trusted mean": (
        "weak={kind='ensemble', trusted=true, members=[{kind='text'}, {kind='text'}]}",
        "trusted is of by = 'weights': by = 'mean' takes none",
    ),
    "prior": (
        "weak={kind='ensemble', members=[{kind='text'}, {kind='prior', model='m'}]}",
        "members are of kind 'text', 'head', 'finetune', 'lm', 'boosted' or 'labels'",
    ),
    "no such rule": ("weak={kind='ensemble', by='vote', members=[{kind='text'}, {kind='text'}]}", "weak.by: input"),
    "boosted file": ("weak={kind='boosted', file='x'}", "kind = 'boosted' takes no `file`"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_recipes_that_cannot_be_are_refused(case: str, tmp_path: Path) -> None:
    setting, said = REFUSED[case]
    with pytest.raises(InputError, match=said):
        run(recipe_with(tmp_path, {"kind": "text"}, METHODS, setting), tmp_path / "out")


def test_raters_that_cannot_be_combined_are_refused_by_name(files: list[str], tmp_path: Path) -> None:
    recipe = recipe_with(tmp_path, {"kind": "labels", "file": files[0]})
    (sets,) = split_task(recipe, TASK).values()
    few, ones = tmp_path / "few.csv", tmp_path / "ones.csv"
    known = pd.concat([sets.train[:150], sets.val, sets.test])
    write_table(known[["text"]].assign(label=known["label"] * 0.8), few)
    write_table(known[["text"]].assign(label=1), ones)
    weak = {"kind": "ensemble", "members": members([str(few), str(few)])}
    with pytest.raises(InputError, match="no member of the ensemble labels 100 of the 250 rows of train, first"):
        labels_by(recipe_with(tmp_path / "a", weak), tmp_path / "kept")
    weak = {"kind": "ensemble", "members": members([files[0], str(ones), files[2]])}
    with pytest.raises(InputError, match="labels ones: says 1 of every row, which tells no row from another"):
        labels_by(recipe_with(tmp_path / "b", weak), tmp_path / "kept")
    # A file without the rows of weak-train has no weight to learn; the message names what to give.
    weak = {"kind": "ensemble", "by": "weights", "members": members([str(few), files[1]], {"kind": "text"})}
    (drawn,) = split_task(recipe_with(tmp_path / "c", weak), TASK).values()
    known = pd.concat([drawn.train, drawn.val, drawn.test])
    write_table(known[["text"]].assign(label=known["label"] * 0.8), few)
    with pytest.raises(InputError, match=r"labels few: has judged no trusted row of label 0"):
        labels_by(recipe_with(tmp_path / "c", weak), tmp_path / "kept")


def test_the_head_of_an_ensemble_and_files_have_names_apart() -> None:
    from analyses.supervisors.ensembles import member_names

    named = member_names({"members": [{"kind": "text"}, {"kind": "text"}, HEAD, {"kind": "labels", "file": "x/y.csv"}]})
    assert named == ["text (1)", "text (2)", "head weak", "labels y"]
