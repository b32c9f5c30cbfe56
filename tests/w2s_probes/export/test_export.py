"""Exported label sets, read back by the libraries that they are for."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cleanlab.classification import CleanLearning
from cleanlab.rank import get_label_quality_scores
from datasets import load_dataset, load_from_disk
from sklearn.linear_model import LogisticRegression

from w2s_probes import InputError, LabelSet
from w2s_probes.export import EXPORTERS, FORMATS, PROVENANCE, Exported, Format, Pairs, export
from w2s_probes.io.files import HOST
from w2s_probes.io.tables import read_table, write_table
from w2s_probes.labels.label_set import read_label_table

STORE = "5" * 64
PLACES = {"jsonl": "a.jsonl", "csv": "a.csv", "parquet": "a.parquet", "cleanlab": "a.csv"}


def judged(n: int = 40, seed: int = 0) -> pd.DataFrame:
    """Rows as a cross-fitted filter and relabelling leave them: n training rows, then four of val and two of test."""
    rng = np.random.default_rng(seed)
    training = np.arange(n + 6) < n
    weak, p = rng.random(n + 6).round(6), rng.random(n + 6)
    table = pd.DataFrame(
        {
            "id": [f"00{i}" for i in range(n + 6)],
            "text": [f'w{i} "said", he,\nand 日本' for i in range(n + 6)],
            "label": weak,
            "truth": (rng.random(n + 6) > 0.5).astype(int),
            "group": [f"g{i // 2}" for i in range(n + 6)],
            "split": ["train"] * n + ["val"] * 4 + ["test"] * 2,
            "note": [{"deep": [i, None]} if i % 2 else "plain" for i in range(n + 6)],
            "keep": np.where(training, rng.random(n + 6) > 0.25, True),
            "score": np.where(training, abs(p - weak), np.nan),
            "probe": "logistic",
            "layer": 3,
            "new_label": np.where(training, p, weak),
            "reason": np.where(training, np.where((p > 0.5) != (weak > 0.5), "other class", ""), "not a training row"),
            "p": np.where(training, p, np.nan),
            "store": STORE,
        }
    )
    fold = np.where(training, rng.integers(0, 5, n + 6), -1)
    table["fold"] = pd.Series([int(f) if f >= 0 else np.nan for f in fold], dtype=object)
    return table


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("labels") / "kept.jsonl"
    write_table(judged(), path)
    return path


def place(folder: Path, format: str) -> Path:
    return folder / PLACES.get(format, format)


def bytes_of(path: Path) -> dict[str, bytes]:
    """Every file of an export."""
    if path.is_file():
        return {path.name: path.read_bytes()}
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def same_provenance(row: dict[str, Any], source: pd.Series, suffix: str = "") -> None:
    """An exported row says of itself what the label file says of it."""
    for name in PROVENANCE:
        want = source["label"] if name == "weak_label" else source[name]
        found = row[name + suffix]
        if pd.isna(want):
            assert found is None or pd.isna(found), name
        else:
            assert found == want, name
            assert not isinstance(found, float) or name in ("weak_label", "p", "new_label", "score"), name


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".csv", ".parquet"])
def test_tables_keep_every_row_apart_from_the_dropped_ones_and_are_label_files_again(
    labels: Path, tmp_path: Path, ending: str
) -> None:
    table = judged()
    format: Any = ending.split(".")[1]
    done = export(labels, tmp_path / f"a{ending}", format)
    kept = table[table["keep"]]
    assert done == Exported(
        tmp_path / f"a{ending}", format, len(kept), 46, {}, {"dropped by the filter": 46 - len(kept)}
    )
    back = read_table(done.path)
    assert back["id"].tolist() == kept["id"].tolist()
    assert back["text"].tolist() == kept["text"].tolist()
    assert LabelSet.read(done.path).p.tolist() == kept["new_label"].tolist()
    assert "truth" not in back
    assert "note" not in back
    if ending != ".csv":  # which knows no whole numbers beside missing ones
        lines = pq.read_table(done.path).to_pylist() if ending == ".parquet" else back.to_dict(orient="records")
        for row, (_, source) in zip(lines, kept.iterrows(), strict=True):
            same_provenance(row, source)
    again = export(done.path, tmp_path / f"b{ending}", format, take="all")  # an export is a label file
    assert bytes_of(again.path) == {f"b{ending}": (tmp_path / f"a{ending}").read_bytes()}
    weak = LabelSet.read(export(done.path, tmp_path / f"c{ending}", format, label="weak").path)
    assert weak.p.tolist() == kept["label"].tolist()


@pytest.mark.parametrize("format", [*FORMATS, "preference"])
def test_exporting_twice_gives_the_same_bytes(format: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.chdir(folder)
        table = judged().assign(first="a", second="b")
        write_table(table, folder / "kept.jsonl")
        pairs = Pairs() if format == "preference" else None
        out = place(folder, format)
        kind: Format = "trl" if pairs else format
        for _ in range(1 + (name == "two")):  # the second time in the place of the first
            export(Path("kept.jsonl") if name == "one" else folder / "kept.jsonl", out, kind, pairs=pairs, truth=True)
        found.append(bytes_of(out))
        assert not list(folder.glob(".*"))
    assert found[0] == found[1]
    other = table.assign(label=table["label"] / 2, new_label=table["new_label"] / 2)  # the control
    export(other, place(tmp_path, format), kind, pairs=pairs, truth=True)
    assert bytes_of(place(tmp_path, format)) != found[0]


def hub(folder: Path, cache: Path) -> Any:
    """The folder as users load it, from the library's own reading of the card."""
    return load_dataset(str(folder), cache_dir=str(cache))


