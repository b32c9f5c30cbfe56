"""The same rows in JSONL, CSV, Parquet or a DataFrame are the same rows to every command."""

import datetime
import json
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extract.row_files import checked_rows, read_rows, rows_hash
from w2s_probes.errors import InputError
from w2s_probes.export import export
from w2s_probes.importing import import_activations
from w2s_probes.io.tables import FORMATS, read_table, refuse_unwritable, write_table
from w2s_probes.labels.label_set import LabelSet, Role, read_label_table
from w2s_probes.rows.fields import kept_rows, typed

ODD = ["NA", "None", "null", "nan", "N/A", "-", "true", "1", "007", "1e5", "=1+1", "\ttab", " space ", "a\rb", "a\r\nb"]
ODD += ['"', '""', "a,b", "'", "$x_{$", "<b>", "\\", "\x1b[31m", "中文", "é", "e\u0301", "\u202e", "#", "Inf", "1_0"]
texts = st.one_of(st.sampled_from(ODD), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")))
names = texts.filter(lambda text: bool(text.strip()))
whole = st.integers(-(2**63), 2**63 - 1)


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """Rows with texts, whole numbers beyond 2**53 or both as ids and groups, and groups with gaps."""
    ids = draw(st.lists(draw(st.sampled_from([names, whole])), min_size=1, max_size=6, unique_by=str))
    n = len(ids)

    def column(values: st.SearchStrategy[Any]) -> pd.Series:
        return pd.Series(draw(st.lists(values, min_size=n, max_size=n)), dtype=object)

    kind = draw(st.sampled_from([names, whole]))
    return pd.DataFrame(
        {
            "id": pd.Series(ids, dtype=object),
            "text": column(names),
            "label": column(st.floats(0, 1)),
            "truth": column(st.sampled_from([0, 1])),
            "group": column(st.one_of(st.none(), kind)),
            "keep": column(st.booleans()),
            "own": column(texts),
        }
    )


@settings(max_examples=60, deadline=None)
@given(tables())
def test_every_format_and_a_frame_give_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory, table: pd.DataFrame
) -> None:
    folder = tmp_path_factory.mktemp("formats")
    expected = typed(table, "frame")
    assert LabelSet.from_table(expected).p.tolist() == table["label"].tolist()
    for ending in FORMATS:
        path = folder / f"rows{ending}"
        write_table(table, path)
        back = read_label_table(path)
        for name in ("id", "text", "own"):
            assert back[name].tolist() == expected[name].tolist(), (ending, name)
        assert back["group"].isna().tolist() == expected["group"].isna().tolist()
        assert back["group"].dropna().tolist() == expected["group"].dropna().tolist(), ending
        assert back["keep"].tolist() == table["keep"].tolist()
        for role in get_args(Role):
            found = LabelSet.read(path, role)
            assert found.p.tolist() == LabelSet.from_table(table, role).p.tolist()
            assert found.ids.tolist() == expected["id"].tolist()
        assert rows_hash(read_rows(path)) == rows_hash(checked_rows(table, "frame"))


@settings(max_examples=25, deadline=None)
@given(tables())
def test_rows_come_back_from_every_export_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, table: pd.DataFrame
) -> None:
    folder = tmp_path_factory.mktemp("exports")
    expected = typed(table, "frame")
    if not expected["keep"].any():
        return
    for ending in (".jsonl", ".csv", ".parquet"):
        path = folder / f"out{ending}"
        export(table, path, ending[1:], take="all", truth=True, fields=["own"])
        back = read_label_table(path)
        for name in ("id", "text", "own", "keep", "label", "truth"):
            assert back[name].tolist() == expected[name].tolist(), (ending, name)
        assert back["group"].dropna().tolist() == expected["group"].dropna().tolist()


