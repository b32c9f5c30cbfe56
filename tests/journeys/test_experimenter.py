"""Someone who runs a recipe: what would be done, what came out and how sure that is, and what a change makes anew."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import ROOT
from tests.journeys.conftest import DATA, REAL, Typed, next_line

SIZES = "--set data.n_train=300 --set data.n_val=80 --set data.n_test=300 --set weak.n_truth=200 --set n_boot=200"
SMALL = f"{SIZES} --set student.kind=head --set student.epochs=30 --set seeds=[0]"
RECIPES = ROOT / "analyses" / "recipes"


@pytest.fixture(scope="module")
def recipe() -> str:
    """A recipe and the settings that make it small, as one types them."""
    if REAL:
        return f"w2s run {RECIPES / 'minilm_real.toml'} --set data.tasks=creak {SMALL}"
    return f"w2s run {RECIPES / 'demo.toml'} --set data.tasks=miniature_price {SMALL}"


def stages(lines: list[str]) -> tuple[set[str], set[str]]:
    """What a dry run lists as to do and as kept, over all seeds."""
    to_do: set[str] = set()
    kept: set[str] = set()
    for line in lines:
        if found := re.search(r": to do (.*); kept (.*)$", line):
            to_do |= set(found[1].split(", "))
            kept |= set(found[2].split(", "))
    return to_do - {"nothing"}, kept - {"nothing"}


def test_from_a_dry_run_to_a_report_and_what_a_changed_k_makes_anew(
    recipe: str, tmp_path: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("W2S_DATA", DATA or "")
    methods = '--set methods=["student-xent","probe-knn","filter-topo","control-random:filter-topo"]'
    command = f"{recipe} --out out '{methods}'".replace("'--set methods=", "--set 'methods=")
    to_do, kept = stages(typed(f"{command} --dry-run"))
    assert {"student-xent", "probe-knn", "filter-topo"} <= to_do
    assert not kept
    assert not Path("out").exists()

    said = typed(command)
    text = "\n".join(said)
    assert "one seed tells nothing of the luck of a training" in text
    assert re.search(r"PGR = \(student - weak\) / \(ceiling - weak\)", text)
    table = pd.read_csv("out/results.csv")
    statuses = set(table["status"].dropna())
    for status in ("undefined", "unstable"):
        if status in statuses:
            assert f"{status}: " in text  # and the reason, with a remedy
    to_do, kept = stages(typed(f"{command} --dry-run"))
    assert not to_do
    to_do, _ = stages(typed(f"{command} --dry-run --set probes.knn_k=9"))
    assert to_do == {"probe-knn", "ceiling-knn"}  # and nothing of the other methods
    before = json.loads(Path("out/run.json").read_text())
    assert before["recipe"]["seeds"] == [0]

    said = typed(next_line(said))
    page = Path("out/report.html").read_text()
    assert "Did anything beat the plain student?" in page
    assert "label 1" in page  # the classes before and after the filter


def test_one_method_is_a_list_of_one_and_a_setting_of_no_recipe_is_answered_with_an_example(
    recipe: str, tmp_path: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.conftest import run_failing

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("W2S_DATA", DATA or "")
    to_do, _ = stages(typed(f"{recipe} --out out --set methods=student-xent --dry-run"))
    assert "student-xent" in to_do
    assert not to_do & {"probe-knn", "filter-topo"}
    words = f"{recipe} --out out --dry-run".split()[1:]
    said = run_failing(*words, "--set", "probes.contaminaton=0.2")
    assert "contamination" in said


def test_a_supervisor_above_its_ceiling_is_named_with_what_to_change(
    tmp_path: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ceiling that learns at the embedding is worse than the supervisor."""
    monkeypatch.chdir(tmp_path)
    recipe = f"w2s run {RECIPES / 'demo.toml'} --set data.tasks=miniature_price {SMALL} --set strong.layer=0"
    said = "\n".join(typed(f"{recipe} --out out --set methods=student-xent"))
    table = pd.read_csv("out/results.csv")
    assert set(table[table["metric"] == "pgr_auroc"]["status"]) <= {"undefined", "unstable"}
    assert re.search(r"(undefined|unstable): .*(supervisor|gap)", said)
    assert re.search(r"layer|position|model", said)
    typed("w2s report out")
    page = Path("out/report.html").read_text()
    assert re.search(r"(undefined|unstable).{0,400}(supervisor|gap)", page, re.DOTALL)