def test_a_dataset_folder_loads_with_its_splits_columns_and_card(labels: Path, tmp_path: Path) -> None:
    done = export(labels, tmp_path / "hub", "hf", truth=True, fields=["note"])
    loaded = hub(done.path, tmp_path / "cache")
    assert {name: len(part) for name, part in loaded.items()} == done.splits
    assert list(done.splits) == ["train", "validation", "test"]
    table = judged().set_index("id")
    for name, part in loaded.items():
        for row in part:
            source = table.loc[row["id"]]
            assert {"train": "train", "validation": "val", "test": "test"}[name] == source["split"]
            assert row["text"] == source["text"]
            assert row["soft_label"] == source["new_label"]
            assert row["label"] == int(source["new_label"] > 0.5)
            assert row["truth"] == source["truth"]
            assert row["note"] == (source["note"] if source["note"] == "plain" else json.dumps(source["note"]))
            same_provenance(row, source)
    card = (done.path / "README.md").read_text()
    assert "no intervention reliably beat" in card
    table = read_label_table(labels)
    train = table[table["split"] == "train"] if "split" in table else table
    for side in (0, 1):
        of_class = train[(train["label"].astype(float) > 0.5) == bool(side)]
        gone = int((~of_class["keep"].astype(bool)).sum())
        assert re.search(rf"{gone} of {len(of_class)} rows( \(\d+%\))? of label {side}", card)
    assert STORE in card
    assert f"{done.rows} rows ({done.splits['train']} train, 4 validation, 2 test)" in card
    for column in loaded["train"].column_names:
        assert f"| `{column}` |" in card
    assert "GROUND TRUTH" in card
    assert '"take": "kept"' in card
    assert json.loads((done.path / "w2s-export.json").read_text())["options"]["take"] == "kept"
    assert not done.remark
    for folder in (tmp_path, labels.parent):
        assert str(folder) not in card


def test_trl_classification_has_integer_labels_and_soft_ones_beside(labels: Path, tmp_path: Path) -> None:
    train = hub(export(labels, tmp_path / "trl", "trl", splits=["train"]).path, tmp_path / "cache")["train"]
    assert {"text": "string", "label": "int64", "soft_label": "float64"}.items() <= {
        name: feature.dtype for name, feature in train.features.items()
    }.items()
    hard = hub(export(labels, tmp_path / "hard", "trl", hard=True, label="weak").path, tmp_path / "cache2")["train"]
    weak = judged().set_index("id")["label"]
    assert hard["soft_label"] == [float(weak[name] > 0.5) for name in hard["id"]]
    assert hard["label"] == [int(weak[name] > 0.5) for name in hard["id"]]


