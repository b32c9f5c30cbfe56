"""Drawing, answering and folding: what comes back is the draw, and answers become estimates."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.worlds.audited import DRAWN, GIVEN, WORLD, N, P, answered
from w2s_probes import InputError, LabelSet
from w2s_probes.auditing import AuditRows, draw_audit, fold_audit, read_audit_rows, write_audit
from w2s_probes.auditing.audit_files import labeling_config
from w2s_probes.io.tables import write_table


@pytest.mark.parametrize("by", ["uniform", "stratified", "disagreement"])
def test_answers_become_estimates_that_hold_the_truth(by: Any, fold: Callable[..., Any]) -> None:
    audit = draw_audit(GIVEN, n=DRAWN, by=by, p=P)
    found = fold(answered(audit), p=P)
    wrong = (WORLD["label"] > 0.5) != (WORLD["truth"] > 0.5)
    for estimate in (found.horvitz_thompson, found.hajek, found.model.noise):
        assert estimate.low <= wrong.mean() <= estimate.high
    assert (found.n, found.drawn, found.audited, found.model.status) == (N, DRAWN, DRAWN, "ok")
    assert found.contamination.value == found.model.noise.value
    assert found.table.columns.tolist() == [*GIVEN.columns, "truth", "inclusion_probability", "audit_stratum"]
    assert found.table.set_index("id")["truth"].equals(
        WORLD.set_index("id")["truth"].loc[found.table["id"]].astype(float)
    )
    assert found.to_frame()["oracle"].isin([True, False]).all()
    without = fold(answered(audit))
    assert not without.prediction_powered
    assert np.isnan(without.model.auroc.value)
    assert without.hajek == found.hajek  # what a probe says does not enter


@given(
    order=st.permutations(range(N)),
    seed=st.integers(0, 3),
    by=st.sampled_from(["uniform", "stratified", "disagreement"]),
)
@settings(max_examples=5, deadline=None)
def test_neither_the_order_of_the_labels_nor_that_of_the_answers_matters(order: list[int], seed: int, by: Any) -> None:
    first = draw_audit(GIVEN, n=DRAWN, by=by, p=P, seed=seed)
    turned = draw_audit(GIVEN.iloc[order], n=DRAWN, by=by, p=P[order], seed=seed)
    assert turned.table.equals(first.table)
    table = answered(first)
    mixed = AuditRows.of(table.iloc[np.argsort(order[:DRAWN])], "mixed")
    one, other = (fold_audit(rows, GIVEN.iloc[order], p=P[order]) for rows in (AuditRows.of(table, "done"), mixed))
    assert one.to_frame().equals(other.to_frame())


def test_scores_are_joined_by_id_where_they_have_ids() -> None:
    order = np.random.default_rng(0).permutation(N)
    scores = LabelSet(GIVEN["id"].to_numpy(dtype=object)[order], P[order])
    audit = draw_audit(GIVEN, n=DRAWN, by="disagreement", p=scores)
    assert audit.table.equals(draw_audit(GIVEN, n=DRAWN, by="disagreement", p=P).table)
    rows = AuditRows.of(answered(audit), "done")
    assert fold_audit(rows, GIVEN, p=scores).to_frame().equals(fold_audit(rows, GIVEN, p=P).to_frame())
    for bad in (LabelSet(scores.ids[1:], scores.p[1:]), P[1:], P + 1):
        with pytest.raises(InputError):
            draw_audit(GIVEN, n=DRAWN, by="disagreement", p=bad)


def test_seeds_draw_other_rows_and_one_seed_the_same() -> None:
    ids = [draw_audit(GIVEN, n=DRAWN, by="disagreement", p=P, seed=seed).table["id"].tolist() for seed in (0, 0, 1)]
    assert ids[0] == ids[1]
    assert set(ids[0]) != set(ids[2])


def test_weak_labels_are_shown_on_demand_only_and_no_stratum_names_one() -> None:
    blind = draw_audit(GIVEN, n=DRAWN, by="stratified", p=P)
    assert not {"label", "weak_label"} & set(blind.table.columns)
    assert "0.9" not in blind.table.drop(columns="inclusion_probability").to_csv()
    shown = draw_audit(GIVEN, n=DRAWN, by="stratified", p=P, show_labels=True)
    assert shown.table["weak_label"].tolist() == GIVEN.set_index("id")["label"].loc[shown.table["id"]].tolist()
    # A stratum's letter is another class's under another seed.
    sides = set()
    for seed in range(12):
        table = draw_audit(GIVEN, n=DRAWN, by="stratified", seed=seed).table
        sides.add(bool(GIVEN.set_index("id")["label"].loc[table["id"][table["stratum"] == "s1"].iloc[0]] > 0.5))
    assert sides == {False, True}


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.jsonl.gz", "a.parquet"])
def test_every_format_comes_back_as_it_was_drawn(name: str, drawn: AuditRows, tmp_path: Path) -> None:
    write_audit(drawn, tmp_path / name)
    back = read_audit_rows(tmp_path / name)
    assert back.table["id"].tolist() == drawn.table["id"].tolist()
    assert back.table["text"].tolist() == drawn.table["text"].tolist()
    assert np.isnan(back.answers).all()
    assert back.design == drawn.design


@pytest.mark.parametrize("minimal", [False, True])
def test_label_studio_gets_tasks_and_gives_answers(minimal: bool, tmp_path: Path) -> None:
    audit = draw_audit(GIVEN, n=DRAWN, by="disagreement", p=P, names=["no", 'y"es'])
    write_audit(audit, tmp_path / "import.json")
    tasks = json.loads((tmp_path / "import.json").read_text())
    assert set(tasks[0]) == {"data"}
    assert "truth" not in tasks[0]["data"]
    assert 'value="y&quot;es"' in labeling_config(audit)
    truth = WORLD.set_index("id")["truth"]
    exported = []
    for number, task in enumerate(tasks, start=1):
        answer = ["no", 'y"es'][truth[task["data"]["row_id"]]]
        result = {"from_name": "truth", "to_name": "text", "type": "choices", "value": {"choices": [answer]}}
        skipped = {"was_cancelled": True, "result": []}
        made = [skipped, {"was_cancelled": False, "result": [result]}]
        exported.append(
            {**task["data"], "id": number, "truth": answer} if minimal else {**task, "id": number, "annotations": made}
        )
    (tmp_path / "export.json").write_text(json.dumps(exported[::-1]))
    found = fold_audit(tmp_path / "export.json", GIVEN, p=P)
    table = answered(audit)
    assert found.to_frame().equals(fold_audit(AuditRows.of(table, "table"), GIVEN, p=P).to_frame())
    if not minimal:
        exported[0]["annotations"].append(exported[0]["annotations"][1])
        (tmp_path / "export.json").write_text(json.dumps(exported))
        with pytest.raises(InputError, match="has 2 annotations"):
            fold_audit(tmp_path / "export.json", GIVEN)


def test_answers_are_0_and_1_or_the_names(fold: Callable[..., Any]) -> None:
    audit = draw_audit(GIVEN, n=DRAWN, by="uniform", names=["No", "Yes"])
    table = answered(audit)
    words = table.assign(truth=[["no ", "YES"][int(value)] for value in table["truth"]])
    assert fold(words).to_frame().equals(fold(table).to_frame())
    for bad in ("maybe", "2", "0.5", "nan", "-1"):
        with pytest.raises(InputError, match=rf"the answer of row 'r\d+' is '{bad}': it is 0 or 1, No or Yes"):
            fold(words.assign(truth=[bad, *words["truth"][1:]]))
    for names in (["a"], ["a", "A "], ["", "b"], ["1", "0"]):
        with pytest.raises(InputError, match="names"):
            draw_audit(GIVEN, n=DRAWN, names=names)


def test_rows_that_are_not_trained_on_are_neither_drawn_nor_looked_at() -> None:
    split = GIVEN.assign(split=["train"] * 100 + ["test"] * 20)
    audit = draw_audit(split, n=50, by="stratified")
    assert audit.design["rows"] == 100
    assert not set(audit.table["id"]) & set(split["id"][100:])
    changed = split.copy()
    changed.loc[110:, "label"] = 0.5
    fold_audit(AuditRows.of(answered(audit), "done"), changed)


def test_the_first_rows_of_a_random_order_may_stand_for_the_draw(fold: Callable[..., Any]) -> None:
    audit = draw_audit(GIVEN, n=DRAWN, by="uniform")
    half = answered(audit, rows=slice(20))
    with pytest.raises(InputError, match=r"20 of 40 rows have no truth .* --partial"):
        fold(half)
    found = fold(half, partial=True)
    assert found.audited == 20
    assert found.table["inclusion_probability"].tolist() == pytest.approx([20 / N] * 20)
    # As if these alone had been drawn.
    wrong = (found.table["label"] > 0.5) != (found.table["truth"] > 0.5)
    assert found.horvitz_thompson.value == pytest.approx(wrong.mean())
    passed_over = answered(audit).assign(truth=[*answered(audit)["truth"][:7], np.nan, *answered(audit)["truth"][8:]])
    with pytest.raises(InputError, match="number 8 of the drawn order, has no truth but later ones do"):
        fold(passed_over, partial=True)
    with pytest.raises(InputError, match="1 rows have a truth"):
        fold(answered(audit, rows=slice(1)), partial=True)


@pytest.mark.parametrize("by", ["stratified", "disagreement"])
def test_partial_audits_stay_unbiased(by: Any) -> None:
    wrong = ((WORLD["label"] > 0.5) != (WORLD["truth"] > 0.5)).mean()
    values, counts = [], []
    for seed in range(25):
        audit = draw_audit(GIVEN, n=60, by=by, p=None if by == "stratified" else P, seed=seed)
        found = fold_audit(AuditRows.of(answered(audit, rows=slice(35)), "half"), GIVEN, partial=True)
        values.append(found.horvitz_thompson.value)
        counts.append(found.naive)
    assert abs(np.mean(values) - wrong) < 4 * np.std(values) / np.sqrt(25)
    if by == "disagreement":  # the control
        assert abs(np.mean(counts) - wrong) > 4 * np.std(counts) / np.sqrt(25)


def test_a_stratum_without_answers_cannot_be_spoken_for(fold: Callable[..., Any]) -> None:
    audit = draw_audit(GIVEN, n=DRAWN, by="stratified", p=P)
    few = next(
        m
        for m in range(2, DRAWN)
        if answered(audit)["stratum"][:m].value_counts().reindex(["s1", "s2", "s3", "s4"]).fillna(0).min() < 2
    )
    with pytest.raises(InputError, match=r"rows of stratum s\d have a truth, and at least 2 are needed"):
        fold(answered(audit, rows=slice(few)), partial=True)


def test_texts_come_from_row_files_where_labels_have_none() -> None:
    bare = GIVEN.drop(columns="text")
    assert "text" not in draw_audit(bare, n=DRAWN).table
    texts = dict(zip(GIVEN["id"], GIVEN["text"], strict=True))
    assert draw_audit(bare, n=DRAWN, texts=texts).table["text"].str.startswith("text").all()
    with pytest.raises(InputError, match="of the rows drawn have no text"):
        draw_audit(bare, n=DRAWN, texts={"r0": "one"})


def test_a_class_that_was_drawn_whole_has_a_share_that_is_known(tmp_path: Path) -> None:
    rows = [f"r{row}" for row in range(1000)]
    given = pd.DataFrame({"id": rows, "text": rows, "label": np.where(np.arange(1000) < 25, 0.9, 0.1)})
    audit = draw_audit(given, n=200, by="stratified")
    truth = np.random.default_rng(0).integers(0, 2, 200)
    write_table(audit.table.assign(truth=truth), tmp_path / "done.csv")
    found = fold_audit(tmp_path / "done.csv", given).model.noise
    assert found.low < found.value < found.high


def test_a_design_that_was_changed_is_refused_in_a_line(drawn: AuditRows, fold: Callable[..., Any]) -> None:
    for wrong in ('"x"', "null"):
        changed = [text.replace(f'"n":{DRAWN}', f'"n":{wrong}') for text in drawn.table["design"]]
        with pytest.raises(InputError, match="design"):
            fold(answered(drawn).assign(design=changed))
