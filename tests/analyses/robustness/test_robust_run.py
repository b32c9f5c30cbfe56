"""`w2s robust` on the miniature: what it writes, that it goes on after a kill, and that it reads no test truth."""

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.experiment.trusted_rows import Trusted
from analyses.lessons import teaching
from analyses.methods import METHODS
from analyses.recipe.read import read_recipe
from analyses.robustness.robust_dry_run import robust_stages, stage_lines
from analyses.robustness.robust_files import (
    DRAWS,
    PAYOFF,
    PAYOFF_COLUMNS,
    REPLAY_CURVES,
    REPLAYED,
    ROBUST_RECORD,
    STUDENTS_CHOSEN,
)
from analyses.robustness.robust_result import RobustResult
from analyses.robustness.robust_run import run_robust
from tests.analyses.robustness.conftest import SMALL, robust_recipe, tables
from tests.conftest import ROOT
from w2s_probes.errors import InputError
from w2s_probes.io.json_files import read_json
from w2s_probes.io.sealed import not_as_written
from w2s_probes.io.tables import read_table

Made = tuple[Path, RobustResult]
ATTACKS = ["own", "random@0.3", "strong-confidently-correct@0.3"]


def test_the_payoff_table_has_every_student_under_every_attack(made: Made) -> None:
    out, found = made
    payoff = pd.read_csv(out / PAYOFF)
    assert list(payoff) == PAYOFF_COLUMNS
    assert [attack.name for attack in found.choice.payoffs.attacks] == ATTACKS
    assert len(payoff) == 3 * 3 * (2 + 1)
    assert set(payoff["judged"]) == {"held-out"}
    assert not payoff["oracle"].any()
    assert (payoff["trusted"][payoff["seeds"] == 1] == 400).all()
    once = len({*found.runs[0].trial.sets.weak["id"], *found.runs[1].trial.sets.weak["id"]})
    assert 400 < once < 800
    assert (payoff["trusted"][payoff["seeds"] == 2] == once).all()
    assert ((payoff["low"] <= payoff["value"]) & (payoff["value"] <= payoff["high"])).mean() > 0.9
    means = payoff[payoff["seed"].notna()].groupby(["student", "family"])["value"].mean()
    over = payoff[payoff["seed"].isna()].set_index(["student", "family"])["value"]
    assert over.sort_index().to_numpy() == pytest.approx(means.sort_index().to_numpy())
    draws = pd.read_parquet(out / DRAWS)
    assert len(draws) == 100 * 3 * 3
    assert not_as_written(out / ROBUST_RECORD, read_json(out / ROBUST_RECORD)) == {}


def test_labels_have_exactly_the_errors_that_the_attack_says(made: Made) -> None:
    out, found = made
    files = sorted(file.name for file in (out / "labels").iterdir())
    assert files == [
        f"miniature_price-{seed}-{attack}.jsonl"
        for seed in (0, 1)
        for attack in ("own", "random-0.3", "strong-confidently-correct-0.3")
    ]
    labels = read_table(out / "labels" / "miniature_price-1-random-0.3.jsonl")
    for part in ("train", "val"):
        here = labels[labels["split"] == part]
        assert (here["label"] != here["truth"]).sum() == round(0.3 * len(here))
    sets = found.runs[1].trial.sets
    assert not set(labels["id"]) & set(sets.test["id"]), "rows that judge have no labels"
    assert len(labels) + len(sets.test) == 400
    rates = read_json(out / ROBUST_RECORD)["trials"]["miniature_price, seed 1"]["error_rates"]
    assert rates["random@0.3"] == pytest.approx(0.3, abs=0.01)
    assert 0.02 < rates["own"] < 0.5


def test_errors_where_the_strong_model_is_sure_cost_a_student_more_than_random_ones(made: Made) -> None:
    value = made[1].choice.payoffs.value
    assert (value[:, 2] < value[:, 1] - 0.02).all()
    assert made[1].choice.payoffs.value.min() > 0.4


def test_permuted_judging_labels_keep_no_student_and_replays_stay_within_hedges_bound(made: Made) -> None:
    out, found = made
    controls = pd.read_csv(out / "controls.csv")
    permuted = controls[controls["control"] == "judging labels permuted"].iloc[0]
    assert permuted["student"].startswith("0 kept")
    assert permuted["mean"] == pytest.approx(0.5, abs=0.08)
    assert set(controls["control"]) >= {"best mean", "minimax", "uniform", "every student, best for each attack"}
    assert controls[controls["control"].str.startswith("every")]["oracle"].all()
    replayed = pd.read_csv(out / REPLAYED).set_index(["schedule", "learner"])
    assert {name for name, _ in replayed.index} == {"steady", "switch", "periods", "random"}
    hedge = replayed.xs("hedge", level="learner")
    assert (hedge["high"] < hedge["bound"]).all()
    assert (replayed.xs("best fixed in hindsight", level="learner")["regret"] == 0).all()
    assert replayed[replayed["oracle"]].index.get_level_values("learner").nunique() == 2
    curves = pd.read_csv(out / REPLAY_CURVES)
    ends = curves[curves["round"] == 100].set_index(["schedule", "learner"])["regret"]
    assert ends.sort_index().to_numpy() == pytest.approx(replayed["regret"].sort_index().to_numpy())
    assert found.arms


