"""Tables and label sets on disk."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2s_probes.errors import InputError
from w2s_probes.io.tables import FORMATS, read_table, write_table
from w2s_probes.labels.label_set import LabelSet, Role

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r"), min_size=1)


@given(st.lists(st.tuples(texts, st.floats(0, 1)), min_size=1, max_size=8), st.sampled_from(FORMATS))
def test_tables_come_back_as_they_were_and_have_one_spelling(
    tmp_path_factory: pytest.TempPathFactory, values: list[tuple[str, float]], ending: str
) -> None:
    folder = tmp_path_factory.mktemp("tables")
    table = pd.DataFrame({"id": [str(i) for i in range(len(values))], "text": [f"x{t}" for t, _ in values]})
    table["label"] = [p for _, p in values]
    paths = folder / f"a{ending}", folder / f"b{ending}"
    for path in paths:
        write_table(table, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    back = read_table(paths[0])
    assert back["text"].tolist() == table["text"].tolist()
    assert back["label"].astype(float).tolist() == table["label"].tolist()
    assert back["id"].tolist() == table["id"].tolist()


def test_jsonl_keeps_every_field_as_it_stood(tmp_path: Path) -> None:
    lines = '{"id": "007", "label": 1, "nested": {"a": [1, 2.5]}}\n{"id": "8", "label": 0.5, "only": null}\n'
    (tmp_path / "in.jsonl").write_text(lines)
    write_table(read_table(tmp_path / "in.jsonl"), tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_text() == lines


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"id": "a"}\n{"id": oops}\n', r"a.jsonl, line 2: not JSON"),
        ("a.jsonl", b'{"id": "a"}\n\n[1]\n', r"a.jsonl, line 3: a JSON object was expected, not \[1\]"),
        ("a.jsonl", b'{"id": "\xff"}\n', r"a.jsonl, line 1: not JSON"),
        ("a.jsonl", b"", r"a.jsonl: holds no rows"),
        ("a.jsonl.gz", b"not gzip", r"a.jsonl.gz: not a readable .jsonl.gz file"),
        ("a.jsonl.gz", gzip.compress(b'{"id": "a"}\n' * 99, mtime=0)[:-9], r"a.jsonl.gz: not a readable"),
        ("a.parquet", b"nothing", r"a.parquet: not a readable .parquet file"),
        ("a.csv", b"", r"a.csv: not a readable .csv file"),
        ("a.txt", b"x", r"a.txt: unknown format; the name must end in"),
        ("a.jsonl", b'{"id": "a"}\n{"id": "a"}\n', r"ids must be unique, but these stand twice: 'a'"),
        ("a.jsonl", b'{"id": "a"}\n{"text": "b"}\n', r"row 2 has no id"),
    ],
)
def test_unreadable_tables_name_file_and_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_table(tmp_path / name)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.jsonl: no such file"):
        read_table(tmp_path / "none.jsonl")


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_labels_are_joined_by_id_whatever_the_order(p: list[float], random: object) -> None:
    ids = np.array([f"r{i}" for i in range(len(p))], dtype=object)
    order = np.random.default_rng(len(p)).permutation(len(p))
    labels = LabelSet(ids[order], np.array(p)[order])
    assert labels.values(ids).tolist() == p


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ('"label": 1.2', r"the label of row 'a' is 1.2; labels are P\(label = 1\) in \[0, 1\]"),
        ('"label": NaN', r"1 of 1 rows have no label, first 'a': give it"),
        ('"label": "yes"', r"the label of row 'a' is 'yes'"),
        ('"lable": 1', r"no field 'label'; it has 'id', 'lable'"),
    ],
)
def test_bad_labels_are_refused_by_row(tmp_path: Path, field: str, message: str) -> None:
    (tmp_path / "l.jsonl").write_text('{"id": "a", ' + field + "}\n")
    with pytest.raises(InputError, match=message):
        LabelSet.read(tmp_path / "l.jsonl")


def test_truth_is_read_only_by_its_role(tmp_path: Path) -> None:
    (tmp_path / "l.jsonl").write_text('{"id": "a", "label": 0.3, "truth": 1}\n')
    assert LabelSet.read(tmp_path / "l.jsonl").p.tolist() == [0.3]
    truth = LabelSet.read(tmp_path / "l.jsonl", "truth")
    assert truth.p.tolist() == [1.0]
    assert truth.role == "truth"


def test_ids_and_labels_must_pair_up() -> None:
    with pytest.raises(InputError, match="2 ids but 1 labels"):
        LabelSet(np.array(["a", "b"], dtype=object), np.array([1.0]))


@pytest.mark.parametrize("role", ["weak", "truth"])
def test_labels_go_into_a_frame_and_come_back(role: Role) -> None:
    labels = LabelSet(np.array(["b", "a", "c"], dtype=object), np.array([0.25, 1, 0]), role)
    frame = labels.to_frame()
    assert frame.columns.tolist() == ["id", "label" if role == "weak" else "truth"]
    back = LabelSet.from_table(frame, role)
    assert (back.ids.tolist(), back.p.tolist(), back.role) == (["b", "a", "c"], [0.25, 1, 0], role)


def test_a_frame_is_a_copy_and_two_of_them_make_a_label_file(tmp_path: Path) -> None:
    ids = np.array(["a", "b"], dtype=object)
    weak, truth = LabelSet(ids, np.array([0.3, 0.9])), LabelSet(ids[::-1], np.array([1.0, 0.0]), "truth")
    frame = weak.to_frame()
    frame["label"] = 0.0
    assert weak.p.tolist() == [0.3, 0.9]
    write_table(weak.to_frame().merge(truth.to_frame(), on="id"), tmp_path / "both.csv")
    assert LabelSet.read(tmp_path / "both.csv").p.tolist() == [0.3, 0.9]
    assert LabelSet.read(tmp_path / "both.csv", "truth").values(["b", "a"]).tolist() == [1.0, 0.0]


def test_labels_say_in_a_line_what_they_are_and_escape_what_strangers_wrote() -> None:
    ids = np.array([f"<b>{i}" for i in range(1200)], dtype=object)
    p = np.repeat([1.0, 0.2, 0.5], 400)
    labels = LabelSet(ids, p, provenance={"file": "<i>.jsonl"})
    assert repr(labels) == "LabelSet('<i>.jsonl': 1,200 weak labels, soft, 33.3% above ½, mean 0.567)"
    assert "2 truth labels, hard, 50.0% above" in repr(LabelSet(ids[:2], np.array([1, 0]), "truth"))
    assert repr(LabelSet(ids[:0], np.array([]))) == "LabelSet(0 weak labels)"
    page = labels._repr_html_()
    assert "&lt;b&gt;4" in page
    assert "&lt;i&gt;.jsonl" in page
    assert "<b>4" not in page
    assert "<i>" not in page
    assert "1,195 more" in page
