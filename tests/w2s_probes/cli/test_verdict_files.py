"""A filter made in Python writes the file that `w2s filter` writes, and every reader of it reads it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from w2s_probes import ActivationStore, InputError, KNNProbe, LabelSet, LogisticProbe, probe_filter, topo_filter
from w2s_probes.export import export
from w2s_probes.io.tables import read_table, write_table
from w2s_probes.labels.label_set import read_label_table
from w2s_probes.students import HeadStudent

Call = Callable[..., Any]


@pytest.fixture
def place(world: Path, tmp_path: Path) -> Path:
    """A folder of its own with the world's label file and store."""
    for name in ("weak.jsonl", "test.jsonl"):
        shutil.copy(world / name, tmp_path)
    (tmp_path / "acts").symlink_to(world / "acts")
    return tmp_path


def training(place: Path) -> tuple[ActivationStore, LabelSet, Any]:
    table = read_label_table(place / "weak.jsonl")
    weak = LabelSet.from_table(table[table["split"] == "train"])
    store = ActivationStore.open(place / "acts")
    return store, weak, store.layer(2, ids=weak.ids)


FILTERS: dict[str, tuple[list[str], Any]] = {
    "topo": (["--by", "topo", "--k", "10"], lambda X, y: topo_filter(X, y, 10, 10)),
    "knn, per class": (
        ["--by", "knn", "--k", "10", "--per-class"],
        lambda X, y: probe_filter(KNNProbe(10), X, y, per_class=True),
    ),
    "logistic": (["--by", "logistic"], lambda X, y: probe_filter(LogisticProbe(), X, y)),
    "in-sample": (
        ["--by", "knn", "--k", "10", "--in-sample"],
        lambda X, y: probe_filter(KNNProbe(10), X, y, in_sample=True),
    ),
    "anybody's": (["--by", "sklearn.naive_bayes:GaussianNB"], lambda X, y: probe_filter(_bayes(), X, y)),
}


def _bayes() -> Any:
    from sklearn.naive_bayes import GaussianNB

    return GaussianNB()


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_from_python_writes_the_bytes_of_w2s_filter(name: str, w2s: Call, place: Path) -> None:
    options, made = FILTERS[name]
    w2s("filter", place / "acts", place / "weak.jsonl", "--layer", "2", *options, "--out", place / "theirs.jsonl")
    store, weak, X = training(place)
    for kind, y in (("by id", weak), ("by order", weak.p)):
        made(X, y).export(place / "ours.jsonl", place / "weak.jsonl", layer=2, store=store.key)
        assert (place / "ours.jsonl").read_bytes() == (place / "theirs.jsonl").read_bytes(), kind


def test_the_file_is_read_by_student_export_and_report(w2s: Call, place: Path) -> None:
    store, weak, X = training(place)
    result = topo_filter(X, weak, 10, 10)
    result.export(place / "kept.jsonl", place / "weak.jsonl", layer=2, store=store.key)
    w2s("student", place / "acts", place / "kept.jsonl", "--layer", "2", "--out", place / "student")
    w2s("export", place / "kept.jsonl", "--format", "jsonl", "--split", "train", "--out", place / "out.jsonl")
    w2s("report", place)
    assert len(read_table(place / "out.jsonl")) == int(result.mask.sum())
    assert "topo" in (place / "report.html").read_text()


@pytest.mark.parametrize("kind", ["path", "frame", "label set"])
def test_rows_are_joined_by_id_whatever_order_the_labels_stand_in(kind: str, place: Path) -> None:
    _, weak, X = training(place)
    order = np.random.default_rng(0).permutation(len(weak))
    result = topo_filter(X[order], LabelSet(weak.ids[order], weak.p[order]), 10, 10)
    table = read_label_table(place / "weak.jsonl")
    labels: Any = {"path": place / "weak.jsonl", "frame": table, "label set": weak}[kind]
    result.export(place / "kept.csv", labels)
    written = read_label_table(place / "kept.csv").set_index("id")
    assert len(written) == (len(weak) if kind == "label set" else len(table))
    frame = result.to_frame().set_index("id")
    assert frame.index.tolist() == weak.ids[order].tolist()
    judged = written.loc[frame.index]
    assert (judged["keep"].to_numpy() == frame["keep"].to_numpy()).all()
    assert np.allclose(judged["score"].astype(float), frame["score"])
    if kind != "label set":
        assert set(written["reason"][written["split"] == "val"]) == {"not a training row"}
    export(place / "kept.csv", place / "out.jsonl", "jsonl")  # of no layer or store that it knew of
    assert read_table(place / "out.jsonl")[["layer", "store"]].isna().all(axis=None)


def test_an_earlier_verdict_stays(place: Path) -> None:
    store, weak, X = training(place)
    first = topo_filter(X, weak, 10, 10)
    first.export(place / "first.jsonl", place / "weak.jsonl", layer=2, store=store.key)
    second = probe_filter(KNNProbe(10), X, weak)
    second.export(place / "second.jsonl", place / "first.jsonl", layer=2, store=store.key)
    table = read_label_table(place / "second.jsonl").set_index("id").loc[list(weak.ids)]
    assert (table["keep"].to_numpy() == (first.mask & second.mask)).all()


def test_labels_that_were_not_judged_are_refused_and_nothing_is_written(place: Path) -> None:
    _, weak, X = training(place)
    result, plain = topo_filter(X, weak, 10, 10), topo_filter(X, weak.p, 10, 10)
    part = topo_filter(X[:100], LabelSet(weak.ids[:100], weak.p[:100]), 10, 10)
    table = read_label_table(place / "weak.jsonl")
    turned = table.iloc[::-1]
    out = place / "kept.jsonl"
    for one, labels, message in (
        (result, table.assign(label=1 - table["label"]), "the filter judged"),
        (result, LabelSet(weak.ids[1:], weak.p[1:]), "has no row for 1 of 150 ids"),
        (part, table, "50 of 150 training rows were not judged"),
        (plain, turned, "the label of row .* but the filter judged"),
        (plain, table.iloc[:100], "whose ids it does not know"),
        (result, table.assign(score="mine"), "rename that"),
    ):
        with pytest.raises(InputError, match=message):
            one.export(out, labels)
    with pytest.raises(InputError, match=r"weak\.jsonl"):
        result.export(place / "weak.jsonl", place / "weak.jsonl")
    with pytest.raises(InputError, match="unknown format"):
        result.export(place / "kept.txt", table)
    assert not out.exists()


def test_a_student_learns_from_the_frame_of_a_filter(place: Path) -> None:
    _, weak, X = training(place)
    frame = topo_filter(X, weak, 10, 10).to_frame()
    assert frame.columns.tolist() == ["id", "label", "keep", "score", "reason", "p"]
    student = HeadStudent(epochs=2).fit(X[frame["keep"]], frame["label"][frame["keep"]])
    assert student.n_features_in_ == X.shape[1]
    write_table(frame, place / "frame.jsonl")
    assert (read_label_table(place / "frame.jsonl")["keep"].to_numpy() == frame["keep"].to_numpy()).all()
