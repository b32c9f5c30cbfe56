"""`w2s audit`: drawn, answered and folded by command; what filter and relabel then say; what is refused by code 2."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pandas as pd
import pytest

from w2s_probes.cli import main
from w2s_probes.cli.json_schemas import answer_schema
from w2s_probes.io.tables import read_table, write_table

Call = Callable[..., Any]
Change = tuple[Callable[[pd.DataFrame], pd.DataFrame], str]


@pytest.fixture
def labels(world: Path, tmp_path: Path) -> Path:
    """The label file of the world, whose truth nobody knows."""
    write_table(read_table(world / "weak.jsonl").drop(columns="truth"), tmp_path / "weak.jsonl")
    return tmp_path / "weak.jsonl"


@pytest.fixture
def answer(world: Path) -> Call:
    """Put the truth into an audit, in a person's place."""
    truth = read_table(world / "weak.jsonl").set_index("id")["truth"]

    def call(path: Path, rows: int | None = None) -> Path:
        table = read_table(path)
        said = [int(truth[name]) for name in table["id"]]
        done = path.with_name(f"done{''.join(path.suffixes)}")
        write_table(
            table.assign(truth=[str(value) if rows is None or i < rows else "" for i, value in enumerate(said)]), done
        )
        return done

    return call


@pytest.fixture
def in_json(capsys: pytest.CaptureFixture[str]) -> Call:
    """Run `w2s audit … --json` and give the part of its answer that is there."""

    def call(part: str, *words: object) -> Any:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in ("audit", part, *words, "--json")])
        said = capsys.readouterr()
        assert ended.value.code == 0, said.err
        found = json.loads(said.out)
        jsonschema.validate(found, answer_schema("audit"))
        assert [name for name in found if found[name] is not None] == [part]
        return found[part]

    return call


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Call:
    """The one line with which a command ends in code 2."""

    def call(*words: object) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        said = capsys.readouterr().err
        assert ended.value.code == 2
        assert said.count("\n") == 1
        return said

    return call


