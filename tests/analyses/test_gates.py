"""Gates as methods: what they mix, their controls, and what they refuse."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyses.costs import plan_recipe
from analyses.dry_run import stages
from analyses.experiment.method import run_method
from analyses.methods import METHODS, find_method, find_methods
from analyses.protocol import run
from analyses.recipe.attention import Attention
from analyses.recipe.read import RECIPES, read_recipe
from analyses.results.names import COMPARISONS, LABELS
from tests.worlds.experiments import (
    SMALL,
    Untaught,
    completed,
    experiment,
    outcome_by,
    small_recipe,
    supervisor_at_test,
    trusted_of_planted,
    truth_of_planted,
)
from w2s_probes import InputError
from w2s_probes.gating import gate, mixed

ENSEMBLE = "{kind='ensemble', members=[{kind='text'}, {kind='text'}], n_truth=150}"
SIMULATED = "{kind='simulated', errors='random', n_truth=150}"
STUDENT = np.linspace(0, 1, 200)  # of an untaught teacher


@pytest.mark.parametrize("kind", ["variance", "entropy"])
def test_a_gate_is_over_the_plain_student_which_is_trained_once(kind: str, tmp_path: Path) -> None:
    teacher, made = Untaught(), experiment(tmp_path)
    found = outcome_by(f"gate-{kind}", made, teacher)
    expected = gate(supervisor_at_test(), STUDENT, kind)  # type: ignore[arg-type]
    np.testing.assert_allclose(found.scores["test"], expected.p)
    assert found.notes["weak_share"] == pytest.approx(expected.weak_share)
    assert found.trusted == 0
    for name in ("student-xent", "control-gate-average", "control-gate-shuffled"):
        outcome_by(name, made, teacher)
    assert len({lesson.key for lesson in teacher.lessons}) == 1


@pytest.mark.parametrize("of", ["gate-variance", "gate-learned"])
def test_controls_have_the_gates_confidence_without_its_rows(of: str, tmp_path: Path) -> None:
    made, weak = experiment(tmp_path), supervisor_at_test()
    gated, average, shuffled = (
        outcome_by(name, made, Untaught()) for name in (of, f"control-gate-average:{of}", f"control-gate-shuffled:{of}")
    )
    share = gated.notes["weak_share"]
    np.testing.assert_allclose(average.scores["test"], mixed(weak, STUDENT, share).p)
    draws = shuffled.scores["test"]
    assert len({draw.tobytes() for draw in draws}) == len(draws) == 5

    def confidences(p: np.ndarray) -> np.ndarray:
        apart = np.abs(weak - STUDENT) > 0.05
        return np.where(apart, (p - STUDENT) / np.where(apart, weak - STUDENT, 1), np.nan)

    for draw in draws:
        known = confidences(draw)
        assert np.nanmin(known) > -1e-9
        assert np.nanmax(known) < 1 + 1e-9
        assert np.nanmean(known) == pytest.approx(share, abs=0.05)
    assert {gated.trusted, average.trusted, shuffled.trusted} == {40 if of == "gate-learned" else 0}


def test_the_gate_over_the_ceiling_is_an_oracles_and_trains_the_ceiling(tmp_path: Path) -> None:
    teacher = Untaught()
    outcome_by("gate-ceiling", experiment(tmp_path), teacher)
    (lesson,) = teacher.lessons
    assert lesson.role == "truth"
    assert np.array_equal(lesson.fit.p, truth_of_planted().values(lesson.fit.rows["id"].to_numpy(dtype=object)))


def test_a_supervisor_of_labels_leaves_nothing_to_mix(tmp_path: Path) -> None:
    made = experiment(tmp_path, weak_scores={"test": np.arange(200) % 2.0})
    with pytest.raises(InputError, match="hard labels, of which every gate is sure"):
        outcome_by("gate-variance", made, Untaught())


def test_controls_of_what_is_no_gate_say_what_there_is() -> None:
    with pytest.raises(InputError, match=r"'gate-entropi' is no gate: did you mean 'gate-entropy'"):
        find_methods(["control-gate-average:gate-entropi"])
    assert find_method("control-gate-average:gate-learned").trusted == METHODS["gate-learned"].trusted
    assert find_method("control-gate-shuffled:gate-ceiling").oracle


def test_experts_without_the_supervisors_model_or_with_few_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"take weak.kind = 'head'"):
        outcome_by("mowst", experiment(tmp_path, weak_activations=None))
    rows = trusted_of_planted()
    few = replace(rows, rows=rows.rows[110:], held_out=rows.held_out[110:], weak=rows.weak[110:])
    with pytest.raises(InputError, match="90 rows with true labels: gated experts learn from 100"):
        completed(run_method("mowst", METHODS["mowst"], experiment(tmp_path), truth_of_planted(), few))


def test_experts_start_from_vectors_of_the_kind_that_they_read_where_attention_pools_others(tmp_path: Path) -> None:
    pooled = experiment(tmp_path, pooling=Attention(hidden=4, epochs=2))
    plain = experiment(tmp_path)
    assert not np.allclose(pooled.X_train, plain.X_train)
    found = [
        completed(run_method("mowst", METHODS["mowst"], made, truth_of_planted(), trusted_of_planted())).scores["test"]
        for made in (pooled, plain)
    ]
    assert np.array_equal(found[0], found[1])


@pytest.mark.parametrize(
    ("method", "settings", "told"),
    [
        ("mowst", "weak.n_truth=90", r"'mowst' needs the true labels of 100 rows of weak-train, and there are 90"),
        (
            "gate-learned",
            "weak.n_truth=100",
            r"needs the true labels of 30 rows of weak-train that the supervisor holds",
        ),
        ("mowst", "weak={kind='text', n_truth=150}", r"of kind 'text' is no head: take weak.kind head; .* degenerate"),
        ("mowst-joint", "weak={kind='labels', file='FILE'}", r"leaves none: .* role weak alone it is degenerate"),
        ("gate-learned", "weak={kind='labels', file='FILE'}", r"leaves none: take weak.kind text, head, finetune"),
        (
            "control-trusted",
            f"weak={ENSEMBLE}",
            r"'control-trusted' is stopped by .* of kind 'ensemble' holds out none",
        ),
        (
            "control-trusted",
            f"weak={SIMULATED}",
            r"'control-trusted' is stopped by .* 'simulated' holds out none: take",
        ),
        ("mowst", f"weak={ENSEMBLE}", r"'mowst' trains a head .* of kind 'ensemble' is no head"),
        ("gate-learnt", "seeds=[0]", r"method 'gate-learnt': did you mean 'gate-learned'"),
    ],
)
def test_recipes_that_lack_what_a_gate_needs_are_refused_before_anything_is_written(
    method: str, settings: str, told: str, tmp_path: Path
) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("text,label\na,1\n")
    recipe = small_recipe(f'methods=["student-xent", "{method}"]', settings.replace("FILE", str(file)))
    for refused in (
        lambda: run(recipe, tmp_path / "out"),
        lambda: plan_recipe(recipe),
        lambda: stages(recipe, tmp_path),
    ):
        with pytest.raises(InputError, match=told) as caught:
            refused()
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_the_recipe_of_gates_compares_each_with_its_own_controls(tmp_path: Path) -> None:
    recipe = read_recipe(RECIPES / "gates.toml", SMALL)
    results = run(recipe, tmp_path)
    auroc = results[results["metric"] == "auroc"].set_index("method")
    held = int(auroc["trusted"]["gate-learned"])
    assert 30 <= held <= 36
    assert auroc["trusted"]["control-gate-shuffled:gate-learned"] == held
    assert auroc["trusted"][["mowst", "control-trusted"]].tolist() == [150, 150]
    learned = {name for name in auroc.index if name.endswith("gate-learned")}
    experts = {"mowst", "mowst-joint", "control-trusted"}
    assert set(auroc.index[auroc["trusted"] > 0]) == learned | experts
    assert len(learned) == 3
    assert auroc.index[auroc["oracle"]].tolist() == ["ceiling", "gate-ceiling"]
    written = pd.read_csv(tmp_path / COMPARISONS)
    beside = written[written["metric"] == "auroc"].groupby("method")["against"].unique()
    for name in ("gate-variance", "gate-entropy", "gate-learned"):
        controls = [f"control-gate-average:{name}", f"control-gate-shuffled:{name}"]
        assert list(beside[name]) == ["student-xent", *controls]
    weak = pd.read_json(tmp_path / LABELS / "miniature_price-0-test.jsonl", lines=True)
    scores = pd.read_csv(tmp_path / "predictions" / "miniature_price-0.csv")
    np.testing.assert_allclose(scores["gate-variance"], gate(weak["label"], scores["student-xent"]).p, atol=1e-6)
