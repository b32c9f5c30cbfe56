"""`w2s foretell`: its table and answer, what it says of measures without a number, and what it refuses."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest

from tests.conftest import ROOT
from w2s_probes import ActivationStore, LogisticProbe
from w2s_probes.cli import main
from w2s_probes.cli.json_schemas import answer_schema
from w2s_probes.foretelling import MEASURES, foretell, track_record
from w2s_probes.io.tables import read_table, write_table
from w2s_probes.probes.saving import save_probe

Call = Callable[..., None]
Failing = Callable[..., str]
PAGE = ROOT / "docs" / "foretelling.md"


def answered(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[dict[str, Any], str]:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in ("foretell", *words, "--json")])
    printed = capsys.readouterr()
    assert ended.value.code == 0
    answer: dict[str, Any] = json.loads(printed.out)
    jsonschema.validate(answer, answer_schema("foretell"))
    return answer, printed.err


def labels_of(world: Path, place: Path, **fields: Any) -> Path:
    """The world's label file, its labels moved off 0 and 1, with further fields."""
    table = read_table(world / "weak.jsonl")
    write_table(table.assign(label=0.1 + 0.8 * table["label"], **fields), place)
    return place


def test_table_and_answer_are_the_librarys_whatever_the_order_of_the_rows(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, out = labels_of(world, tmp_path / "weak.jsonl"), tmp_path / "f.csv"
    words = [world / "acts", labels, "--layer", 1, "--weak-store", world / "acts", "--weak-layer", 0, "--draws", 1]
    answer, said = answered(capsys, *words, "--out", out)
    table = read_table(labels).sort_values("id")
    train = table[table["split"] == "train"]
    store, ids = ActivationStore.open(world / "acts"), train["id"].to_numpy(dtype=object)
    weak_X, y = store.layer(0, ids=ids), train["label"].to_numpy()
    found = foretell(store.layer(1, ids=ids), y, weak_X=weak_X, truth=train["truth"].to_numpy(), draws=1)
    written = pd.read_csv(out)
    assert written["measure"].tolist() == list(MEASURES)
    for name in ("value", "low", "high", "chance"):
        assert written[name].tolist() == pytest.approx(found.to_frame()[name].tolist(), nan_ok=True)
        told = [np.nan if one[name] is None else one[name] for one in answer["labels"]["measures"]]
        assert told == pytest.approx(written[name].tolist(), nan_ok=True)
    for one in answer["labels"]["measures"]:
        past = track_record().correlation(one["measure"])
        assert past is not None
        assert (one["foretold_here"]["value"], one["cells"]) == (past.value, past.n)
        assert one["oracle"] == (one["measure"] in ("CAPA", "robust expansion"))
    assert answer["labels"]["rows"] == 150
    assert "ORACLE: these read truth" in said
    shuffled = tmp_path / "shuffled.jsonl"
    write_table(table.sample(frac=1, random_state=3), shuffled)
    words[1] = shuffled
    assert answered(capsys, *words, "--out", out)[0]["labels"]["measures"] == answer["labels"]["measures"]


def test_what_has_no_number_says_why_and_dropped_rows_are_counted(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [world / "acts", world / "weak.jsonl", "--layer", 1, "--draws", 0, "--out", tmp_path / "f.csv"]
    answer, said = answered(capsys, *words)
    status = {one["measure"]: one["status"] for one in answer["labels"]["measures"]}
    assert status["misfit, KL"] == "infinite: 150 weak labels are 0 or 1"
    assert f"misfit, KL: {status['misfit, KL']}" in said
    assert status["kernel gap"] == "no representation of the supervisor: give its store"
    assert "subspace overlap: no" not in said  # what was not given is no fault
    assert all(one["chance"] is None for one in answer["labels"]["measures"])
    table = read_table(world / "weak.jsonl").drop(columns="truth")
    write_table(table.assign(keep=np.arange(len(table)) % 3 > 0), tmp_path / "kept.jsonl")
    words[1] = tmp_path / "kept.jsonl"
    answer, said = answered(capsys, *words)
    assert "not given" in said
    assert "ORACLE" not in said
    dropped = int((~(np.arange(180) % 3 > 0) & (table["split"] == "train")).sum())
    assert f"{dropped} of these rows an earlier filter dropped" in " ".join(answer["labels"]["remarks"])


def test_trusted_rows_take_the_oracles_place_and_are_weighed_as_they_were_drawn(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, trusted = labels_of(world, tmp_path / "weak.jsonl"), tmp_path / "trusted.csv"
    table = read_table(labels)
    rows = table[table["split"] == "train"].head(60)[["id", "truth"]]
    words = [world / "acts", labels, "--layer", 1, "--draws", 0, "--out", tmp_path / "f.csv", "--trusted", trusted]
    write_table(rows.iloc[::-1], trusted)
    answer, said = answered(capsys, *words)
    capa, expansion = answer["labels"]["measures"][4:]
    assert (capa["n"], capa["trusted"], capa["oracle"], expansion["n"]) == (60, 60, False, 60)
    assert expansion["value"] > 0.3  # of these rows among themselves: edges to others would draw it to 0
    assert "ORACLE" not in said
    drawn = rows.assign(inclusion_probability=np.where(np.arange(60) < 30, 0.9, 0.2), audit_stratum=np.arange(60) < 30)
    write_table(drawn, trusted)
    answer, said = answered(capsys, *words)
    weighed, expansion = answer["labels"]["measures"][4:]
    assert weighed["value"] != pytest.approx(capa["value"])
    assert expansion["status"] == "it counts rows alike, and these were drawn with unequal probabilities"
    assert "known probabilities, by which CAPA weighs them" in said


def test_saved_probes_are_compared_on_the_rows_of_a_store(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = read_table(world / "weak.jsonl")
    store, ids = ActivationStore.open(world / "acts"), table["id"].to_numpy(dtype=object)
    X = store.layer(1, ids=ids)
    rng = np.random.default_rng(0)
    labels, truth = (table[name].to_numpy(dtype=float) for name in ("label", "truth"))
    taught = {"weak": labels, "truth": truth, "luck": rng.permutation(truth)}
    files = [tmp_path / f"{name}.safetensors" for name in taught]
    probes = [LogisticProbe().fit(X, y) for y in taught.values()]
    for probe, file in zip(probes, files, strict=True):
        save_probe(probe, file)
    asked = [word for file in files for word in ("--probe", file)]
    answer, said = answered(capsys, world / "acts", "--layer", 1, *asked, "--out", tmp_path / "p.csv")
    whole = store.layer(1)
    scores = {str(file): whole @ probe.coef_[0] for file, probe in zip(files, probes, strict=True)}
    pairs = answer["probes"]["pairs"]
    assert [(one["first"], one["second"]) for one in pairs] == [
        (str(files[i]), str(files[j])) for i, j in ((0, 1), (0, 2), (1, 2))
    ]
    for one in pairs:
        expected = np.corrcoef(scores[one["first"]], scores[one["second"]])[0, 1]
        assert one["value"] == pytest.approx(expected, abs=1e-5)
        assert one["low"] < one["value"] < one["high"]
        assert one["n"] == 240
    assert pd.read_csv(tmp_path / "p.csv")["value"].tolist() == pytest.approx([one["value"] for one in pairs])
    assert f"{files[0]}, {files[1]}: Mahalanobis cosine" in said
    some = table.head(50).assign(group=np.arange(50) // 2)
    write_table(some, tmp_path / "rows.csv")
    answer, _ = answered(capsys, world / "acts", tmp_path / "rows.csv", "--layer", 1, *asked[:4])
    part = store.layer(1, ids=some["id"].to_numpy(dtype=object))
    expected = np.corrcoef(part @ probes[0].coef_[0], part @ probes[1].coef_[0])[0, 1]
    assert answer["probes"]["pairs"][0]["value"] == pytest.approx(expected, abs=1e-5)


def test_what_cannot_be_foretold_is_refused(world: Path, tmp_path: Path, fails: Failing) -> None:
    words: list[object] = ["foretell", world / "acts", world / "weak.jsonl", "--layer", 1, "--out", tmp_path / "f.csv"]
    assert "--weak-layer is of --weak-store" in fails(*words, "--weak-layer", 0)
    assert "--cache is of --run" in fails(*words, "--cache", tmp_path)
    table = read_table(world / "weak.jsonl")
    write_table(table.assign(label=1), tmp_path / "one.jsonl")
    assert "one class only" in fails(*words[:2], tmp_path / "one.jsonl", *words[3:])
    write_table(pd.DataFrame({"id": ["r0", "stranger"], "label": [0, 1]}), tmp_path / "strange.jsonl")
    assert "'stranger'" in fails(*words[:2], tmp_path / "strange.jsonl", *words[3:])
    write_table(table[["id", "truth"]].assign(id="x" + table["id"]), tmp_path / "t.csv")
    assert f"rows are not in {world / 'weak.jsonl'}: 'x" in fails(*words, "--trusted", tmp_path / "t.csv")
    assert not (tmp_path / "f.csv").exists()
    store = ActivationStore.open(world / "acts")
    wide, narrow = (
        store.layer(1, ids=table["id"].to_numpy(dtype=object)),
        np.random.default_rng(0).normal(size=(180, 3)),
    )
    y = table["truth"].to_numpy(dtype=float)
    for name, X in (("wide", wide), ("narrow", narrow.astype(np.float32))):
        save_probe(LogisticProbe().fit(X, y), tmp_path / f"{name}.safetensors")
    two = ["foretell", world / "acts", "--layer", 1, "--probe", tmp_path / "wide.safetensors"]
    assert "give --probe twice or more" in fails(*two)
    assert "is given twice" in fails(*two, *two[-2:])
    said = fails(*two, "--probe", tmp_path / "narrow.safetensors")
    assert "narrow.safetensors: LogisticProbe is of width 3, the layer of width 32" in said


def test_one_way_of_foretelling_does_not_read_what_another_does(tmp_path: Path, fails: Failing) -> None:
    run, probe = ["--run", tmp_path], ["--probe", "a.safetensors"]
    assert "STORE is not read with --run" in fails("foretell", "acts", *run)
    assert "--trusted is not read with --probe" in fails("foretell", "acts", *probe, "--trusted", "t.csv")
    assert "needs STORE and --layer here" in fails("foretell", *probe)
    assert "needs STORE, LABELS, --layer and --out here" in fails("foretell")
    assert "no folder of `w2s run`" in fails("foretell", *run)
    (tmp_path / "pair").mkdir()
    (tmp_path / "pair" / "run.json").write_text("{}")
    assert "give one of its runs, pair" in fails("foretell", *run)


def test_the_page_runs_and_prints_what_it_says(
    world: Path, tmp_path: Path, w2s: Call, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its commands on files of these names; those about a run are in tests/analyses/forecasts."""
    monkeypatch.chdir(tmp_path)
    for name in ("acts", "weak-acts"):
        (tmp_path / name).symlink_to(world / "acts")
    table = read_table(labels_of(world, tmp_path / "weak.jsonl"))
    write_table(table[table["split"] == "train"][["id", "truth"]].head(50), "trusted.csv")
    store, y = ActivationStore.open("acts"), table["truth"].to_numpy(dtype=float)
    X = store.layer(2, ids=table["id"].to_numpy(dtype=object))
    for name, labels in (("source", table["label"].to_numpy(dtype=float)), ("target", y)):
        save_probe(LogisticProbe().fit(X, labels), Path(f"{name}.safetensors"))
    blocks = re.findall(r"```(\w*)\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    lines = [line for kind, text in blocks if kind == "sh" for line in text.splitlines() if "runs/" not in line]
    assert [line.split()[1] for line in lines] == ["foretell", "foretell"]
    for line in lines:
        w2s(*shlex.split(line)[1:])
    said = capsys.readouterr().out
    assert "truth of 50 rows" in said
    assert "source.safetensors, target.safetensors: Mahalanobis cosine" in said
    (code,) = (text for kind, text in blocks if kind == "python")
    exec(compile(code, PAGE.name, "exec"), {})
    (expected,) = (text for kind, text in blocks if not kind)
    printed = capsys.readouterr().out
    numbers = [[float(number) for number in re.findall(r"-?\d+\.\d+", text)] for text in (printed, expected)]
    assert numbers[0] == pytest.approx(numbers[1], abs=0.02)  # as other processors round
    assert re.sub(r"-?\d+\.\d+", "#", printed) == re.sub(r"-?\d+\.\d+", "#", expected)