def test_with_test_labels_turned_around_every_table_is_the_same(made: Made, tmp_path: Path) -> None:
    for part in ("train", "test"):
        there = ROOT / f"data/miniature/rows/miniature_price/{part}.jsonl.gz"
        turned = [json.loads(row) for row in gzip.decompress(there.read_bytes()).decode().splitlines()]
        if part == "test":
            turned = [row | {"label": 1 - row["label"]} for row in turned]
        (tmp_path / "rows/miniature_price").mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(row) + "\n" for row in turned)
        (tmp_path / f"rows/miniature_price/{part}.jsonl").write_text(text)
    run_robust(robust_recipe(f"data.folder={tmp_path / 'rows'}"), tmp_path / "out")
    assert tables(tmp_path / "out") == tables(made[0])


class Killed(Exception):
    """The end of a process in the middle of its work."""


def test_a_run_that_was_killed_goes_on_and_ends_with_the_same_tables(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught: list[int] = []
    teach_heads = teaching.teach_heads

    def counted(lessons: Any) -> Any:
        taught.append(len(lessons))
        return teach_heads(lessons)

    def killed(doing: str, done: int, total: int) -> None:
        assert done <= total
        if "seed 1" in doing and taught:
            raise Killed

    monkeypatch.setattr(teaching, "teach_heads", counted)
    with pytest.raises(Killed):
        run_robust(robust_recipe(), tmp_path, killed)
    assert sum(taught) == 9, "the first seed's students"
    assert not (tmp_path / ROBUST_RECORD).exists()
    run_robust(robust_recipe(), tmp_path)
    assert sum(taught) == 18, "and then those of the second alone"
    assert tables(tmp_path) == tables(made[0])


def test_a_dry_run_says_what_is_to_do_and_makes_nothing(made: Made, tmp_path: Path) -> None:
    stages = robust_stages(robust_recipe(), tmp_path)
    assert len(stages) == 2 * (1 + 1 + 3 * 3)
    assert not any(stage.kept for stage in stages)
    assert list(tmp_path.iterdir()) == []
    before = {file: file.stat().st_mtime_ns for file in made[0].rglob("*")}
    assert all(stage.kept for stage in robust_stages(robust_recipe(), made[0]))
    more = robust_stages(robust_recipe("robustness.rates=[0.3,0.1]"), made[0])
    assert {stage.attack for stage in more if not stage.kept} == {"random@0.1", "strong-confidently-correct@0.1"}
    assert stage_lines(more)[-1] == "12 of 34 stages to do"
    assert {file: file.stat().st_mtime_ns for file in made[0].rglob("*")} == before


def test_a_dry_run_lists_the_activations_of_every_token_where_they_are_read(made: Made) -> None:
    named = {stage.name for stage in robust_stages(robust_recipe("methods=student-xent,probe-attention"), made[0])}
    assert "activations of every token" in named
    assert "activations of every token" not in {stage.name for stage in robust_stages(robust_recipe(), made[0])}


def test_the_truth_of_test_rows_describes_where_it_is_asked_for_and_chooses_nothing(made: Made, tmp_path: Path) -> None:
    recipe = robust_recipe(
        "seeds=[0]", "methods=student-xent,relabel-knn,control-oracle-filter", "robustness.rounds=20"
    )
    with pytest.raises(InputError, match="'control-oracle-filter' reads the truth, which no choice may"):
        run_robust(recipe, tmp_path, cache=made[0])
    assert list(tmp_path.iterdir()) == []
    found = run_robust(recipe, tmp_path, cache=made[0], oracle=True)
    payoff = pd.read_csv(tmp_path / PAYOFF)
    assert payoff[payoff["judged"] == "test"]["oracle"].all()
    assert set(payoff[payoff["judged"] == "test"]["n"]) == {300}
    chosen = payoff[payoff["judged"] == "held-out"]
    assert set(chosen["student"][chosen["oracle"]]) == {"control-oracle-filter"}
    students = pd.read_csv(tmp_path / STUDENTS_CHOSEN)
    assert students.set_index("student")["mean"].to_dict() == pytest.approx(
        chosen.groupby("student")["value"].mean().to_dict()
    )
    assert all(one.oracle for one in found.played if one.learner == "hedge") == ("control-oracle-filter" in found.arms)


def test_attention_pools_each_attack_by_its_own_labels_whichever_comes_first(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    small = ["seeds=[0]", "weak={kind='text', n_truth=150}", "methods=probe-logistic,probe-knn", "probes.knn_k=5"]
    small += ["strong.position='attention'", "probes.attention={hidden=4, epochs=4}", "robustness.rounds=20"]
    value = {}
    for first, last in (("random", "longest"), ("longest", "random")):
        recipe = robust_recipe(*small, f"robustness.families={first},{last}", "data.n_test=40")
        payoffs = run_robust(recipe, tmp_path / first).choice.payoffs
        value[first] = dict(zip([attack.family for attack in payoffs.attacks], payoffs.value.T.tolist(), strict=True))
    assert value["random"] == value["longest"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "strong.position='regex:zzzqq'",
            r"task miniature_price: position 'regex:zzzqq' is nowhere in \d{3} of",
        ),
        ("strong.site='logits:zzzqq'", r"model .*strong: site logits: 'zzzqq' is not in its vocabulary"),
    ],
)
def test_what_the_strong_model_is_not_read_at_is_refused_before_anything_is_trained(
    setting: str, message: str, tmp_path: Path
) -> None:
    for call in (run_robust, robust_stages):
        with pytest.raises(InputError, match=message):
            call(robust_recipe(setting), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["methods=student-xent"], "student-xent alone leaves nothing to choose"),
        (["weak={kind='labels', file='x.csv'}"], "has no weak-train rows"),
        (["methods=student-xent,bootstrap"], "needs models between"),
        (["weak={kind='text', n_truth=10}"], "of one class or none|folds"),
        (["robustness.families=own"], "own leaves labels of one class"),
    ],
    ids=range(5),
)
def test_recipes_that_leave_nothing_to_try_are_refused_and_nothing_is_written(
    made: Made, tmp_path: Path, settings: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run_robust(robust_recipe("weak.n_truth=60", *settings), tmp_path / "out", cache=tmp_path / "cache")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["gate-variance", "gate-ceiling", "control-gate-shuffled:gate-entropy"])
