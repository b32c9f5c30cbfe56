"""Bad input ends with exit code 2 and one line that names the place and the remedy, and leaves nothing behind."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

from tests.conftest import shard_file
from w2s_probes.io.tables import read_table, write_table

Failing = Callable[..., str]

BAD: dict[str, tuple[Callable[[Path], list[Any]], str]] = {
    "an unknown layer": (
        lambda w: ["filter", w / "acts", w / "weak.jsonl", "--layer", 9, "--out", w / "out.jsonl"],
        r"layer 9 is outside 0\.\.3",
    ),
    "a layer that is no layer": (
        lambda w: ["relabel", w / "acts", w / "weak.jsonl", "--layer", "top", "--out", w / "out.jsonl"],
        "layer 'top' is not an index",
    ),
    "k beyond the rows": (
        lambda w: ["filter", w / "acts", w / "weak.jsonl", "--layer", 1, "--k", 150, "--out", w / "out.jsonl"],
        "k=150 needs at least 151 rows, got 150: lower k or add data",
    ),
    "one class only": (
        lambda w: ["filter", w / "acts", edited(w, label=1), "--layer", 1, "--out", w / "out.jsonl"],
        r"one class only: all 150 labels are above 0\.5",
    ),
    "a label outside [0, 1]": (
        lambda w: ["relabel", w / "acts", edited(w, label=-0.25), "--layer", 1, "--out", w / "out.jsonl"],
        r"the label of row 'r\d+' is -0\.25; labels are P",
    ),
    "labels that match no row": (
        lambda w: ["relabel", w / "acts", edited(w, id="x"), "--layer", 1, "--out", w / "out.jsonl"],
        r"has no row for 150 of 150 ids of .*: .* \(none of them match: are these labels of other rows\?\)",
    ),
    "a doubled id": (
        lambda w: [
            "filter",
            w / "acts",
            written(w, '{"id": "r1", "label": 1}\n' * 2),
            "--layer",
            1,
            "--out",
            w / "o.jsonl",
        ],
        "ids must be unique, but these stand twice: 'r1'",
    ),
    "a missing id": (
        lambda w: ["filter", w / "acts", written(w, '{"label": 1}\n'), "--layer", 1, "--out", w / "o.jsonl"],
        "no field 'id'",
    ),
    "a line that is not JSON": (
        lambda w: [
            "filter",
            w / "acts",
            written(w, '{"id": "r1", "label": 1}\nlabel 0\n'),
            "--layer",
            1,
            "--out",
            w / "o.jsonl",
        ],
        r"bad\.jsonl, line 2: not JSON",
    ),
    "an empty text": (
        lambda w: ["extract", w / "acts", "--rows", written(w, '{"id": "a", "text": " "}\n'), "--out", w / "new"],
        "row 'a' has an empty text",
    ),
    "a model folder without weights": (
        lambda w: ["extract", weightless(w), "--rows", w / "rows.jsonl", "--out", w / "new"],
        r"the folder has no weights \(\*\.safetensors\)",
    ),
    "a truncated shard": (
        lambda w: ["filter", damaged(w, truncate), w / "weak.jsonl", "--layer", 1, "--out", w / "out.jsonl"],
        r"shard-00000-\w+\.h5: \d+ bytes, the manifest says \d+: missing or truncated; `w2s repair`",
    ),
    "a manifest of another version": (
        lambda w: ["verify", damaged(w, other_version)],
        "schema version 7, but this release reads version 2",
    ),
    "not a store": (lambda w: ["verify", w], "not an activation store"),
    "no store": (lambda w: ["verify", w / "nowhere"], "no such store; make one with `w2s extract`"),
    "a repair of no store": (lambda w: ["repair", w / "nowhere"], "no such store; make one with `w2s extract`"),
    "a cache that is no folder": (
        lambda w: ["cache", "ls", w / "rows.jsonl"],
        r"rows\.jsonl: no such folder; name the one that holds stores, or set W2S_CACHE",
    ),
    "garbage of no folder": (lambda w: ["cache", "gc", w / "nowhere"], "nowhere: no such folder"),
    "an output of unknown format": (
        lambda w: ["filter", w / "acts", w / "weak.jsonl", "--layer", 1, "--out", w / "out.txt"],
        "unknown format; the name must end in",
    ),
    "a contamination of one": (
        lambda w: [
            "filter",
            w / "acts",
            w / "weak.jsonl",
            "--layer",
            1,
            "--k",
            9,
            "--contamination",
            1,
            "--out",
            w / "o.jsonl",
        ],
        r"contamination=1\.0 must be in \[0, 1\)",
    ),
    "half a surrogate pair": (
        lambda w: ["extract", w / "acts", "--rows", written(w, '{"id": "a", "text": "\\ud800"}\n'), "--out", w / "new"],
        r"bad\.jsonl, line 1: not JSON",
    ),
    "JSON nested beyond reason": (
        lambda w: filtered_by(w, written(w, '{"id": ' + "[" * 99999 + "\n")),
        r"bad\.jsonl, line 1: not JSON",
    ),
    "an unknown split": (
        lambda w: filtered_by(w, edited(w, split="dev")),
        r"the split of row 'r\d+' is 'dev'; use train, val or test",
    ),
    "a split that is missing in a row": (
        lambda w: filtered_by(w, edited(w, split=None)),
        r"the split of row 'r\d+' is 'None'; use train, val or test",
    ),
    "a truth that is no label": (
        lambda w: filtered_by(w, edited(w, truth="yes")),
        "the truth of row 'r\\d+' is 'yes'; labels are numbers",
    ),
    "stored activations that are NaN": (
        lambda w: ["filter", damaged(w, not_a_number), w / "weak.jsonl", "--layer", 1, "--out", w / "o.jsonl"],
        r"layer 1 is not finite for 1 rows, first 'r0': extract with another --dtype",
    ),
    "a manifest that points elsewhere": (
        lambda w: ["verify", damaged(w, points_elsewhere)],
        "not a valid manifest",
    ),
    "a zeta that is no share": (
        lambda w: [*filtered(w, "topo"), "--k", 9, "--zeta", "nan"],
        "zeta=nan must be at least 0",
    ),
    "a penalty beyond numbers": (
        lambda w: [*filtered(w, "logistic"), "--l2", "1e308"],
        r"l2=1e\+308 must be in \[0, 1e\+08\]",
    ),
    "columns of several types in Parquet": (
        lambda w: [*filtered_by(w, edited(w, note="x", mixed=True))[:-1], w / "o.parquet"],
        "column 'mixed' has values of several types; write .jsonl instead",
    ),
    "a name too long for any disk": (
        lambda w: ["filter", w / "acts", w / ("x" * 300 + ".jsonl"), "--layer", 1, "--out", w / "o.jsonl"],
        "File name too long",
    ),
    "a probe that does not exist": (
        lambda w: filtered(w, "topology"),
        "--by topology: did you mean 'topo'",
    ),
    "a classifier of no module": (
        lambda w: filtered(w, "sklearn.nowhere:Class"),
        "--by sklearn.nowhere:Class: cannot be made",
    ),
    "a classifier without probabilities": (
        lambda w: filtered(w, "sklearn.svm:LinearSVC"),
        "--by sklearn.svm:LinearSVC: has no predict_proba",
    ),
    "an index that is none": (
        lambda w: [*filtered(w, "knn"), "--k", 9, "--index", "IVF"],
        "index='IVF' is neither 'exact', 'cuda', 'approximate' nor a faiss factory string",
    ),
    "an approximate index of rows scored with themselves": (
        lambda w: [*filtered(w, "knn"), "--k", 9, "--index", "approximate", "--in-sample"],
        "--in-sample with --index approximate: how many neighbours it finds",
    ),
    "a zeta and a contamination": (
        lambda w: [*filtered(w, "topo"), "--mode", "paper", "--contamination", 0.1],
        "--contamination is not used where a zeta decides",
    ),
    "a cap beyond all rows": (
        lambda w: [*filtered(w, "topo"), "--k", 9, "--max-removed", 1.5],
        r"max_removed=1\.5 must be in \[0, 1\]",
    ),
    "a zeta for knn": (
        lambda w: [*filtered(w, "knn"), "--zeta", 0.5],
        "--zeta is for topo: with --by knn give --contamination",
    ),
    "neighbours for logistic": (
        lambda w: [*filtered(w, "logistic"), "--k", 9],
        "--k is for knn, topo and graph: leave it out with --by logistic",
    ),
    "components for knn": (
        lambda w: [*filtered(w, "knn"), "--connectivity", "weak"],
        "--connectivity is for topo: leave it out with --by knn",
    ),
    "an index for somebody's classifier": (
        lambda w: [*filtered(w, "sklearn.naive_bayes:GaussianNB"), "--index", "exact"],
        "--index is for knn, topo and graph: leave it out with --by sklearn",
    ),
    "a device that is not there": (
        lambda w: [*filtered(w, "logistic"), "--device", "cuda:77"],
        "device='cuda:77': torch cannot use this device",
    ),
    "a device of a student that is not there": (
        lambda w: ["student", w / "acts", w / "none.jsonl", "--layer", 1, "--device", "cuda:77", "--out", w / "new"],
        "device='cuda:77': torch cannot use this device",  # before the labels are looked for
    ),
    "a device of a sweep that is not there": (
        lambda w: ["sweep", w / "none", w / "weak.jsonl", "--device", "cuda:77", "--out", w / "new.csv"],
        "device='cuda:77': torch cannot use this device",
    ),
    "a device of tokens that is not there": (
        lambda w: ["tokens", w / "none", w / "x.jsonl", "--layer", 1, "--device", "cuda:77", "--out", w / "o.jsonl"],
        "device='cuda:77': torch cannot use this device",
    ),
    "a device of a recipe that is not there": (
        lambda w: ["run", "demo", "--out", w / "new", "--set", "device=cuda:77"],
        "device='cuda:77': torch cannot use this device",
    ),
    "a device of a robust run that is not there": (
        lambda w: ["robust", "demo", "--out", w / "new", "--set", "device=cuda:77"],
        "device='cuda:77': torch cannot use this device",
    ),
    "a numbered device with GPUs for each process": (
        lambda w: ["run", "demo", "--out", w / "new", "--gpus-per-job", 1, "--set", "device=cuda:1"],
        "device = 'cuda:1' with --gpus-per-job: each process sees its own GPUs, the first as cuda: give 'cuda'",
    ),
    "a penalty for topo": (
        lambda w: [*filtered(w, "topo"), "--l2", 1],
        "--l2 is for logistic, mlp, channel and confident: leave it out with --by topo",
    ),
    "a folder in a head's place": (
        lambda w: [*trained(w), "--test", w / "test.jsonl", "--out", with_folder(w / "new" / "head.safetensors")],
        r"new/head\.safetensors: a folder stands where a file is to be written: give another --out",
    ),
    "a filter that left nothing": (
        lambda w: ["student", w / "acts", edited(w, keep=False), "--layer", 1, "--out", w / "new"],
        "no row is left to train on",
    ),
    "test rows of one class": (
        lambda w: [*trained(w), "--test", edited(w, file="test.jsonl", truth=1), "--out", w / "new"],
        "one class only: the truth of all 60 test rows",
    ),
    "test rows that a student learns from": (
        lambda w: [*trained(w), "--test", w / "weak.jsonl", "--out", w / "new"],
        r"weak\.jsonl: row 'r0' is a training or validation row of .*weak\.jsonl: test rows must be others",
    ),
    "an unknown recipe": (lambda w: ["run", w / "no.toml", "--out", w / "new"], "no such recipe"),
    "an output in the way": (
        lambda w: [
            "relabel",
            w / "acts",
            w / "weak.jsonl",
            "--layer",
            1,
            "--k",
            9,
            "--out",
            w / "rows.jsonl" / "x.jsonl",
        ],
        "cannot write",
    ),
}


def files(folder: Path) -> list[str]:
    """All but the neighbour graphs: those are whole, and serve the next try."""
    return sorted(str(path) for path in folder.rglob("*") if not path.name.startswith("neighbors-"))


def filtered_by(folder: Path, labels: Path) -> list[Any]:
    return ["filter", folder / "acts", labels, "--layer", 1, "--k", 9, "--out", folder / "o.jsonl"]


def filtered(folder: Path, by: str) -> list[Any]:
    out = folder / "o.jsonl"
    return ["filter", folder / "acts", folder / "weak.jsonl", "--layer", 1, "--by", by, "--out", out]


def trained(folder: Path) -> list[Any]:
    return ["student", folder / "acts", folder / "weak.jsonl", "--layer", 1, "--epochs", 1]


def written(folder: Path, text: str) -> Path:
    (folder / "bad.jsonl").write_text(text)
    return folder / "bad.jsonl"


def edited(folder: Path, **values: Any) -> Path:
    """The label file, or another `file`, with a field set in every row; `id` is given a prefix."""
    table = read_table(folder / values.pop("file", "weak.jsonl"))
    if values.pop("mixed", False):
        table["mixed"] = [i if i % 2 else str(i) for i in range(len(table))]
    for name, value in values.items():
        table[name] = value + table["id"] if name == "id" else value
    write_table(table, folder / "bad.jsonl")
    return folder / "bad.jsonl"


def with_folder(path: Path) -> Path:
    """The folder that has a folder of this name."""
    path.mkdir(parents=True)
    return path.parent


def weightless(folder: Path) -> Path:
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text('{"model_type": "llama"}')
    return folder / "model"


def damaged(folder: Path, how: Callable[[Path], object]) -> Path:
    how(folder / "acts")
    return folder / "acts"


def truncate(store: Path) -> None:
    shard = shard_file(store)
    shard.write_bytes(shard.read_bytes()[:5000])


def not_a_number(store: Path) -> None:
    with h5py.File(shard_file(store), "r+") as file:
        file["layer_001"][0, 0] = float("nan")


def points_elsewhere(store: Path) -> None:
    manifest = store / "manifest.json"
    manifest.write_text(manifest.read_text().replace("shard-00000", "../shard-00000"))


def other_version(store: Path) -> None:
    manifest = store / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"schema_version": 2', '"schema_version": 7'))


@pytest.mark.parametrize("case", BAD)
def test_bad_input_ends_in_one_line_and_leaves_nothing(case: str, world: Path, tmp_path: Path, fails: Failing) -> None:
    folder = shutil.copytree(world, tmp_path / "world")
    command, message = BAD[case]
    arguments = command(folder)
    before = files(folder)
    assert re.search(message, fails(*arguments))
    assert files(folder) == before
