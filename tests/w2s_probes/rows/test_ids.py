"""One rule gives every row its id, whoever reads the file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from extract.row_files import read_rows
from w2s_probes import ActivationStore, InputError, LabelSet
from w2s_probes.export import FORMATS, Format, export
from w2s_probes.importing import import_activations
from w2s_probes.io.tables import read_table, write_table
from w2s_probes.rows.ids import content_id, text_ids, with_ids

TEXTS = [f"text {row}" for row in range(8)]
LABELS = pd.DataFrame({"text": TEXTS, "label": np.arange(8) % 2})
FILES = {"jsonl": "out.jsonl", "csv": "out.csv", "parquet": "out.parquet", "cleanlab": "out.jsonl"}
READERS: dict[str, Callable[[Path], list[str]]] = {
    "labels": lambda path: list(LabelSet.read(path).ids),
    "extraction": lambda path: list(read_rows(path)["id"]),
    "import": lambda path: list(imported(path).ids),
    "export": lambda path: exported(path),
}


def imported(path: Path) -> ActivationStore:
    np.save(path.parent / "X.npy", np.ones((len(read_table(path)), 3), dtype=np.float32))
    return import_activations(path.parent / "X.npy", path, path.parent / "acts", layers=0)


def exported(path: Path) -> list[str]:
    export(path, path.parent / "out.parquet", "parquet")
    return list(pd.read_parquet(path.parent / "out.parquet")["id"])


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
def test_a_row_without_id_has_the_hash_of_its_text_in_every_reader(tmp_path: Path, reader: str, ending: str) -> None:
    write_table(LABELS, tmp_path / f"rows{ending}")
    assert READERS[reader](tmp_path / f"rows{ending}") == [content_id(text) for text in TEXTS]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("table", "message"),
    [
        (LABELS.assign(text=["same", *TEXTS[:6], "same"]), "rows 1 and 8 have no id and the same text: give them ids"),
        (LABELS.assign(id=["a", "b", *"cdefg", "b"]), "ids must be unique, but these stand twice: 'b'"),
        (LABELS.assign(id=["a", "", *"cdefgh"]), "row 2 has no id"),
        (LABELS.assign(id=pd.Series([*"abcdefg", [1]])), "the id of row 8 is neither text nor a number"),
    ],
)
def test_an_id_that_is_none_or_doubled_is_refused_in_every_reader(
    tmp_path: Path, reader: str, table: pd.DataFrame, message: str
) -> None:
    write_table(table, tmp_path / "rows.jsonl")
    with pytest.raises(InputError, match=message):
        READERS[reader](tmp_path / "rows.jsonl")


@pytest.mark.parametrize("format", [name for name in FORMATS if name != "cleanlab"])
def test_a_label_file_without_ids_is_exported_in_every_format(tmp_path: Path, format: Format) -> None:
    write_table(LABELS, tmp_path / "labels.jsonl")
    done = export(tmp_path / "labels.jsonl", tmp_path / FILES.get(format, "out"), format)
    assert done.rows == len(TEXTS)


def test_the_command_exports_a_label_file_without_ids(tmp_path: Path, w2s: Callable[..., None]) -> None:
    write_table(LABELS.assign(p=0.4, keep=True), tmp_path / "labels.csv")
    w2s("export", tmp_path / "labels.csv", "--format", "cleanlab", "--out", tmp_path / "issues.csv")
    assert read_table(tmp_path / "issues.csv")["id"].tolist() == [content_id(text) for text in TEXTS]


def test_numbers_are_one_id_however_a_file_spells_them() -> None:
    assert text_ids([7, 7.5, np.int64(8), 9.0, "07"], "rows") == ["7", "7.5", "8", "9", "07"]
    with pytest.raises(InputError, match="rows: ids must be unique, but these stand twice: '7'"):
        text_ids([7, 7.0], "rows")
    assert list(with_ids(pd.DataFrame({"label": [1]}), "rows")) == ["label"]  # a reader who needs ids refuses it