def cell(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


@pytest.mark.parametrize("rows", [3, 5000])
def test_what_a_column_of_csv_means_does_not_hang_on_what_stands_below(tmp_path: Path, rows: int) -> None:
    lines = [f"{i:03},{i % 7}" for i in range(rows)] + ["last,word"]
    (tmp_path / "l.csv").write_text("id,group\n" + "\n".join(lines) + "\n")
    table = read_label_table(tmp_path / "l.csv")
    assert table["id"].iloc[1] == "001"
    assert table["group"].tolist() == [str(i % 7) for i in range(rows)] + ["word"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,label\na,0.5,\n", r"l.csv, line 2: 3 cells, but the header has 2"),
        ("id,label\na,0.5\nb\n", r"l.csv, line 3: 1 cells, but the header has 2"),
        ('id,text,label\n"a","x\ny",0.5\nb,0.5\n', r"l.csv, line 4: 2 cells"),
        ('id,text\na,"never closed\nb,c\n', r"l.csv, line \d: quotes that do not close"),
        ('id,text\na,"closed" early\n', r"l.csv, line 2: quotes that do not close or close too soon"),
        ("id,text\na,x\ry\nb,z\n", r"l.csv, line 2: (a carriage return outside quotes|1 cells)"),
        ("id,id\na,b\n", r"l.csv: two columns are called 'id'"),
        ("id,text\na,\xff\n", r"l.csv, line 2: not text in UTF-8"),
        ("id,text\n", r"l.csv: holds no rows"),
        ("id,text\n,x\n", r"l.csv: row 1 has no id"),
    ],
)
def test_csv_that_would_be_read_askew_is_refused_by_line(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "l.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=message):
        read_table(tmp_path / "l.csv")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_any_one_line_end_and_a_byte_order_mark_are_read(tmp_path: Path, end: str, start: str) -> None:
    lines = ["id,text", f"a,{cell('one, two')}", "", f"b,{cell(chr(13))}", f"c,{cell('')}", "d,"]
    (tmp_path / "l.csv").write_bytes((start + end.join(lines) + end).encode())
    table = read_table(tmp_path / "l.csv")
    assert table["id"].tolist() == ["a", "b", "c", "d"]
    assert table["text"].tolist()[:3] == ["one, two", "\r", ""]
    assert pd.isna(table["text"].iloc[3])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"id": "a", "id": "b"}', r"the field 'id' stands twice"),
        (b'{"id": "\xed\xa0\x80"}', r"not JSON"),
        ('{"id": "a"}'.encode("utf-16"), r"not JSON"),
        (b'{"id": "\\ud800"}', r"not JSON"),
        (b'{"id": ""}', r"row 1 has no id"),
        (b'{"id": [1]}', r"the id of row 1 is neither text nor a number"),
    ],
)
def test_json_lines_are_strict(tmp_path: Path, line: bytes, message: str) -> None:
    (tmp_path / "l.jsonl").write_bytes(line + b"\n")
    with pytest.raises(InputError, match=message):
        read_table(tmp_path / "l.jsonl")


def test_parquet_is_read_by_its_schema_whatever_pandas_wrote_beside_it(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "text": ["one", "two"],
            "group": pd.array([2**60 + 1, None], dtype="Int64"),
            "label": [Decimal("0.25"), Decimal("1.00")],
            "kind": pd.Categorical(["x", "y"]),
            "when": pd.Series([pd.Timestamp("2026-03-01"), pd.NaT]),
            "parts": [["a"], ["b", "c"]],
            "raw": [b"abc", "é".encode()],
            "picture": [b"\xff\xd8", None],
        }
    ).set_index(pd.Index(["r0", "r1"], name="id"))
    frame.to_parquet(tmp_path / "l.parquet")
    table = read_label_table(tmp_path / "l.parquet")
    assert table["id"].tolist() == ["r0", "r1"]
    assert table["group"].tolist()[0] == str(2**60 + 1)
    assert pd.isna(table["group"].iloc[1])
    assert LabelSet.from_table(table).p.tolist() == [0.25, 1]
    assert table["kind"].tolist() == ["x", "y"]
    assert table["raw"].tolist() == ["abc", "é"]
    assert table["parts"].tolist() == [["a"], ["b", "c"]]
    write_table(table.drop(columns="picture"), tmp_path / "l.jsonl")
    first = json.loads((tmp_path / "l.jsonl").read_text().splitlines()[0])
    assert first["when"] == "2026-03-01T00:00:00"
    with pytest.raises(InputError, match=r"out.jsonl: the picture of row 'r0' is a bytes, which no text file holds"):
        refuse_unwritable(table, tmp_path / "out.jsonl")


