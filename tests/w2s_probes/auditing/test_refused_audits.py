"""What is not the audit that was drawn, or none at all, is refused by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.worlds.audited import DRAWN, GIVEN, N, answered
from w2s_probes import InputError
from w2s_probes.auditing import AuditRows, fold_audit, read_audit_rows, write_audit
from w2s_probes.io.tables import read_table, write_table


def other_probability(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(
        inclusion_probability=table["inclusion_probability"].to_numpy() * np.where(np.arange(DRAWN) == 3, 1.01, 1)
    )


TAMPERED: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "another id": (lambda t: t.assign(id=["other", *t["id"][1:]]), "not those that were drawn"),
    "ids exchanged": (lambda t: t.assign(id=t["id"].to_numpy()[::-1]), "not those that were drawn"),
    "another probability": (other_probability, "not those that were drawn"),
    "another stratum": (lambda t: t.assign(stratum="s1"), "not those that were drawn"),
    "another design": (
        lambda t: t.assign(design=t["design"].str.replace('"seed":0', '"seed":1')),
        "not those that were",
    ),
    "a row missing": (lambda t: t.drop(index=5), "1 of the 40 rows drawn are missing, first number 6"),
    "a row doubled": (lambda t: pd.concat([t, t.iloc[[5]]]), "unique, but these stand twice"),
    "a row added": (lambda t: pd.concat([t, t.iloc[[5]].assign(id="new", order=41)]), "40 rows were drawn"),
    "two audits": (lambda t: t.assign(checksum=["x", *t["checksum"][1:]]), "several values of 'checksum'"),
    "no column": (lambda t: t.drop(columns="order"), "no column 'order'"),
    "no probability": (
        lambda t: t.assign(inclusion_probability=["", *t["inclusion_probability"][1:]]),
        "is not what was",
    ),
    "no answer": (lambda t: t.assign(truth=[np.nan, *t["truth"][1:]]), "1 of 40 rows have no truth"),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_an_audit_that_is_not_the_one_drawn_is_refused(how: str, drawn: AuditRows, fold: Callable[..., Any]) -> None:
    change, message = TAMPERED[how]
    table = answered(drawn)
    fold(table)  # the control
    with pytest.raises(InputError, match=message):
        fold(change(table.astype(object)))


def test_what_a_spreadsheet_does_to_probabilities_is_no_tampering(drawn: AuditRows, fold: Callable[..., Any]) -> None:
    table = answered(drawn)
    rounded = table.assign(inclusion_probability=[f"{pi:.9f}" for pi in table["inclusion_probability"]], note="seen")
    assert fold(rounded).hajek.value == pytest.approx(fold(table).hajek.value, abs=1e-7)


def test_an_audit_of_other_labels_is_refused(drawn: AuditRows) -> None:
    rows = AuditRows.of(answered(drawn), "done")
    fold_audit(rows, GIVEN.sample(frac=1, random_state=0))
    for other in (GIVEN.assign(label=1 - GIVEN["label"]), GIVEN[1:], GIVEN.assign(id=[f"x{i}" for i in range(N)])):
        with pytest.raises(InputError, match="audit of other labels"):
            fold_audit(rows, other)


def test_files_that_are_no_audit_are_refused(drawn: AuditRows, tmp_path: Path) -> None:
    write_table(GIVEN, tmp_path / "labels.csv")
    (tmp_path / "bad.json").write_text('{"a": 1}')
    (tmp_path / "tasks.json").write_text('[{"data": {"text": "t"}}]')
    write_audit(drawn, tmp_path / "a.csv")
    broken = read_table(tmp_path / "a.csv")
    write_table(broken.assign(design="{"), tmp_path / "design.csv")
    write_table(broken.assign(design="{}"), tmp_path / "empty.csv")
    for name, message in (
        ("labels.csv", "no column 'truth'"),
        ("bad.json", "not a list of Label Studio's tasks"),
        ("tasks.json", "task 1 has no 'row_id'"),
        ("none.json", "no such file"),
        ("none.csv", "no such file"),
        ("a.txt", "unknown format"),
        ("design.csv", "not valid JSON"),
        ("empty.csv", "none that `w2s audit draw` writes"),
    ):
        with pytest.raises(InputError, match=message):
            read_audit_rows(tmp_path / name)
