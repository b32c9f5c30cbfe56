"""Fields of the user's are neither written over nor taken for a filter's, by any command or format."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from w2s_probes.errors import InputError
from w2s_probes.export import FORMATS, PROVENANCE, Format, Pairs, export
from w2s_probes.importing import import_activations
from w2s_probes.io.tables import write_table
from w2s_probes.labels.label_set import read_label_table
from w2s_probes.labels.verdicts import ALWAYS, COLUMNS

N = 24
ENDINGS = {"jsonl": "out.jsonl", "csv": "out.csv", "parquet": "out.parquet", "cleanlab": "out.jsonl"}
OWN = {  # what each format writes beside the row's own fields
    "jsonl": ["weak_label"],
    "csv": ["weak_label"],
    "parquet": ["weak_label"],
    "hf": ["soft_label", "weak_label"],
    "trl": ["soft_label", "weak_label"],
    "oai": ["txt", "hard_label", "soft_label", "gt_label", "acc", "weak_label"],
    "eai": ["txt", "labels", "soft_pred", "gt_labels", "hard_label", "soft_label", "weak_label"],
    "cleanlab": ["is_label_issue", "label_quality", "given_label", "predicted_label", "weak_label"],
}


def labels() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "id": [f"r{i}" for i in range(N)],
            "text": [f"text {i}" for i in range(N)],
            "label": np.arange(N) % 2 * 0.8 + 0.1,
            "truth": np.arange(N) % 2,
            "p": rng.random(N),
        }
    )


@pytest.fixture
def acts(tmp_path: Path) -> Path:
    np.save(tmp_path / "X.npy", np.random.default_rng(0).normal(size=(N, 1, 4)).astype(np.float32))
    write_table(labels()[["id", "text"]], tmp_path / "rows.jsonl")
    import_activations(tmp_path / "X.npy", tmp_path / "rows.jsonl", tmp_path / "acts", order="rows")
    return tmp_path / "acts"


def test_every_format_is_looked_at() -> None:
    assert set(OWN) == set(FORMATS)


@pytest.mark.parametrize(("format", "name"), [(format, name) for format in OWN for name in OWN[format]])
@pytest.mark.parametrize("truth", [False, True])
def test_a_carried_field_never_takes_the_place_of_a_formats_own(
    tmp_path: Path, format: Format, name: str, truth: bool
) -> None:
    table = labels().assign(**{name: 0.123})
    with pytest.raises(InputError, match=name):
        export(table, tmp_path / ENDINGS.get(format, "out"), format, fields=[name], truth=truth)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["chosen", "rejected", "first_is_chosen", "soft_label", "prompt"])
def test_a_carried_field_never_takes_the_place_of_a_pairs_text(tmp_path: Path, name: str) -> None:
    table = labels().assign(a="one", b="two", question="q", **{name: "mine"})
    with pytest.raises(InputError, match=name):
        export(table, tmp_path / "out", "trl", pairs=Pairs("question", "a", "b"), fields=[name])
    joined = labels().assign(question="q", **{name: [i // 2 for i in range(N)]})
    if name != "soft_label" and name != "first_is_chosen":
        with pytest.raises(InputError, match=name):
            export(joined, tmp_path / "out", "trl", pairs=Pairs("question", by=name))


@pytest.mark.parametrize("name", sorted({*COLUMNS, *PROVENANCE} - {"keep", "new_label", "weak_label", "p"}))
def test_a_field_that_only_bears_a_verdicts_name_is_not_exported_as_one(tmp_path: Path, name: str) -> None:
    table = labels().assign(**{name: ["A+", "B"] * (N // 2)})
    export(table, tmp_path / "out.parquet", "parquet")
    assert pd.read_parquet(tmp_path / "out.parquet")[name].isin([None, np.nan, ""]).all()
    with pytest.raises(InputError, match=name):
        export(table, tmp_path / "other.parquet", "parquet", fields=[name])


@pytest.mark.parametrize("command", ["filter", "relabel"])
@pytest.mark.parametrize("name", sorted({*COLUMNS} - {"keep", "new_label"}))
def test_a_verdict_is_not_written_over_a_field_of_the_users(
    tmp_path: Path, acts: Path, fails: Callable[..., str], command: str, name: str
) -> None:
    write_table(labels().drop(columns="p").assign(**{name: 0.5}), tmp_path / "l.jsonl")
    options = ("--layer", "0", "--by", "knn", "--k", "3", "--out", tmp_path / "out.jsonl")
    assert f"field {name!r}: rename that" in fails(command, acts, tmp_path / "l.jsonl", *options)
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
def test_filters_and_relabellings_follow_each_other_and_lose_nothing(
    tmp_path: Path, acts: Path, w2s: Callable[..., None], ending: str
) -> None:
    write_table(labels().drop(columns="p"), tmp_path / "l.jsonl")
    options = ("--layer", "0", "--k", "3", "--out")
    first, second, third = (tmp_path / f"{name}{ending}" for name in "abc")
    w2s("filter", acts, tmp_path / "l.jsonl", "--by", "knn", "--contamination", "0.25", *options, first)
    w2s("relabel", acts, first, "--by", "knn", *options, second)
    w2s("filter", acts, second, "--by", "knn", "--contamination", "0.3", *options, third)
    filtered, relabelled, again = (read_label_table(path) for path in (first, second, third))
    assert set(filtered.columns) >= ALWAYS
    assert (~filtered["keep"]).sum() == 6
    assert relabelled["keep"].tolist() == filtered["keep"].tolist()
    assert again["new_label"].tolist() == relabelled["new_label"].tolist()
    assert not again["keep"][~filtered["keep"]].any()
    assert again["label"].tolist() == labels()["label"].tolist()
    assert again["reason"][~filtered["keep"]].tolist() == relabelled["reason"][~filtered["keep"]].tolist()


def commands(acts: Path, file: Path, out: Path) -> dict[str, tuple[Any, ...]]:
    """Every command that reads `keep`, on one file."""
    options = ("--layer", "0", "--out")
    return {
        "filter": ("filter", acts, file, "--by", "knn", "--k", "3", *options, out / "f.jsonl"),
        "relabel": ("relabel", acts, file, "--by", "knn", "--k", "3", *options, out / "r.jsonl"),
        "student": ("student", acts, file, "--epochs", "2", *options, out / "s"),
        "export": ("export", file, "--format", "jsonl", "--out", out / "e.jsonl"),
    }


@pytest.mark.parametrize("spelling", [(True, False), (1, 0), (1.0, 0.0), ("TRUE", "FALSE"), ("1.0", "0")])
def test_keep_has_one_meaning_in_every_command(
    tmp_path: Path, acts: Path, w2s: Callable[..., None], spelling: tuple[Any, Any]
) -> None:
    kept = [i % 6 != 0 for i in range(N)]
    write_table(labels().drop(columns="p").assign(keep=[spelling[not one] for one in kept]), tmp_path / "k.jsonl")
    for call in commands(acts, tmp_path / "k.jsonl", tmp_path).values():
        w2s(*call)
    assert read_label_table(tmp_path / "r.jsonl")["keep"].tolist() == kept
    assert not read_label_table(tmp_path / "f.jsonl")["keep"][[not one for one in kept]].any()
    assert read_label_table(tmp_path / "e.jsonl")["id"].tolist() == [f"r{i}" for i in range(N) if kept[i]]
    rows = json.loads((tmp_path / "s" / "student.json").read_text())["rows"]
    assert sum(kept) <= rows["train"] + rows["val"] < N  # validation rows stay, whatever `keep` says


@pytest.mark.parametrize("command", ["filter", "relabel", "student", "export"])
@pytest.mark.parametrize("wrong", ["perhaps", 2, None])
def test_what_is_no_keep_is_refused_in_every_command(
    tmp_path: Path, acts: Path, fails: Callable[..., str], command: str, wrong: Any
) -> None:
    table = labels().drop(columns="p").assign(keep=pd.Series([True] * (N - 1) + [wrong], dtype=object))
    write_table(table, tmp_path / "k.jsonl")
    said = fails(*commands(acts, tmp_path / "k.jsonl", tmp_path)[command])
    assert "the keep of row 'r23' is" in said
    assert "it is true or false" in said