@pytest.mark.parametrize(
    "values",
    [
        [datetime.date(2026, 3, 1), datetime.date(2026, 3, 2)],
        [datetime.datetime(2026, 3, 1, 12), None],
        [datetime.time(1, 2), datetime.time(3, 4)],
        [datetime.timedelta(days=1), None],
        [Decimal("1.50"), Decimal("2.25")],
        [["a", "b"], []],
        [{"a": 1}, {"a": 2}],
        [2**53 + 1, None],
        [True, None],
        [b"abc", None],
    ],
    ids=["date", "datetime", "time", "duration", "decimal", "list", "struct", "large", "bool", "bytes"],
)
@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
def test_columns_of_any_arrow_type_pass_through_a_filter_and_an_export(
    tmp_path: Path, w2s: Callable[..., None], values: list[Any], ending: str
) -> None:
    n = 24
    X = np.random.default_rng(0).normal(size=(n, 1, 4)).astype(np.float32)
    np.save(tmp_path / "X.npy", X)
    columns = {"id": [f"r{i}" for i in range(n)], "label": [float(i % 2) for i in range(n)], "own": values * (n // 2)}
    pq.write_table(pa.table(columns), tmp_path / "l.parquet")
    import_activations(tmp_path / "X.npy", tmp_path / "l.parquet", tmp_path / "acts", order="rows")
    out = tmp_path / f"k{ending}"
    w2s("filter", tmp_path / "acts", tmp_path / "l.parquet", "--layer", "0", "--by", "knn", "--k", "3", "--out", out)
    kept = read_label_table(out)
    assert kept["id"].tolist() == columns["id"]
    assert len(kept["own"].dropna()) == n - n // 2 * values.count(None)
    w2s("export", out, "--format", "jsonl", "--take", "all", "--field", "own", "--out", tmp_path / "e.jsonl")
    assert read_label_table(tmp_path / "e.jsonl")["label"].tolist() == columns["label"]


@pytest.mark.parametrize("wrong", ["yes", "", None, 2, "2", [True], "keep"])
def test_what_is_neither_kept_nor_dropped_is_refused_by_row(wrong: Any) -> None:
    table = pd.DataFrame({"id": ["a", "b"], "keep": pd.Series([True, wrong], dtype=object)})
    with pytest.raises(InputError, match=r"the keep of row 'b' is .*: it is true or false"):
        kept_rows(table, "l.jsonl")


@pytest.mark.parametrize("yes", [True, 1, 1.0, "true", "True", "TRUE", "1", "1.0", np.True_, np.int64(1)])
@pytest.mark.parametrize("no", [False, 0, 0.0, "false", "False", "0", np.False_])
def test_keep_is_understood_in_any_spelling(yes: Any, no: Any) -> None:
    table = pd.DataFrame({"id": ["a", "b"], "keep": pd.Series([yes, no], dtype=object)})
    assert kept_rows(table, "l.jsonl").tolist() == [True, False]


def test_the_time_to_read_grows_with_the_rows_and_not_with_their_square(tmp_path: Path) -> None:
    seconds = []
    for rows in (5_000, 40_000):
        path = tmp_path / f"{rows}.jsonl"
        path.write_text("".join(f'{{"id": "r{i}", "text": "text {i}", "label": 0.5}}\n' for i in range(rows)))
        times = []
        for _ in range(3):
            began = time.process_time()
            read_table(path)
            times.append(time.process_time() - began)
        seconds.append(min(times))
    assert seconds[1] < 24 * seconds[0]  # 8 times the rows; their square would be 64
