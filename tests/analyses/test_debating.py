"""A supervisor that reads debates: what its members read and learn, its controls, and what is refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.debate_costs import heard_lengths
from analyses.debates import refuse_debates, share_of_a
from analyses.experiment import Experiment, Method, Outcome
from analyses.experiment.method import run_method
from analyses.experiment.row_sets import SPREAD, RowSets
from analyses.experiment.splits import split_task
from analyses.experiment.task_models import Sources
from analyses.methods import find_methods
from analyses.recipe.debate_settings import BASE
from analyses.recipe.schema import Recipe
from analyses.robustness.robust_run import robust_methods
from analyses.supervisors import debating
from analyses.supervisors.held_out import refuse_without_truth
from extract.costs.lengths import Lengths
from extract.debating import Transcript, Turn, write_transcripts
from tests.worlds.experiments import completed, experiment, outcome_by, truth_of_planted
from tests.worlds.stand_in_debates import (
    ArguedWorld,
    argued,
    best_accuracy,
    best_auroc,
    read_numbers,
    settled,
    written_rows,
)
from tests.worlds.supervising import HEAD, MINIATURE, recipe_with
from w2s_probes import InputError

TEXT = {"kind": "text"}
HELD = "debate.protocol=debate"


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debating, "supervise_alone", read_numbers)


def test_the_best_reader_of_stand_ins_has_a_closed_form() -> None:
    accuracies = [best_accuracy(0), best_accuracy(1), best_accuracy(4), best_accuracy(4, 0.5)]
    assert accuracies == pytest.approx([0.691462, 0.805170, 0.931441, 0.845389], abs=1e-6)
    aurocs = [best_auroc(0), best_auroc(1), best_auroc(4), best_auroc(4, 0.5)]
    assert aurocs == pytest.approx([0.760250, 0.888113, 0.982240, 0.924791], abs=1e-6)


@pytest.mark.parametrize("seed", [0])
def test_fitted_members_come_to_what_an_independent_program_found(seed: int, stand_ins: None, tmp_path: Path) -> None:
    world = ArguedWorld(tmp_path, seed=seed)
    found = {control: world.auroc(control) for control in ("", "none", "single", "shared", "shuffled")}
    loud = ArguedWorld(tmp_path, seed=seed, loud=3.0).auroc()
    # The ranges of five seeds there, and .008 beside them for other rows: two standard errors.
    ranges = {"": (0.921, 0.932), "none": (0.763, 0.768), "single": (0.888, 0.899), "shared": (0.888, 0.899)}
    for control, (low, high) in ranges.items():
        assert low - 0.008 < found[control] < high + 0.008, control
    assert 0.774 - 0.008 < loud < 0.786 + 0.008
    assert abs(found["shuffled"] - found["none"]) < 0.01
    assert found[""] > found["single"] > loud > found["none"]
    assert abs(found[""] - best_auroc(4, 0.5)) < 0.008


def test_a_label_is_the_mean_of_its_members_and_their_spread_is_beside_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = ArguedWorld(tmp_path, n_test=40)
    given = [[0.9, 0.2, 0.6], [0.7, 0.4, 0.3], [0.8, 0.1, 0.55], [0.6, 0.5, 0.35]]

    def in_turn(*_: Any, **__: Any) -> Any:
        return settled({"test": np.array(given.pop(0)), "held out": np.zeros(2)})

    monkeypatch.setattr(debating, "supervise_alone", in_turn)
    labels = world.labels()
    assert set(labels) == {"test", f"{SPREAD}test"}
    assert labels["test"] == pytest.approx([0.75, 0.3, 0.45])
    assert labels[f"{SPREAD}test"] == pytest.approx([0.111803, 0.158114, 0.127475], abs=1e-6)


class Listening:
    """Stands in for a trained supervisor, and remembers what it was given."""

    def __init__(self) -> None:
        self.weak: list[list[str]] = []
        self.texts: list[list[str]] = []

    def __call__(self, weak: Any, sets: RowSets, task_models: Any, *, task: str, seed: int) -> Any:
        self.weak.append(sets.weak["text"].tolist())
        self.texts.append(sets.test["text"].tolist())
        assert not any("label" in table for table in sets.labelled.values())
        return settled({name: np.full(len(table), 0.5) for name, table in sets.labelled.items()})


def test_members_of_every_control_learn_the_same_resamples_of_rows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world, listening = ArguedWorld(tmp_path, "debate.bagging=true", n_test=40), Listening()
    monkeypatch.setattr(debating, "supervise_alone", listening)
    for control in ("none", ""):
        world.labels(control)
    alone = [[text.split()[0] for text in texts] for texts in listening.weak]
    assert alone[:4] == alone[4:]
    assert len({tuple(texts) for texts in alone}) == 4  # each member's own
    assert 550 < len(alone[0]) < 720  # some 63 % of 1,000
    assert all(" " not in text for text in listening.texts[0])
    assert all(text.count("A:") == 1 for text in listening.texts[4])
    assert len({tuple(texts) for texts in listening.texts[4:]}) == 4


def test_controls_change_one_thing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    world, listening = ArguedWorld(tmp_path, n_test=40), Listening()
    monkeypatch.setattr(debating, "supervise_alone", listening)
    read = {}
    for control in ("", "single", "shared", "shuffled", "transcript"):
        listening.texts.clear()
        world.labels(control)
        read[control] = [list(texts) for texts in listening.texts]
    assert [len(texts) for texts in read.values()] == [4, 1, 4, 4, 4]
    assert read["single"][0] == read[""][0]
    assert read["shared"] == [read[""][0]] * 4
    rows = [text.split()[0] for text in read[""][0]]
    assert [text.split()[0] for text in read["shuffled"][0]] == rows
    said = [text.split()[-1] for text in read[""][0]]
    moved = [text.split()[-1] for text in read["shuffled"][0]]
    assert sorted(moved) == sorted(said)
    assert not any(one == other for one, other in zip(said, moved, strict=True))
    assert read["transcript"] == [[text.partition("\n\n")[2] for text in texts] for texts in read[""]]


def test_rows_that_keep_their_own_transcript_are_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    world = ArguedWorld(tmp_path, "debate.shuffled=true", n_test=40)
    monkeypatch.setattr(debating, "supervise_alone", Listening())
    assert world.debating.notes() == {}
    heard = completed(world.debating.heard())
    assert world.debating.facts(heard)["own_kept"] == world.debating.notes()["own_kept"] == 0
    world.debating.sets.test["group"] = "one"
    world.labels("shuffled")
    assert world.debating.notes("shuffled") == {"own_kept": 40}


def test_labels_are_named_by_all_that_decides_them_and_by_no_truth_of_others(tmp_path: Path) -> None:
    file = tmp_path / "said.jsonl"
    world = ArguedWorld(tmp_path, f"debate.file={str(file)!r}", n_test=40)
    write_transcripts(argued(world.debating.rows.assign(label=0.0)), file)
    settings, weak, models = world.debating.settings, world.debating.weak, world.debating.models

    def described(sets: RowSets, **changed: Any) -> dict[str, Any]:
        recipe = recipe_with(tmp_path, TEXT).model_copy(update={"debate": settings.model_copy(update=changed)})
        made = debating.Debating.of(recipe, sets, models, "miniature_price", 0)
        assert made is not None
        return made.description

    sets = world.sets
    assert weak.kind == "text"
    same = described(sets)
    flipped = sets.with_tables({name: table.assign(label=1 - table["label"]) for name, table in sets.labelled.items()})
    assert described(flipped) == same
    assert described(sets.with_tables({"weak": sets.weak.assign(label=1 - sets.weak["label"])})) != same
    assert described(sets, members=2) != same
    write_transcripts(argued(world.debating.rows.assign(label=1.0)), file)
    assert described(sets) != same


PROMPT = "{{ text }}{% for turn in said %} {{ turn.text }}{% endfor %} {{ answer }}"


def prompts_in(folder: Path, **changed: str) -> Path:
    """A file of prompts for plain text, but for those that are empty."""
    every = dict.fromkeys(("debate", "consultancy", "market-making", "no-sides"), PROMPT) | changed
    file = folder / "prompts.toml"
    file.write_text("[plain]\n" + "".join(f"{name} = {json.dumps(text)}\n" for name, text in every.items() if text))
    return file


def test_labels_are_named_by_the_prompts_of_every_protocol_and_by_the_weak_debaters_template(tmp_path: Path) -> None:
    weak = shutil.copytree(MINIATURE / "weak", tmp_path / "weak")

    def key(file: Path) -> Any:
        settings = (f"debate.prompts={str(file)!r}", f"debate.weak_model={str(weak)!r}")
        return ArguedWorld(tmp_path / "world", *settings, n_test=40).debating.description["transcripts"]

    same = key(prompts_in(tmp_path))
    assert key(prompts_in(tmp_path)) == same
    assert key(prompts_in(tmp_path, consultancy=f"{PROMPT} loud")) != same
    (tmp_path / "p.jinja").write_text(PROMPT)
    same = key(tmp_path / "p.jinja")
    config = json.loads((weak / "tokenizer_config.json").read_text())
    config["chat_template"] = "{% for message in messages %}{{ message['content'] }}{% endfor %} loud"
    (weak / "tokenizer_config.json").write_text(json.dumps(config))
    assert key(tmp_path / "p.jinja") != same


def test_market_making_needs_its_own_prompt_before_anything_is_trained_and_no_other(tmp_path: Path) -> None:
    def refuse(*settings: str) -> None:
        file = f"debate.prompts={str(tmp_path / 'prompts.toml')!r}"
        recipe = recipe_with(tmp_path / "recipe", TEXT, file, "debate.max_new_tokens=4", *settings)
        splits = {"miniature_price": split_task(recipe, "miniature_price")}
        refuse_debates(recipe, recipe.methods, splits, Sources())

    held = "debate.protocol=market-making"
    prompts_in(tmp_path, debate="", consultancy="")
    refuse(held)
    prompts_in(tmp_path, **{"market-making": ""})
    for settings in ([held], ["methods=control-debate-market-making"]):
        with pytest.raises(InputError, match=r"no prompt plain[.]market-making, which is needed"):
            refuse(*settings)


def test_market_making_argues_against_opinions_of_rows_that_were_not_learned(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def learns_by_heart(weak: Any, sets: RowSets, task_models: Any, *, task: str, seed: int) -> Any:
        known = dict(zip(sets.weak["id"], sets.weak["label"], strict=True))
        return settled(
            {name: np.array([known.get(row, 0.5) for row in table["id"]]) for name, table in sets.labelled.items()}
        )

    world = ArguedWorld(tmp_path, n_test=40)
    monkeypatch.setattr(debating, "supervise_alone", learns_by_heart)
    naive = completed(world.debating._naive())
    assert set(naive) == set(world.debating.rows["id"])
    assert set(naive.values()) == {0.5}


def test_how_often_a_argues_for_the_truth_is_told_of_rows_with_sides() -> None:
    rows = written_rows(40, "test", 0)
    sets = RowSets(rows.iloc[:0], rows.iloc[:0], rows.iloc[:0], rows)
    for_truth = {
        row: Transcript(row, 0, "debate", {"A": int(y)}, ()) for row, y in zip(rows["id"], rows["label"], strict=True)
    }
    assert share_of_a(sets, [for_truth]) == {"a_for_truth": 1.0, "a_rows": 40}
    against = {row: Transcript(row, 1, "debate", {"A": 1 - one.sides["A"]}, ()) for row, one in for_truth.items()}
    assert share_of_a(sets, [for_truth, against])["a_for_truth"] == 0.5
    assert share_of_a(sets, [{row: Transcript(row, 0, "no-sides", {}, ()) for row in for_truth}]) == {}


def test_a_method_that_does_not_declare_it_sees_no_debate(tmp_path: Path) -> None:
    seen = []

    def looks(view: Experiment) -> Outcome:
        seen.append(view.debates)
        return Outcome({"test": np.zeros(len(view.rows["test"]))})

    world = ArguedWorld(tmp_path, n_test=40)
    view = replace(experiment(tmp_path), debates=world.debating)
    for method in (Method(looks), Method(looks, debates=True)):
        completed(run_method("looks", method, view, truth_of_planted()))
    assert seen == [None, world.debating]
    with pytest.raises(InputError, match="there is no debate"):
        outcome_by(BASE, experiment(tmp_path))


@pytest.mark.parametrize(
    ("weak", "settings", "told"),
    [
        (TEXT, ["debate.turns=1"], "a debate needs at least 2, one of each side"),
        (TEXT, ["debate.members=0"], "debate.members"),
        (TEXT, ["debate.turns=0", "debate.protocol=consultancy"], "debate.turns"),
        (TEXT, ["debate.temperature=0"], "debate.temperature"),
        (TEXT, ["debate.file=said.jsonl", "debate.model=gpt2"], "file and model exclude each other"),
        ({"kind": "labels", "file": "l.csv"}, [HELD], "kind 'labels' reads no transcripts: set weak.kind to text"),
        ({"kind": "simulated", "errors": "random"}, [HELD], "kind 'simulated' reads no transcripts"),
        ({"kind": "prior", "model": HEAD["model"]}, [HELD], "kind 'prior' reads no transcripts"),
        (TEXT, [f"methods={BASE},student-xent"], f"method '{BASE}' is a control of a debate: add \\[debate\\]"),
        (TEXT, ["methods=control-debate-single", "debate.protocol=none"], "holds no debate: leave control-debate-s"),
        (TEXT, ["methods=control-debate-weak", HELD], "set debate.weak_model, or leave it out"),
        (TEXT, ["debate.protocol=quarrel"], "debate.protocol"),
        (TEXT, ["debate.protocl=debate"], "did you mean 'debate.protocol'"),
    ],
)
def test_a_debate_that_cannot_be_is_refused_in_a_line(
    weak: dict[str, Any], settings: list[str], told: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=told) as error:
        recipe_with(tmp_path, weak, *settings)
    assert "\n" not in str(error.value)


def test_wherever_a_debate_is_held_the_supervisor_without_transcripts_is_a_method(tmp_path: Path) -> None:
    assert recipe_with(tmp_path, TEXT, HELD).methods == [BASE, "student-xent"]
    assert recipe_with(tmp_path, TEXT, HELD, f"methods=student-xent,{BASE}").methods == ["student-xent", BASE]
    assert recipe_with(tmp_path, TEXT, "debate.protocol=none").methods == ["student-xent"]
    assert recipe_with(tmp_path, TEXT).methods == ["student-xent"]


def said_of(rows: pd.Series, protocol: str = "debate", members: int = 4) -> list[Transcript]:
    turns: tuple[Turn, ...] = (Turn("A", 1, "surely"), Turn("B", 0, "never"), Turn("A", 1, "surely so"))
    turns = turns if protocol == "debate" else tuple(turn for turn in turns if turn.speaker == "A")
    sides = {turn.speaker: turn.side or 0 for turn in turns}
    return [Transcript(row, member, protocol, sides, turns) for member in range(members) for row in rows]


@pytest.mark.parametrize(
    ("change", "settings", "told"),
    [
        ({"rows": pd.Series(["x1", "x2"])}, [], "none of them match: are these of other rows"),
        ({"protocol": "consultancy"}, [], "its protocol is consultancy, and debate was asked for"),
        ({"members": 3}, [], "member 3 has no transcript of 680 of 680 rows"),
        ({}, ["methods=control-debate-no-sides"], "has a model argue, and debate.file gives the transcripts"),
        ({}, [], ""),
        ({"members": 1}, ["debate.shared=true"], ""),
    ],
)
def test_files_of_transcripts_are_checked_before_anything_is_trained(
    change: dict[str, Any], settings: list[str], told: str, tmp_path: Path
) -> None:
    file = tmp_path / "said.jsonl"
    recipe: Recipe = recipe_with(tmp_path, TEXT, f"debate.file={str(file)!r}", *settings)
    splits = {"miniature_price": split_task(recipe, "miniature_price")}
    rows = pd.concat(list(splits["miniature_price"][0].tables.values()))["id"]
    write_transcripts(said_of(**{"rows": rows, **change}), file)
    if not told:
        refuse_debates(recipe, recipe.methods, splits, Sources())
        return
    with pytest.raises(InputError, match=told) as error:
        refuse_debates(recipe, recipe.methods, splits, Sources())
    assert "\n" not in str(error.value)


def test_methods_that_need_one_supervisor_are_refused_beside_a_debate(tmp_path: Path) -> None:
    recipe = recipe_with(tmp_path, TEXT, HELD, "methods=gate-learned,student-xent")
    splits = {"miniature_price": split_task(recipe, "miniature_price")}
    with pytest.raises(InputError, match="each member of one that reads a debate holds out others"):
        refuse_without_truth(recipe, find_methods(recipe.methods), splits)
    with pytest.raises(InputError, match="labels under attack are made without any transcripts"):
        robust_methods(recipe, oracle=False)


def test_a_plan_counts_what_the_members_of_every_control_read(tmp_path: Path) -> None:
    bare = Lengths(np.array([20, 120]), 0, 128)
    recipe = recipe_with(tmp_path, TEXT, HELD, "debate.max_new_tokens=4", "methods=control-debate-single,student-xent")
    heard = heard_lengths(recipe, bare)  # bare ones of `none`, then four members' and one's, each three turns longer
    assert heard.tokens.tolist() == [20, 120] + [32, 128] * 5
    assert heard.cut == 5
    assert heard_lengths(recipe_with(tmp_path, TEXT), bare) is bare