def test_pairs_in_a_row_put_the_text_that_the_label_prefers_first(tmp_path: Path) -> None:
    table = judged().assign(prompt="Q?", one=lambda t: "one " + t["id"], two=lambda t: "two " + t["id"])
    table.loc[table.index[[0, 5]], "new_label"] = 0.5
    done = export(table, tmp_path / "trl", "trl", take="all", pairs=Pairs("prompt", "one", "two"))
    assert done.left_out == {"undecided (label of one half)": 2}
    loaded = hub(done.path, tmp_path / "cache")
    assert list(loaded["train"].features)[:3] == ["prompt", "chosen", "rejected"]
    seen = 0
    for part in loaded.values():
        for row in part:
            source = table.set_index("id").loc[row["id"]]
            better, worse = ("one", "two") if source["new_label"] > 0.5 else ("two", "one")
            assert (row["prompt"], row["chosen"], row["rejected"]) == ("Q?", source[better], source[worse])
            assert row["first_is_chosen"] == (better == "one")
            assert not {"one", "two", "label"} & set(row)
            same_provenance(row, source)
            seen += 1
    assert seen == 44
    card = (done.path / "README.md").read_text()
    assert f"44 pairs ({done.splits['train']} train" in card


def test_two_rows_with_one_question_make_a_pair_without_a_prompt(tmp_path: Path) -> None:
    table = judged()
    table.loc[table.index[1], "new_label"] = table["new_label"].iloc[0]  # a tie
    table.loc[table.index[2], "group"] = "alone"
    kept = table[table["keep"]]
    done = export(table, tmp_path / "trl", "trl", pairs=Pairs(by="group"))
    row_of = table.set_index("id")
    sizes = kept.groupby("group").size()
    pairs = [name for name in sizes[sizes == 2].index if kept[kept["group"] == name]["new_label"].nunique() == 2]
    assert done.rows == len(pairs) > 5
    seen = []
    for part in hub(done.path, tmp_path / "cache").values():
        for row in part:
            good, bad = row_of.loc[row["id_chosen"]], row_of.loc[row["id_rejected"]]
            assert good["group"] == bad["group"] == row["group"]
            assert good["new_label"] > bad["new_label"]
            assert (row["chosen"], row["rejected"]) == (good["text"], bad["text"])
            assert "prompt" not in row
            same_provenance(row, good, "_chosen")
            same_provenance(row, bad, "_rejected")
            seen.append(row["group"])
    assert sorted(seen) == sorted(pairs)
    assert "`p` of the rejected text" in (done.path / "README.md").read_text()


def test_pairs_of_two_equal_texts_are_left_out_and_counted(tmp_path: Path) -> None:
    table = judged(seed=1).assign(first=lambda t: "one " + t["id"], second=lambda t: "two " + t["id"])
    table.loc[table.index[[4, 9]], "second"] = table["first"]
    both = export(table, tmp_path / "row", "trl", take="all", pairs=Pairs())
    assert (both.rows, both.left_out) == (44, {"of two equal texts": 2})
    table.loc[table.index[6], "text"] = table["text"].iloc[7]
    joined = export(table, tmp_path / "rows", "trl", take="all", pairs=Pairs(by="group"))
    assert (joined.rows, joined.left_out) == (22, {"of two equal texts": 2})
    for place in (both.path, joined.path):
        written = pd.concat([pd.read_parquet(file) for file in sorted(place.glob("data/*.parquet"))])
        assert not (written["chosen"] == written["rejected"]).any()
    assert "g3" not in set(written["group"])


def test_train_simple_of_openai_finds_what_it_reads(labels: Path, tmp_path: Path) -> None:
    done = export(labels, tmp_path / "oai", "oai")
    path = str(done.path) + "/weak_labels"  # as given, or as it appends it
    dataset = load_from_disk(path)
    config = json.loads(Path(path.replace("weak_labels", "config.json")).read_text())
    assert isinstance(config["model_size"], str)
    assert "_" not in config["model_size"]
    tokenized = dataset.map(lambda row: {"input_ids": [1] * len(row["txt"])}).filter(
        lambda r: len(r["input_ids"]) < 999
    )
    kept = judged()[lambda t: t["keep"] & (t["split"] == "train")].set_index("id")
    assert len(tokenized) == len(kept) == done.rows
    for row in tokenized:
        source = kept.loc[row["id"]]
        assert row["txt"] == source["text"]
        assert row["soft_label"] == [1 - source["new_label"], source["new_label"]]
        assert row["hard_label"] == int(source["new_label"] > 0.5)
        same_provenance(row, source)
    assert not {"gt_label", "acc", "truth"} & set(dataset.column_names)
    assert list(dataset[3:5]["soft_label"]) == [row["soft_label"] for row in tokenized][3:5]
    other = export(labels, tmp_path / "weak", "oai", label="weak", truth=True)
    # Its results go by this name, and those of the same name are taken up again.
    assert json.loads((other.path / "config.json").read_text())["model_size"] != config["model_size"]
    truth = load_from_disk(str(other.path / "weak_labels"))
    assert list(truth["gt_label"]) == kept.loc[list(truth["id"]), "truth"].tolist()
    assert "truth" not in truth.column_names