@pytest.mark.parametrize("by", ["stratified", "disagreement"])
def test_a_drawn_answered_and_folded_audit_is_what_filter_and_relabel_say(
    by: str, world: Path, labels: Path, answer: Call, in_json: Call, w2s: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    acts, out = world / "acts", labels.with_name("audit.csv")
    drawn = in_json("draw", acts, labels, "--layer", 1, "--k", 9, "--n", 80, "--by", by, "--out", out)
    assert (drawn["rows"], drawn["drawn"], drawn["by"]) == (150, 80, by)
    assert 0 < drawn["least"] < drawn["most"] <= 1
    table = read_table(out)
    assert not {"label", "weak_label", "note"} & set(table.columns)
    done, audited = answer(out), labels.with_name("audited.jsonl")
    folded = in_json("fold", done, labels, acts, "--out", audited)
    known = read_table(world / "weak.jsonl")
    known = known[(known["split"] == "train").to_numpy()]
    wrong = float((known["label"].to_numpy(dtype=float) != known["truth"].to_numpy(dtype=float)).mean())
    for name in ("horvitz_thompson", "hajek", "noise", "contamination"):
        assert folded[name]["low"] <= wrong <= folded[name]["high"]
    assert folded["prediction_powered"]
    assert 0.5 < folded["auroc"]["value"] < 1
    judged = [acts, labels, "--layer", 1, "--by", "knn", "--k", 9, "--audit", audited]
    capsys.readouterr()
    w2s("filter", *judged, "--contamination", 0.3, "--out", labels.with_name("kept.jsonl"))
    said = capsys.readouterr().out
    low, high = (f"{folded['noise'][end]:.0%}" for end in ("low", "high"))
    assert (
        f"{folded['noise']['value']:.0%} [{low}, {high}] of all labels are wrong by the 80 rows with `truth`, each"
        in said
    )
    assert re.search(r"each by the probability with which it was drawn, \d+% \[\d+%, \d+%\] of the rows removed", said)
    w2s("relabel", *judged, "--out", labels.with_name("new.jsonl"), "--json")
    moved = json.loads(capsys.readouterr().out)["by_truth"]
    assert moved["accuracy"]["before"]["value"] == pytest.approx(1 - folded["hajek"]["value"])
    assert moved["auroc"]["before"]["value"] is None
    # The control: of these rows without their weights another accuracy would be said.
    assert moved["accuracy"]["before"]["value"] != pytest.approx(1 - folded["wrong_among_audited"], abs=0.01)


def test_the_same_rows_are_drawn_whatever_the_order_of_the_labels(world: Path, labels: Path, w2s: Call) -> None:
    turned = labels.with_name("turned.csv")
    write_table(read_table(labels).sample(frac=1, random_state=3), turned)
    drawn = []
    for at, path in enumerate((labels, turned)):
        out = labels.with_name(f"audit{at}.csv")
        # Cross-fitted folds and a graph's ties are by order, too.
        w2s(
            "audit",
            "draw",
            world / "acts",
            path,
            "--layer",
            1,
            "--probe",
            "logistic",
            "--n",
            40,
            "--bins",
            3,
            "--out",
            out,
        )
        drawn.append(out.read_text())
    assert drawn[0] == drawn[1]


def test_labels_alone_are_drawn_from_and_the_probe_can_come_when_folding(
    world: Path, labels: Path, answer: Call, in_json: Call, refused: Call, w2s: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    bare, out = labels.with_name("bare.jsonl"), labels.with_name("audit.jsonl")
    write_table(read_table(labels).drop(columns="text"), bare)
    drawn = in_json("draw", bare, "--by", "uniform", "--n", 60, "--out", out, "--rows", world / "rows.jsonl")
    assert (drawn["store"], drawn["strata"], drawn["least"]) == (None, 1, 60 / 150)
    done = answer(out)
    alone = in_json("fold", done, labels)
    assert not alone["prediction_powered"]
    assert alone["auroc"]["value"] is None
    assert "give --layer" in refused("audit", "fold", done, labels, world / "acts")
    helped = in_json("fold", done, labels, world / "acts", "--layer", 1, "--probe", "logistic")
    assert helped["prediction_powered"]
    assert helped["hajek"] == alone["hajek"]
    w2s("audit", "page", out, "--out", out.with_suffix(".html"), "--saves", "mine.csv")
    assert "60 rows to answer; it saves mine.csv" in capsys.readouterr().out
    assert '"file": "mine.csv"' in out.with_suffix(".html").read_text()
    assert in_json("page", out, "--out", out.with_suffix(".html"))["rows"] == 60


def test_what_was_not_typed_of_the_probe_is_the_draws_own(
    world: Path, labels: Path, answer: Call, in_json: Call, refused: Call
) -> None:
    acts, out = world / "acts", labels.with_name("audit.jsonl")
    in_json("draw", acts, labels, "--layer", 1, "--probe", "logistic", "--l2", 10, "--n", 60, "--out", out)
    done = answer(out)
    fold = ("fold", done, labels, acts)
    own = in_json(*fold)
    assert in_json(*fold, "--layer", 1) == own
    assert in_json(*fold, "--probe", "logistic", "--l2", 10) == own
    assert in_json(*fold, "--l2", 1e-4) != own
    assert in_json(*fold, "--layer", 2) != own
    assert in_json(*fold, "--probe", "knn") == in_json(*fold, "--probe", "knn", "--layer", 1, "--k", 50)
    assert "--k is for knn" in refused("audit", *fold, "--k", 5)
    assert "give the STORE that it reads" in refused("audit", "fold", done, labels, "--l2", 0)


def test_what_is_no_finished_audit_of_these_labels_ends_in_code_2(
    labels: Path, answer: Call, refused: Call, w2s: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    out = labels.with_name("audit.csv")
    w2s("audit", "draw", labels, "--n", 60, "--out", out, "--names", "no,yes")
    done = answer(out)
    table = read_table(done)
    other = labels.with_name("other.csv")
    changes: tuple[Change, ...] = (
        (lambda t: t.assign(id=t["id"].to_numpy()[::-1]), "not those that were drawn"),
        (lambda t: t.assign(inclusion_probability="0.5"), "not those that were drawn"),
        (lambda t: t[1:], "1 of the 60 rows drawn are missing"),
        (lambda t: t.assign(truth="perhaps"), "it is 0 or 1, no or yes"),
        (lambda t: pd.concat([t, t[:1]]), "stand twice"),
    )
    for change, said in changes:
        write_table(change(table), other)
        assert said in refused("audit", "fold", other, labels)
    turned = labels.with_name("turned.jsonl")
    write_table(read_table(labels).assign(label=0.3), turned)
    assert "audit of other labels" in refused("audit", "fold", done, turned)
    w2s("audit", "draw", labels, "--n", 60, "--out", out)  # nobody has answered that one
    assert "is an audit with answers" in refused("audit", "draw", labels, "--n", 60, "--out", done)
    half = answer(out, rows=30)
    assert "--partial" in refused("audit", "fold", half, labels)
    w2s("audit", "fold", half, labels, "--partial")
    assert "30 rows audited of 60 drawn, the first in a random order" in capsys.readouterr().out
    write_table(table.assign(truth=["", *table["truth"][1:]]), other)
    assert "number 1 of the drawn order" in refused("audit", "fold", other, labels, "--partial")


def test_rows_of_two_kinds_of_audits_are_not_added_up(
    world: Path, labels: Path, answer: Call, w2s: Call, refused: Call
) -> None:
    out, audited = labels.with_name("audit.csv"), labels.with_name("audited.jsonl")
    w2s("audit", "draw", labels, "--n", 60, "--out", out)
    w2s("audit", "fold", answer(out), labels, "--out", audited)
    table = read_table(audited)
    judge = [
        "filter",
        world / "acts",
        labels,
        "--layer",
        1,
        "--by",
        "knn",
        "--k",
        9,
        "--out",
        labels.with_name("k.jsonl"),
    ]
    changes: tuple[Change, ...] = (
        (
            lambda t: t.assign(inclusion_probability=["", *t["inclusion_probability"][1:]]),
            "has a truth but no inclusion",
        ),
        (
            lambda t: t.assign(inclusion_probability=["high", *t["inclusion_probability"][1:]]),
            "'high': it is in (0, 1]",
        ),
        (lambda t: t.assign(inclusion_probability=1.5), "'1.5': it is in (0, 1]"),
    )
    for change, said in changes:
        write_table(change(table.astype(object)), labels.with_name("other.jsonl"))
        assert said in refused(*judge, "--audit", labels.with_name("other.jsonl"))


def test_a_name_in_json_makes_tasks_for_label_studio(
    labels: Path, w2s: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    out = labels.with_name("tasks.json")
    w2s("audit", "draw", labels, "--n", 60, "--out", out, "--format", "label-studio", "--show-labels")
    assert 'labeling config: <View><Text name="text" value="$text"/>' in capsys.readouterr().out
    tasks = json.loads(out.read_text())
    assert len(tasks) == 60
    assert {"text", "row_id", "weak_label"} <= set(tasks[0]["data"])
