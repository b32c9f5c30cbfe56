"""The page of results: claims beside planted differences, with the power to see them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from analyses.methods import find_methods
from analyses.recipe.read import RECIPES, read_recipes
from tools.study import __main__ as study
from tools.study.claims import BESIDE, CLAIMS, Claim, find
from tools.study.tables import claims_table, methods_table, tasks_table
from w2s_probes.stats import paired_tests, smallest_effect


@pytest.mark.parametrize("n", [3, 5, 13])
def test_the_smallest_effect_is_found_four_times_of_five(n: int) -> None:
    drawn = np.random.default_rng(n).normal(smallest_effect(n, n**-0.5), 1, size=(4000, n))
    assert (ttest_1samp(drawn, 0, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.025)


def test_the_smallest_effect_of_a_comparison_is_that_of_its_scatter() -> None:
    a, b = [0.8, 0.9, 0.7, 0.65], [0.7, 0.7, 0.6, 0.5]
    tests = paired_tests(a, b)
    error = float(np.std(np.subtract(a, b), ddof=1)) / 2
    assert tests.error == pytest.approx(error)
    assert tests.smallest_effect == pytest.approx(smallest_effect(4, error))
    assert np.isnan(paired_tests([0.8], [0.7]).smallest_effect)


@pytest.mark.parametrize(
    ("direction", "shift", "pgr", "verdict"),
    [
        ("above", 0.05, np.nan, "holds"),
        ("above", -0.05, 0.5, "no: the other way"),
        ("above", 0.0, np.nan, "not seen"),
        ("above", 0.0, 0.05, "undecided: 0 and the published lie inside"),  # .005 of AUROC at this gap
        ("above", 0.0, 0.5, "no: not as published"),
        ("below", 0.0, -0.5, "no: not as published"),
        ("below", -0.05, np.nan, "holds"),
        ("below", 0.05, np.nan, "no: the other way"),
        ("not above", 0.05, -0.1, "no: it is above"),
        ("not above", 0.0, -0.1, "holds: at most +0.015"),
        ("not above", -0.05, np.nan, "holds: it is below"),
    ],
)
def test_a_claim_holds_by_its_interval_and_its_direction(
    direction: str, shift: float, pgr: float, verdict: str
) -> None:
    noise = np.array([0.01, -0.01, 0.02, -0.02, 0.005, -0.005])
    tasks = [f"t{i}" for i in range(6)]
    values = {
        "a": dict(zip(tasks, 0.7 + shift + noise, strict=True)) | {"only a": 0.99},
        "b": dict.fromkeys(tasks, 0.7),
        "weak": dict.fromkeys(tasks, 0.65),
        "ceiling": dict.fromkeys(tasks, 0.75),
    }
    (finding,) = find((Claim("c", "", "a", "b", direction, pgr),), values)  # type: ignore[arg-type]
    assert finding.tests.n == 6
    assert finding.gap == pytest.approx(0.1)
    assert finding.verdict == verdict


def planted(folder: Path) -> Path:
    """Results as a run of the study writes them: two supervisors, three tasks, one of them tested on another."""
    methods = ["weak", "ceiling", *sorted({name for claim in (*CLAIMS, *BESIDE) for name in (claim.a, claim.b)})]
    lines: list[dict[str, object]] = []
    for pair in ("words", "ensemble"):
        for number, (task, test_set) in enumerate([("a", "test"), ("b", "test"), ("c", "test"), ("c", "a")]):
            for at, method in enumerate(methods):
                common: dict[str, object] = {"pair": pair, "task": task, "test_set": test_set, "method": method}
                value = 0.6 + 0.01 * at + 0.001 * number * at
                for seed, off in ((None, 0.0), (0, 0.3)):  # lines of single seeds are not the means
                    ends: dict[str, object] = {"value": value + off, "low": value - 0.02, "high": value + 0.02}
                    lines.append(common | {"seed": seed, "metric": "auroc", "status": "ok"} | ends)
                    status = "unstable" if task == "b" else "ok"
                    pgr: dict[str, object] = (
                        {"value": np.nan, "status": "undefined"} if task == "a" else {"value": 0.5, "status": status}
                    )
                    lines.append(common | {"seed": seed, "metric": "pgr_auroc", "low": -np.inf, "high": 0.9} | pgr)
    pd.DataFrame(lines).to_csv(folder / "results.csv", index=False)
    return folder


def test_the_tables_are_written_between_their_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "results.md"
    marks = "\n".join(f"<!-- {n} -->\nwas here\n<!-- end -->" for n in ("claims", "methods", "tasks", "other tasks"))
    page.write_text(f"# Results\n{marks}\nbelow\n")
    monkeypatch.setattr(study, "PAGE", page)
    study.main(planted(tmp_path))
    once = page.read_text()
    assert "was here" not in once
    assert once.endswith("below\n")
    study.main(tmp_path)
    assert page.read_text() == once


def test_the_tables_say_what_the_results_say(tmp_path: Path) -> None:
    every = pd.read_csv(planted(tmp_path) / "results.csv")
    results = {str(name): part for name, part in every.groupby("pair", sort=False)}
    claims = claims_table(results).splitlines()
    assert claims[0] == "| claim | published | words | ensemble |"
    assert len(claims) == 2 + len(CLAIMS) + len(BESIDE)
    assert "0 of 3" in claims[2]
    tasks = tasks_table(results)
    assert "| `a` | words | 0.600 [0.580, 0.620] |" in tasks
    assert "; – |" in tasks  # undefined
    assert "[−∞, 0.90] *u* |" in tasks
    assert "→" not in tasks
    assert "| `c` → `a` | ensemble |" in tasks_table(results, outside=True)
    assert "| weak | 0.600 | 0.600 |" in methods_table(results)


def test_the_recipe_runs_what_the_claims_compare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("W2S_DATA", "/somewhere")
    recipes = read_recipes(RECIPES / "study.toml")
    assert list(recipes) == ["words", "first-layers", "ensemble"]
    for recipe in recipes.values():
        known = find_methods(recipe.methods)
        assert {name for claim in (*CLAIMS, *BESIDE) for name in (claim.a, claim.b)} <= known.keys()
        assert len(recipe.data.tasks) == 13
        assert len(recipe.seeds) == 10
        assert recipe.student.kind == "head"
