"""The verdict file: one writer, one reader, and the library writes what the commands write."""

import ast
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conftest import ROOT
from w2s_probes import ActivationStore, InputError, KNNProbe, LabelSet, LogisticProbe, disagreement_filter, relabel
from w2s_probes.export import PROVENANCE
from w2s_probes.importing import import_activations
from w2s_probes.io.tables import read_table, write_table
from w2s_probes.labels.verdict_export import export_new_labels
from w2s_probes.labels.verdicts import (
    ALWAYS,
    COLUMNS,
    DISAGREES,
    KEPT,
    NOT_JUDGED,
    OTHER_CLASS,
    OUTSIDE,
    SCHEMA,
    judged_rows,
    read_verdicts,
    verdict_values,
)
from w2s_probes.rows.folds import fold_numbers

N = 60


@pytest.fixture
def acts(tmp_path: Path) -> ActivationStore:
    """A store of 60 rows, and beside it weak.jsonl, of which ten are validation rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, 1, 4)) + (np.arange(N) % 2)[:, None, None]
    np.save(tmp_path / "X.npy", X.astype(np.float32))
    table = pd.DataFrame(
        {"id": [f"r{i}" for i in range(N)], "label": (np.arange(N) % 2 * 0.5 + 0.2 + rng.random(N) / 4)}
    )
    table = table.assign(split=["val" if i % 6 == 0 else "train" for i in range(N)], note="own")
    write_table(table, tmp_path / "weak.jsonl")
    return import_activations(tmp_path / "X.npy", tmp_path / "weak.jsonl", tmp_path / "acts", order="rows")


def training(path: Path) -> LabelSet:
    table = read_table(path)
    return LabelSet.from_table(table[table["split"] == "train"])


@pytest.mark.parametrize("by", ["knn", "logistic"])
@pytest.mark.parametrize("known", [True, False])
def test_the_library_writes_the_bytes_that_relabel_writes(
    acts: ActivationStore, tmp_path: Path, w2s: Callable[..., None], by: str, known: bool
) -> None:
    probe = KNNProbe(5) if by == "knn" else LogisticProbe(0.01)
    options = ("--by", by, *(("--k", 5) if by == "knn" else ("--l2", 0.01)))
    w2s("relabel", acts.path, tmp_path / "weak.jsonl", "--layer", 0, *options, "--out", tmp_path / "a.jsonl")
    weak = training(tmp_path / "weak.jsonl")
    X = acts.layer(0, ids=weak.ids)
    folds = None if by == "knn" else fold_numbers(X, weak.p)
    before = weak if known else weak.p
    export_new_labels(
        tmp_path / "b.jsonl",
        tmp_path / "weak.jsonl",
        before,
        relabel(probe, X, weak),
        probe=by,
        folds=folds,
        layer=0,
        store=acts.key,
    )
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()


def test_new_labels_of_other_rows_or_labels_are_refused(acts: ActivationStore, tmp_path: Path) -> None:
    weak, out = training(tmp_path / "weak.jsonl"), tmp_path / "b.jsonl"
    p = np.full(len(weak), 0.4)
    with pytest.raises(InputError, match=r"the label of row 'r1' is .* but the filter judged"):
        export_new_labels(out, tmp_path / "weak.jsonl", 1 - weak.p, p, probe="knn")
    with pytest.raises(InputError, match="50 labels before but 49 after"):
        export_new_labels(out, tmp_path / "weak.jsonl", weak, p[1:], probe="knn")
    with pytest.raises(InputError, match="3 of 50 training rows were not judged"):
        export_new_labels(out, tmp_path / "weak.jsonl", LabelSet(weak.ids[3:], weak.p[3:]), p[3:], probe="knn")
    assert not out.exists()


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".csv", ".parquet"])
def test_what_is_written_is_read_again_with_its_types(acts: ActivationStore, tmp_path: Path, ending: str) -> None:
    weak = training(tmp_path / "weak.jsonl")
    p = np.linspace(0.1, 0.9, len(weak))
    result = disagreement_filter(weak, p, 0.2)
    result.export(tmp_path / f"kept{ending}", tmp_path / "weak.jsonl", layer=3, store="key")
    table = read_verdicts(tmp_path / f"kept{ending}")
    silent = {"fold"} & {*COLUMNS} - {*table.columns}  # JSONL leaves out a field that no row has
    assert {*table.columns, *silent} == {"id", "label", "split", "note", *COLUMNS}
    assert set(table.columns) >= ALWAYS
    judged = judged_rows(table)
    assert judged.tolist() == [split == "train" for split in table["split"]]
    values = {name: verdict_values(table, name, "kept") for name in COLUMNS}
    for name, column in values.items():
        assert {type(value) for value in column} <= {SCHEMA[name], type(None)}
    assert np.array(values["keep"])[judged].tolist() == result.mask.tolist()
    assert np.array(values["p"])[judged].tolist() == p.tolist()
    assert set(values["reason"]) == {KEPT, DISAGREES, NOT_JUDGED}
    assert set(values["layer"]) == {3}
    assert values["fold"] == [None] * N


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keep": "perhaps"}, "the keep of row 'r0' is 'perhaps': it is true or false"),
        ({"label": 7}, r"the label of row 'r0' is no number in \[0, 1\]"),
        ({"label": None}, r"the label of row 'r0' is no number in \[0, 1\]"),
        ({"truth": "x"}, "the truth of row 'r0' is 'x'"),
        ({"reason": ...}, "has no column 'reason'"),
    ],
)
def test_a_file_that_is_no_verdict_is_refused_by_row(change: dict[str, object], message: str, tmp_path: Path) -> None:
    table = pd.DataFrame({"id": [f"r{i}" for i in range(4)], "label": 0.5, "keep": True, "reason": ""}).astype(object)
    for name, value in change.items():
        if value is ...:
            table = table.drop(columns=name)
        else:
            table[name] = [value, *([0.5] * 3 if name != "keep" else [True] * 3)]
    write_table(table, tmp_path / "kept.jsonl")
    with pytest.raises(InputError, match=message):
        read_verdicts(tmp_path / "kept.jsonl")


def test_one_module_alone_spells_the_reasons_and_exports_follow_its_schema() -> None:
    reasons = {OUTSIDE, OTHER_CLASS, NOT_JUDGED}  # DISAGREES is also what maps are coloured by
    spelled = {
        str(file.relative_to(ROOT))
        for package in ("w2s_probes", "extract", "analyses")
        for file in (ROOT / package).rglob("*.py")
        if any(reason in (text := file.read_text()) for reason in reasons)  # others take their time to be parsed
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and node.value in reasons
    }
    assert spelled == {"w2s_probes/labels/verdicts.py"}
    arrow = {bool: "bool", int: "int64", float: "double", str: "string"}
    schema = {"weak_label": "double"} | {name: arrow[kind] for name, kind in SCHEMA.items()}
    assert {name: str(kind) for name, kind in PROVENANCE.items()} == schema