def test_run_of_eleutherai_finds_what_it_reads(labels: Path, tmp_path: Path) -> None:
    done = export(labels, tmp_path / "eai", "eai", take="all", truth=True)
    table = judged()
    for split in ("train", "val", "test"):
        own = table[table["split"] == split]
        part = load_from_disk(str(done.path / split))
        rest = part.select_columns(["txt", "gt_labels"]).add_column("labels", part["soft_pred"])  # by place
        assert list(rest["labels"]) == list(part["labels"]) == own["new_label"].tolist()
        assert list(rest["txt"]) == own["text"].tolist()
        assert list(rest["gt_labels"]) == list(part["hard_label"]) == own["truth"].tolist()
        assert [row[1] for row in part["soft_label"]] == own["truth"].tolist()
        for row, (_, source) in zip(part, own.iterrows(), strict=True):
            same_provenance(row, source)
    assert {name: len(part) for name, part in load_from_disk(str(done.path)).items()} == done.splits
    plain = load_from_disk(str(export(labels, tmp_path / "plain", "eai").path))["train"]
    assert not {"gt_labels", "hard_label", "soft_label", "truth"} & set(plain.column_names)


def test_releases_of_datasets_before_lists_were_called_lists_can_read_them_too(labels: Path, tmp_path: Path) -> None:
    info = (export(labels, tmp_path / "oai", "oai").path / "weak_labels" / "dataset_info.json").read_text()
    assert json.loads(info)["features"]["soft_label"]["_type"] == "Sequence"
    with (tmp_path / "oai/weak_labels/data-00000-of-00001.arrow").open("rb") as stream:
        assert pa.ipc.open_stream(stream).schema.metadata is None  # where the library would repeat its own names


def test_cleanlab_prunes_exactly_the_dropped_rows(tmp_path: Path) -> None:
    table = judged().assign(reason="")  # of a filter alone
    done = export(table, tmp_path / "issues.parquet", "cleanlab")
    frame = pd.read_parquet(done.path)
    own = table[table["split"] == "train"]
    assert frame["id"].tolist() == own["id"].tolist()
    assert done.left_out == {"not judged": 6}
    given = (own["label"] > 0.5).astype(int).to_numpy()
    probabilities = np.column_stack([1 - own["p"], own["p"]])
    assert frame["label_quality"].tolist() == pytest.approx(get_label_quality_scores(given, probabilities).tolist())
    assert frame["predicted_label"].tolist() == probabilities.argmax(axis=1).tolist()
    X = np.random.default_rng(1).normal(size=(len(own), 3))
    learning = CleanLearning(LogisticRegression())
    learning.fit(X, given, label_issues=frame.drop(columns=["text"]))
    assert (~learning.label_issues_mask).tolist() == own["keep"].tolist()
    changed = pd.read_parquet(export(judged(), tmp_path / "changed.parquet", "cleanlab").path)
    assert changed["is_label_issue"].tolist() == ((changed["reason"] == "other class") | ~changed["keep"]).tolist()


