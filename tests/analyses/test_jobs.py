"""What a dry run says of jobs is what the run hands out."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from analyses.dry_run import stages
from analyses.jobs import Jobs, jobs_left
from analyses.lessons import crew
from analyses.lessons.units import LessonUnit
from analyses.protocol import run
from analyses.recipe.read import RECIPES, read_recipe
from tests.worlds.experiments import small_recipe


def test_a_run_hands_out_the_jobs_that_are_foretold_and_none_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counted: Counter[str]
) -> None:
    units: list[LessonUnit] = []

    class Counted(LessonUnit):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            units.append(self)

    monkeypatch.setattr(crew, "LessonUnit", Counted)
    recipe = small_recipe(
        'methods=["student-xent", "s2s-2", "filter-knn", "probe-topo"]', "seeds=[0, 1]", "student.epochs=2", "n_boot=20"
    )
    foretold = jobs_left(recipe, stages(recipe, tmp_path))
    run(recipe, tmp_path)
    chain = ("activations of miniature_price", "weak supervisor", "s2s-2 round 1", "s2s-2 round 2", "s2s-2 round 3")
    assert foretold == Jobs(counted["extractions"], len(units), 0, chain)
    assert (counted["extractions"], len(units)) == (2, 2 * (1 + 3))
    assert foretold.lines == [
        "jobs, at most: 2 extractions, 8 batches of heads, 0 fine-tunings",
        "longest chain: 5 of them (activations of miniature_price, then weak supervisor, then s2s-2 round 1, then "
        "s2s-2 round 2, then s2s-2 round 3)",
    ]
    assert jobs_left(recipe, stages(recipe, tmp_path)) == Jobs()
    more = small_recipe(
        'methods=["student-xent", "s2s-1", "student-kl"]', "seeds=[0, 2]", "student.epochs=2", "n_boot=20"
    )
    found = jobs_left(more, stages(more, tmp_path))
    # Of seed 0 one batch, as s2s-1 begins as s2s-2 did; seed 2 is new, and so are some of its rows.
    assert found.head_batches == 1 + (1 + 2)
    assert found.chain[-2:] == ("s2s-1 round 1", "s2s-1 round 2")


def test_fine_tunings_are_counted_by_method(tmp_path: Path) -> None:
    settings = ["seeds=[0, 1]", 'methods=["student-xent", "s2s-1", "control-random:filter-knn"]', "data.n_train=100"]
    recipe = read_recipe(RECIPES / "demo_finetuned.toml", settings)
    found = jobs_left(recipe, stages(recipe, tmp_path))
    each = 1 + 1 + 1 + 2 + 5  # supervisor, ceiling, one student, two in rounds, five draws of the control
    assert found.finetunings == 2 * 2 * each  # of two tasks and two seeds
    assert (found.extractions, found.head_batches) == (2, 0)
    assert found.chain == ("activations of miniature_price", "weak supervisor", "s2s-1 round 1", "s2s-1 round 2")
