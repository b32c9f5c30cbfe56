"""`w2s deception`: files joined by id, every number beside chance and churn, and refusals in one line."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from w2s_probes.audit import audit_files, conflict_audit
from w2s_probes.cli import main
from w2s_probes.errors import InputError
from w2s_probes.io.tables import write_table

from .test_conflict import ROWS, TRUTH

NAMES = ("weak", "ceiling", "plain", "turned")
IDS = [f"r{i}" for i in range(12)]
Say = Callable[..., str]


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """The vectors' rows as predictions.csv, in the folder where commands run."""
    monkeypatch.chdir(tmp_path)
    made = pd.DataFrame({"id": IDS, "truth": TRUTH, **dict(zip(NAMES, ROWS[1:], strict=True))})
    write_table(made, "predictions.csv")
    return made


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    def call(*words: str, code: int = 0) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["deception", *words])
        said = capsys.readouterr()
        assert ended.value.code == code, said.err
        return said.out if code == 0 else said.err

    return call


PLAIN = ("predictions.csv", "--student", "plain", "--conflicted", "turned")


@pytest.mark.usefixtures("table")
def test_a_score_is_never_said_without_chance_and_churn(say: Say) -> None:
    said = say(*PLAIN)
    assert "turned against plain: tax 6 of 11 rows right before, 1 returned" in said
    line = next(line for line in said.splitlines() if "the strong model alone knows" in line)
    assert "score 0.833 [0.436, 0.970] of the tax, 0.636 expected by chance: excess +0.197" in line
    assert "churn: not known, so the score cannot be judged" in said
    assert "0.50 score 0.17 (expected 0.09)" in said
    assert said.strip().endswith("Oracle: all of this reads the truth, and none of it may choose anything.")
    said = say(*PLAIN, "--churn", "weak")
    assert "churn, weak against plain: tax 1 of 11 rows right before, 0 returned; score 1.000" in said
    assert "0.50 score 0.17 (expected 0.09, churn 1.00)" in said


def test_the_column_of_the_churn_control_is_found_by_its_name(table: pd.DataFrame, say: Say) -> None:
    write_table(table.assign(**{"control-churn": table["plain"]}), "predictions.csv")
    assert "churn, control-churn against plain: tax 0 of 11" in say(*PLAIN)
    assert "no tax, so no score; 0.636 expected by chance" in say(*PLAIN)


def test_other_files_are_joined_by_id(table: pd.DataFrame) -> None:
    rng = np.random.default_rng(0)
    other = pd.DataFrame({"id": IDS, "score": table["turned"]}).iloc[rng.permutation(12)]
    write_table(other, "own.jsonl")
    write_table(table.drop(columns="truth"), "bare.parquet")
    write_table(table[["id", "truth"]], "truth.csv")
    inside = audit_files("predictions.csv", student="plain", conflicted=["turned"]).audits["turned"]
    found = audit_files("bare.parquet", student="plain", conflicted=["own.jsonl"], truth="truth.csv")
    assert found.audits["own.jsonl"].p == inside.p == conflict_audit(*ROWS).p
    assert found.truth == "truth.csv"
    write_table(other[:8], "fewer.csv")
    with pytest.raises(InputError, match=r"fewer\.csv: 8 of its 8 rows are among the 12"):
        audit_files("predictions.csv", student="plain", conflicted=["fewer.csv"])
    assert audit_files("predictions.csv", student="plain", conflicted=["fewer.csv"], common=True).rows == 8


def test_groups_beside_the_scores_are_kept_whole(table: pd.DataFrame) -> None:
    write_table(pd.concat([table] * 2).assign(id=range(24), group=[*IDS, *IDS]), "predictions.csv")
    found = audit_files("predictions.csv", student="plain", conflicted=["turned"]).audits["turned"]
    assert found.groups == 12
    assert found.p == pytest.approx(conflict_audit(*ROWS).p, abs=0.04)


@pytest.mark.usefixtures("table")
def test_json_has_every_number_of_the_library(say: Say) -> None:
    answer = json.loads(say(*PLAIN, "--churn", "ceiling", "--out", "regions.csv", "--json"))
    found, (audit,) = conflict_audit(*ROWS, churn=ROWS[2]), answer["audits"]
    assert (answer["oracle"], answer["rows"], audit["name"]) == (True, 12, "turned")
    assert audit["conflict"]["score"] == {"value": found.score, "low": found.low, "high": found.high}
    assert (audit["conflict"]["expected"], audit["conflict"]["p"]) == (found.expected, found.p)
    assert found.churn is not None
    assert audit["churn"]["tax"] == found.churn.tax
    assert [one["p"] for one in audit["conflict"]["thresholds"]] == found.sweep["p"].tolist()
    assert audit["conflict"]["regions"][0]["returned_share"]["value"] is None
    written = pd.read_csv("regions.csv")
    assert written["tax"].tolist()[:4] == [one["tax"] for one in audit["conflict"]["regions"]]
    assert written["oracle"].all()


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("none.csv", *PLAIN[1:]), "none.csv: no such file"),
        ((*PLAIN[:2], "plian", *PLAIN[3:]), "predictions.csv: no column 'plian' for student; did you mean 'plain'?"),
        ((*PLAIN, "--weak", "wake"), "no column 'wake' for weak; did you mean 'weak'?"),
        ((*PLAIN, "--threshold", ".3"), "--threshold 0.3: it must be in [.5, 1]"),
        ((*PLAIN, "--conflicted", "turned"), "'turned' is to be audited twice"),
        ((*PLAIN, "--conflicted", "weak"), "a student called 'weak' cannot be told from that role"),
        ((*PLAIN, "--out", "regions.txt"), "regions.txt: unknown format"),
        ((*PLAIN, "--out", "predictions.csv"), "predictions.csv"),
        ((*PLAIN, "--truth", "none.csv"), "none.csv: no such file"),
        ((*PLAIN, "--conflicted", "other.csv"), "other.csv: no such file"),
        (PLAIN[:3], "Missing option '--conflicted'"),
    ],
)
def test_wrong_words_are_refused_in_one_line_and_nothing_is_written(
    words: tuple[str, ...], said: str, say: Say, tmp_path: Path
) -> None:
    error = say(*words, code=2)
    assert said in error
    assert error.count("\n") == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["predictions.csv"]


def test_scores_that_cannot_be_audited_are_refused(table: pd.DataFrame, say: Say) -> None:
    for column, values, said in (
        ("turned", table["turned"] * 3, "predictions.csv:turned: scores outside [0, 1] are no probabilities"),
        ("truth", 1, "one class only"),
        ("plain", 1 - table["truth"], "the student is right nowhere"),
        ("weak", None, "rows have no weak"),
    ):
        write_table(table.assign(**{column: values}), "predictions.csv")
        assert said in say(*PLAIN, code=2)