def test_a_gate_and_its_controls_are_refused_before_anything_is_trained(name: str, tmp_path: Path) -> None:
    recipe = robust_recipe(f"methods=student-xent,relabel-knn,{name}")
    with pytest.raises(InputError, match=f"'{name}' mixes in the supervisor's scores of the rows that judge"):
        run_robust(recipe, tmp_path / "out", oracle=True)
    with pytest.raises(InputError, match="leave it out"):
        robust_stages(recipe, tmp_path / "out", oracle=True)
    assert not (tmp_path / "out").exists()


def test_another_method_that_reads_the_supervisors_scores_is_left_out_with_the_reason(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METHODS, "mixed-in", METHODS["gate-variance"])
    recipe = robust_recipe("methods=student-xent,mixed-in,relabel-knn", "seeds=[0]", "robustness.rounds=20")
    found = run_robust(recipe, tmp_path, cache=made[0])
    assert found.choice.payoffs.students == ["student-xent", "relabel-knn"]
    assert found.left_out.keys() == {"mixed-in"}
    assert "reads the supervisor's scores of the rows that judge" in found.left_out["mixed-in"]
    assert read_json(tmp_path / ROBUST_RECORD)["left_out"] == found.left_out
    stages = robust_stages(recipe, made[0])
    assert {stage.name for stage in stages if "mixed" in stage.name} == {"mixed-in (left out)"}
    assert all(stage.kept for stage in stages)
    with pytest.raises(InputError, match="1 student is left to choose among: mixed-in cannot be used"):
        run_robust(robust_recipe("methods=student-xent,mixed-in"), tmp_path / "out", cache=made[0])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["student-conflict-implicit", "control-truth-conflict-implicit"])
def test_a_conflict_whose_rows_robust_runs_do_not_have_is_refused(name: str, tmp_path: Path) -> None:
    recipe = robust_recipe(f"methods=student-xent,{name}", 'conflict={task="miniature_mood"}')
    with pytest.raises(InputError, match=f"'{name}' would teach no conflict here"):
        run_robust(recipe, tmp_path / "out", oracle=True)
    assert not (tmp_path / "out").exists()


def test_a_method_that_reads_true_labels_of_weak_train_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = METHODS["student-xent"]
    monkeypatch.setitem(METHODS, "student-trusted", replace(plain, trusted=Trusted()))
    with pytest.raises(InputError, match="'student-trusted' reads true labels of weak-train, which judge"):
        run_robust(robust_recipe("methods=student-xent,student-trusted"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("robustness.rates=[0.5]", "less than 0.5"),
        ("robustness.rates=[]", "at least 1 item"),
        ("robustness.families=[]", "at least 1 item"),
        ("robustness.families=randm", "random"),
        ("robustness.families=random,random", "names something twice"),
        ("robustness.delta=-0.1", "greater than or equal to 0"),
        ("robustness.rounds=0", "greater than or equal to 1"),
        ("robustness.form='loss'", "form"),
        ("robustness.held_out=1.0", "less than 1"),
    ],
)
def test_settings_that_no_run_could_have_are_refused(setting: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_recipe("robust", [*SMALL, setting])


def test_a_delta_that_nobody_reaches_keeps_the_best_mean_alone(made: Made) -> None:
    from analyses.robustness.choosing import Choice

    choice = Choice.of(made[1].choice.payoffs, 0.9)
    assert not choice.found.mask.any()
    assert choice.path.order == [choice.best_mean]
    assert np.isfinite(choice.path.refused_gain)
