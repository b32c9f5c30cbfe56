"""What a run leaves behind for a report: verdicts of filters, where its time went, the recipe as TOML."""

import time
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyses.experiment.outcomes import Outcome, kept_outcome, outcome_of
from analyses.lessons.clock import Clock, StepTime
from analyses.recipe.read import RECIPES, read_recipe, read_recipes
from analyses.recipe.write_toml import toml
from analyses.results.run_folder import write_recipe
from tests.worlds.experiments import Untaught, experiment, outcome_by
from w2s_probes.filtering.disagreement import FilterResult
from w2s_probes.io.arrays import read_arrays, write_arrays


def same(one: Any, other: Any) -> bool:
    """Whether two results are equal, arrays and NaN among them."""
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    return bool(one == other)


@pytest.mark.parametrize(
    "name",
    [
        "filter-topo",
        "filter-relabel-knn",
        "control-confidence-filter",
        "control-random:filter-topo",
        "probe-knn",
        "fusion-dynamic",
    ],
)
def test_an_outcome_comes_back_from_what_is_kept_of_it(name: str, tmp_path: Path) -> None:
    outcome = outcome_by(name, experiment(tmp_path), Untaught())
    write_arrays(tmp_path / "kept.safetensors", *kept_outcome(outcome))
    again = outcome_of(*read_arrays(tmp_path / "kept.safetensors"))
    assert (outcome.filtered is None) == (name in ("probe-knn", "control-random:filter-topo", "fusion-dynamic"))
    assert outcome.alpha == (0.5 if outcome.filtered else None)
    assert outcome.notes.get("epoch") == (3 if outcome.filtered else None)
    assert (outcome.taught is None) == (name != "filter-relabel-knn")
    for field in Outcome.__dataclass_fields__:
        mine, its = getattr(outcome, field), getattr(again, field)
        if isinstance(mine, FilterResult):
            assert all(same(getattr(mine, part), getattr(its, part)) for part in FilterResult.__dataclass_fields__)
        elif isinstance(mine, dict) and field in ("scores", "alphas"):
            assert mine.keys() == its.keys()
            assert all(same(mine[part], its[part]) for part in mine)
        else:
            assert same(mine, its)


def test_controls_say_what_they_removed_and_that_no_probe_was_asked(tmp_path: Path) -> None:
    made = experiment(tmp_path)
    result = outcome_by("control-confidence-filter", made, Untaught()).filtered
    assert result is not None
    assert set(result.reasons[~result.mask]) == {"least confident"}
    assert set(result.reasons[result.mask]) == {""}
    assert len(result.removed) == result.requested == 30
    assert result.p is None
    oracle = outcome_by("control-oracle-filter", made, Untaught()).filtered
    assert oracle is not None
    assert set(oracle.reasons[~oracle.mask]) == {"farthest from the truth"}


def test_time_is_counted_once_for_what_it_was_spent_on() -> None:
    clock = Clock()
    with clock.step("ceiling"):
        with clock.timer("trained"):
            time.sleep(0.04)
            with clock.timer("activations"):
                time.sleep(0.1)
        with clock.timer("activations"):
            time.sleep(0.05)
    taken = clock.taken("ceiling")
    assert taken.made["activations"] == pytest.approx(0.15, abs=0.03)
    assert taken.made["trained"] == pytest.approx(0.04, abs=0.03)
    assert taken.seconds == pytest.approx(sum(taken.made.values()), abs=0.03)
    with clock.step("student-xent"):
        pass
    assert clock.taken("student-xent").made == {}
    clock.charge("student-xent", "trained", 2.0)  # its share of what was taught together
    assert clock.taken("student-xent") == StepTime(2.0, {"trained": 2.0})
    with clock.step("filter-knn"):
        clock.makes("methods")
        time.sleep(0.02)
        with clock.timer("opinions"):
            time.sleep(0.05)
    taken = clock.taken("filter-knn")
    assert taken.made["methods"] == pytest.approx(0.02, abs=0.015)
    assert taken.made["opinions"] == pytest.approx(0.05, abs=0.015)


PLAIN = st.one_of(
    st.booleans(),
    st.integers(-(2**62), 2**62),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"])),
)
LISTS = st.lists(st.integers(0, 9), max_size=3) | st.lists(
    st.text(st.characters(exclude_categories=["Cs"])), max_size=3
)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
TABLES = st.recursive(
    st.dictionaries(KEYS, PLAIN | LISTS, max_size=3),
    lambda inner: st.dictionaries(KEYS, inner | PLAIN | st.lists(inner, min_size=1, max_size=2), max_size=3),
    max_leaves=8,
)


@given(TABLES)
def test_toml_is_read_back_as_it_was(values: dict[str, Any]) -> None:
    assert tomllib.loads(toml(values)) == values


def test_every_recipe_comes_back_from_what_a_run_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("W2S_DATA", str(tmp_path))
    seen = 0
    for path in sorted(RECIPES.glob("*.toml")):
        for recipe in read_recipes(path).values():
            write_recipe(tmp_path / "recipe.toml", recipe)
            assert read_recipe(tmp_path / "recipe.toml") == recipe, path
            seen += 1
    assert seen > 10