def test_labels_without_a_probe_and_label_sets_are_exported_too(tmp_path: Path) -> None:
    plain = judged()[["id", "text", "label", "truth"]]
    loaded = hub(export(plain, tmp_path / "hub", "hf").path, tmp_path / "cache")["train"]
    assert loaded["soft_label"] == plain["label"].tolist()
    assert set(loaded["keep"]) == {True}
    assert set(loaded["p"]) == set(loaded["store"]) == {None}
    weak = LabelSet(plain["id"].to_numpy(object), plain["label"].to_numpy())
    assert export(weak, tmp_path / "bare", "hf").remark == "no texts: give --texts ROWS to join them by id"
    export(weak, tmp_path / "set.jsonl", "jsonl")
    assert LabelSet.read(tmp_path / "set.jsonl").p.tolist() == weak.p.tolist()
    with pytest.raises(InputError, match="ground truth is no label set"):
        export(LabelSet(weak.ids, weak.p, role="truth"), tmp_path / "truth.jsonl", "jsonl")
    write_table(plain[["id", "text"]].sample(frac=1, random_state=0), tmp_path / "rows.parquet")
    joined = export(weak, tmp_path / "joined.parquet", "parquet", texts=tmp_path / "rows.parquet")
    assert pq.read_table(joined.path)["text"].to_pylist() == plain["text"].tolist()


def test_csv_and_parquet_label_files_export_as_jsonl_ones_do(labels: Path, tmp_path: Path) -> None:
    expected = bytes_of(export(labels, tmp_path / "a.jsonl", "jsonl").path)["a.jsonl"]
    for ending in ("csv", "parquet"):
        write_table(judged().drop(columns="note"), tmp_path / f"in.{ending}")
        assert bytes_of(export(tmp_path / f"in.{ending}", tmp_path / "b.jsonl", "jsonl").path)["b.jsonl"] == expected


