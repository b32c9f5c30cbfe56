"""Score files joined by id: any format, any order, truth there or elsewhere, and one line for those that do not fit."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from w2s_probes.comparing import compare_files, compare_scores
from w2s_probes.errors import InputError
from w2s_probes.io.tables import write_table

from .test_compared_scores import world

TRUTH, SCORES = world(apart=(0.2, 0.3, 0.6))
IDS = np.array([f"r{i}" for i in range(len(TRUTH))], dtype=object)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with scores in three formats, in orders of their own, and the truth in a fourth file."""
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"id": IDS})
    write_table(table.assign(score=SCORES["a"]), tmp_path / "a.jsonl")
    write_table(table.assign(label=SCORES["b"]).iloc[rng.permutation(200)], tmp_path / "b.csv")
    write_table(table.assign(score=SCORES["c"]).iloc[rng.permutation(200)], tmp_path / "c.parquet")
    write_table(table.assign(truth=TRUTH), tmp_path / "truth.jsonl")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("place")
def test_files_in_any_format_and_order_compare_as_their_arrays_do() -> None:
    found = compare_files(["a.jsonl", "b.csv"], truth="truth.jsonl", weak="a.jsonl", ceiling="c.parquet")
    expected = compare_scores(TRUTH, SCORES, weak="a", ceiling="c")
    assert found.comparison == expected
    assert {name: file.column for name, file in found.files.items()} == {"a": "score", "b": "label", "c": "score"}
    assert "b: `label` of b.csv, 200 rows" in found.lines


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("column", ["truth", "label"])
def test_groups_in_the_file_of_the_truth_count(column: str) -> None:
    group = np.arange(200) // 10
    table = pd.DataFrame({"id": IDS, column: TRUTH, "group": [f"g{i}" for i in group]})
    write_table(table.iloc[np.random.default_rng(2).permutation(200)], "judged.jsonl")
    found = compare_files(["a.jsonl", "b.csv"], truth="judged.jsonl")
    scores = {name: SCORES[name] for name in ("a", "b")}
    assert found.comparison == compare_scores(TRUTH, scores, groups=group)
    assert found.comparison != compare_scores(TRUTH, scores)


@pytest.mark.usefixtures("place")
def test_a_column_of_a_file_is_named_after_a_colon() -> None:
    table = pd.DataFrame({"id": IDS, "truth": TRUTH, **SCORES})
    write_table(table, "all.csv")
    found = compare_files(["all.csv:a", "all.csv:b"], weak="all.csv:a", ceiling="all.csv:c")
    assert found.comparison == compare_scores(TRUTH, SCORES, weak="a", ceiling="c")
    write_table(table, "x:a.csv")  # a file that is called so is itself
    write_table(table[["id", "b", "truth"]].rename(columns={"b": "score"}), "x.csv")
    with pytest.raises(InputError, match=r"x:a\.csv: no `score` and no `label`; name its column, x:a\.csv:COLUMN"):
        compare_files(["x:a.csv", "x.csv"])


@pytest.mark.usefixtures("place")
def test_what_a_filter_wrote_is_read_by_the_probes_p_and_not_by_the_filters_score() -> None:
    kept = pd.DataFrame({"id": IDS, "label": SCORES["a"], "keep": True, "score": 0.1, "reason": "", "p": SCORES["b"]})
    write_table(kept, "kept.jsonl")
    found = compare_files(["a.jsonl", "kept.jsonl"], truth="truth.jsonl")
    assert found.files["kept"].column == "p"
    assert found.comparison.scores[2].estimate == compare_scores(TRUTH, SCORES).scores[2].estimate


@pytest.mark.usefixtures("place")
def test_groups_and_truth_of_the_score_files_count_and_rows_without_truth_do_not() -> None:
    truth = np.where(np.arange(200) < 50, np.nan, TRUTH)
    group = np.arange(200) // 2
    table = pd.DataFrame({"id": IDS, "score": SCORES["a"], "truth": truth, "group": [f"g{i}" for i in group]})
    write_table(table, "of_truth.jsonl")
    found = compare_files(["of_truth.jsonl", "b.csv"])
    scores = {"of_truth": SCORES["a"][50:], "b": SCORES["b"][50:]}
    assert found.comparison == compare_scores(TRUTH[50:], scores, groups=group[50:])
    assert found.left_out == {"of_truth": 50, "b": 50}
    assert "left out: 50 rows of b" in found.lines