def test_only_exports_of_ours_are_replaced_and_a_failure_leaves_the_old_one(
    labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = export(labels, tmp_path / "hub", "hf").path
    before = bytes_of(out)
    export(labels, out, "oai")  # another format of ours may take its place
    export(labels, out, "hf")
    assert bytes_of(out) == before

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("w2s_probes.export.writing.write_record", fail)
    for place in (out, tmp_path / "new" / "hub"):
        with pytest.raises(InputError, match=r"cannot write .*No space left"):
            export(labels, place, "hf")
    monkeypatch.undo()
    assert bytes_of(out) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hub"]
    foreign = tmp_path / "photos"
    foreign.mkdir()
    export(labels, foreign, "hf")  # empty: nothing to lose
    assert (foreign / "README.md").exists()
    (foreign / "w2s-export.json").unlink()
    with pytest.raises(InputError, match=r"photos: exists and is not an export of w2s"):
        export(labels, foreign, "hf")
    left = tmp_path / f".12345678.{HOST}-{2**22 + 1}.partial.hub"  # by a process of a number that none has
    (left / "data").mkdir(parents=True)
    (tmp_path / "link").symlink_to(out)
    export(labels, tmp_path / "link", "hf", take="all")
    assert not left.exists()
    assert (tmp_path / "link").is_symlink()
    assert bytes_of(out) != before


def changed(**fields: Any) -> Callable[[], pd.DataFrame]:
    return lambda: judged().assign(**fields)


BAD: dict[str, tuple[Callable[[], pd.DataFrame], str, dict[str, Any], str]] = {
    "an unknown format": (judged, "parket", {}, "format 'parket': did you mean 'parquet'"),
    "unknown rows": (judged, "hf", {"take": "keep"}, "take 'keep': did you mean 'kept'"),
    "an unknown label": (judged, "hf", {"label": "week"}, "label 'week': did you mean 'weak'"),
    "an unknown split": (judged, "hf", {"splits": ["tran"]}, "split 'tran': did you mean 'train'"),
    "no text": (
        lambda: judged().drop(columns="text"),
        "trl",
        {},
        "no field 'text', .*: give --texts ROWS to join them",
    ),
    "an empty text": (changed(text=" "), "oai", {}, "the text of row '00[0-9]+' is ' ': no text to export"),
    "a number for a text": (changed(text=7), "eai", {}, "no text to export"),
    "no pairs": (judged, "trl", {"pairs": Pairs()}, "holds no pairs: name the fields"),
    "pairs of another format": (judged, "hf", {"pairs": Pairs()}, "are of the format trl, not hf"),
    "rounded pairs": (judged, "trl", {"pairs": Pairs(by="group"), "hard": True}, "do not go together"),
    "pairs by nothing": (judged, "trl", {"pairs": Pairs(by="qestion")}, "no field 'qestion' to carry"),
    "single rows": (changed(group=lambda t: t["id"]), "trl", {"pairs": Pairs(by="group")}, "no pair is left to export"),
    "several prompts": (judged, "trl", {"pairs": Pairs("text", by="group"), "take": "all"}, "have different prompts"),
    "nothing kept": (changed(keep=False), "csv", {}, "no row is kept"),
    "a keep that is none": (
        changed(keep="perhaps"),
        "csv",
        {},
        "the keep of row '000' is 'perhaps': it is true or false",
    ),
    "a layer beyond counting": (
        changed(layer=[3] * 7 + [10**30] + [3] * 38),
        "csv",
        {},
        "the layer of row '007' is '10+', where `w2s filter` writes int64",
    ),
    "a list for a layer": (changed(layer=[np.arange(2)] * 46), "csv", {}, "the layer of row '000' is '.0,? 1.'"),
    "a p beyond 1": (changed(p=1.5), "csv", {}, "the p of row '000' is 1.5"),
    "a label beyond 1": (changed(label=-1), "csv", {}, "the label of row '000' is -1"),
    "doubled ids": (changed(id="x"), "csv", {}, "ids must be unique, but these stand twice: 'x'"),
    "an unknown split in the file": (changed(split="dev"), "hf", {}, "the split of row '00[0-9]+' is 'dev'"),
    "an unknown split for a table": (changed(split="dev"), "jsonl", {}, "the split of row '00[0-9]+' is 'dev'; use"),
    "no split for a row": (changed(split=None), "cleanlab", {}, "the split of row '00[0-9]+' is ''; use"),
    "pairs of equal texts": (
        changed(first="a", second="a"),
        "trl",
        {"pairs": Pairs()},
        "no pair is left to export .*of two equal texts",
    ),
    "no new labels": (
        lambda: judged().drop(columns="new_label"),
        "csv",
        {"label": "new"},
        "no field 'new_label': make it with `w2s relabel`",
    ),
    "no truth": (lambda: judged().drop(columns="truth"), "csv", {"truth": True}, "no field 'truth' to export"),
    "truth by the back door": (judged, "csv", {"fields": ["truth"]}, "is exported with --truth"),
    "an unknown field": (judged, "csv", {"fields": ["note2"]}, "no field 'note2' to carry: did you mean 'note'"),
    "a field twice": (judged, "csv", {"fields": ["group"]}, "'group' is exported already"),
    "no probe": (lambda: judged()[["id", "label"]], "cleanlab", {}, "no row has the probe's `p`"),
    "a field that has no place": (
        changed(note=[{"a": 1}] * 46),
        "eai",
        {"fields": ["note"]},
        "does not fit this format",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_exported_is_refused_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    table, format, options, expected = BAD[name]
    known: Any = format
    with pytest.raises(InputError, match=expected) as refused:
        export(table(), tmp_path / "new" / PLACES.get(format, format), known, **options)
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_places_that_do_not_fit_a_format_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    nothing = tmp_path / "none.jsonl"
    for format, name, expected in (
        ("csv", "a.jsonl", "csv is one file, whose name ends in .csv or .csv.gz"),
        ("cleanlab", "a", "whose name ends in"),
        ("hf", "a.jsonl", "hf is a folder: give --out a name without .jsonl"),
        ("oai", "weak_labels", "without 'weak_labels' in it"),
    ):
        known: Any = format
        with pytest.raises(InputError, match=expected):
            export(nothing, tmp_path / name, known)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="exists and is no folder"):
        export(nothing, tmp_path / "file", "hf")
    with pytest.raises(InputError, match=r"none\.jsonl: no such file"):
        export(nothing, tmp_path / "hub", "hf")
    for made in ("hub", "a.csv"):
        with pytest.raises(InputError, match="cannot write"):
            export(judged(), tmp_path / "file" / made, "csv" if made == "a.csv" else "hf")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_pairs_are_named_in_one_way_only() -> None:
    with pytest.raises(InputError, match="give both"):
        Pairs(first="a")
    with pytest.raises(InputError, match="give one of them"):
        Pairs(first="a", second="b", by="c")
    with pytest.raises(InputError, match="are both 'a'"):
        Pairs(first="a", second="a")
    assert FORMATS == tuple(EXPORTERS)