@pytest.mark.usefixtures("place")
def test_rows_that_all_files_have_are_taken_when_that_is_asked_for_and_counted() -> None:
    write_table(pd.DataFrame({"id": [*IDS[40:], "other"], "score": [*SCORES["b"][40:], 0.5]}), "few.jsonl")
    with pytest.raises(InputError, match=r"few\.jsonl: 160 of its 161 rows are among the 200 of a\.jsonl; few.* 'r0'"):
        compare_files(["a.jsonl", "few.jsonl"], truth="truth.jsonl")
    found = compare_files(["a.jsonl", "few.jsonl"], truth="truth.jsonl", common=True)
    scores = {"a": SCORES["a"][40:], "few": SCORES["b"][40:]}
    assert found.comparison == compare_scores(TRUTH[40:], scores)
    assert found.left_out == {"a": 40, "few": 1}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.assign(score=np.where(np.arange(200) == 3, np.nan, t["score"])), "1 of 200 rows have no score, f"),
        (
            lambda t: t.assign(score=t["score"].astype(object).where(t.index != 3, "high")),
            "score of row 'r3' is 'high'",
        ),
        (lambda t: t.assign(score=t["score"].where(t.index != 3, np.inf)), "'inf': it must be a finite number"),
        (lambda t: pd.concat([t, t[:1]]), "ids must be unique"),
        (lambda t: t.assign(id=[f"x{i}" for i in range(200)]), "0 of its 200 rows are among the 200 of a.jsonl"),
        (lambda t: t.rename(columns={"score": "logit"}), "no `score` and no `label`"),
        (lambda t: t.rename(columns={"id": "key"}), "no field 'id'"),
        (lambda t: t.assign(truth=1.0), "one class only"),
        (lambda t: t.assign(truth=2.0), "the truth of row 'r0' is 2"),
        (lambda t: t, "no truth: neither a.jsonl nor other.jsonl has `truth`"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_name(
    change: Callable[[pd.DataFrame], pd.DataFrame], said: str, place: Path
) -> None:
    write_table(change(pd.DataFrame({"id": IDS, "score": SCORES["b"]})), place / "other.jsonl")
    with pytest.raises(InputError) as caught:
        compare_files(["a.jsonl", "other.jsonl"])
    assert said in str(caught.value)
    assert "other.jsonl" in str(caught.value) or "one class" in said


@pytest.mark.usefixtures("place")
def test_other_misfits_are_refused_by_name() -> None:
    table = pd.DataFrame({"id": IDS, "score": SCORES["a"], "truth": TRUTH})
    write_table(table, "one.jsonl")
    write_table(table.assign(truth=1 - TRUTH), "two.jsonl")
    with pytest.raises(InputError, match=r"two\.jsonl: the truth of row 'r0' is 0\.0, and 1\.0 in one\.jsonl"):
        compare_files(["one.jsonl", "two.jsonl"])
    with pytest.raises(InputError, match="given twice"):
        compare_files(["one.jsonl", "one.jsonl"])
    with pytest.raises(InputError, match="nothing to compare it with"):
        compare_files(["one.jsonl"])
    with pytest.raises(InputError, match="--weak and --ceiling, or neither"):
        compare_files(["one.jsonl", "a.jsonl"], weak="b.csv")
    with pytest.raises(InputError, match=r"no column 'x'; it has 'id', 'score', 'truth'"):
        compare_files(["one.jsonl:x", "a.jsonl"])
    write_table(table[["id", "truth"]][:150], "half.jsonl")
    with pytest.raises(InputError, match=r"half\.jsonl: has the truth of 150 of the 200 .* not of 'r150'"):
        compare_files(["a.jsonl", "b.csv"], truth="half.jsonl")
    assert compare_files(["a.jsonl", "b.csv"], truth="half.jsonl", common=True).comparison.n == 150
