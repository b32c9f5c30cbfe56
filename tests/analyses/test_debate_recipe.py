"""The debate recipe: every supervisor in one run's tables, what is kept of it, and what is read from files."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyses.debate_costs import debate_costs
from analyses.dry_run import stages
from analyses.experiment.splits import split_task
from analyses.protocol import run
from analyses.recipe.debate_settings import BASE, CHANGES, DEBATE_CONTROL
from analyses.recipe.read import RECIPES, read_recipe
from analyses.report.load.folder import read_folder
from analyses.report.page import page
from analyses.results.names import debate_file
from extract.debating import Debate, Transcript, Turn, read_transcripts, write_transcripts
from tests.worlds.supervising import HEAD, recipe_with
from w2s_probes import InputError
from w2s_probes.io.json_files import read_json
from w2s_probes.io.tables import read_table

TASK = "miniature_sound"
SMALL = ["seeds=[0]", "data.n_train=40", "data.n_val=10", "data.n_test=60", "weak.n_truth=50", "debate.members=2"]
SMALL += ["debate.turns=2", "n_boot=50", "student.epochs=30", "probes.knn_k=10", "probes.topo_k=10"]
LEFT_OUT = ["market-making"]  # of the recipe's controls


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("debate")
    run(read_recipe(RECIPES / "debate.toml", SMALL), place)
    return place


def test_every_supervisor_stands_in_the_tables_with_the_labels_it_has_learned(folder: Path) -> None:
    results = pd.read_csv(folder / "results.csv")
    controls = [f"{DEBATE_CONTROL}{name}" for name in CHANGES if name not in LEFT_OUT]
    assert set(results["method"]) == {"weak", "ceiling", "student-xent", *controls}
    auroc = results[results["metric"] == "auroc"].set_index("method")
    assert (auroc["trusted"][controls] == 50).all()
    assert not auroc["oracle"].drop("ceiling").any()
    value = auroc["value"].to_dict()
    assert value["weak"] > 0.75
    assert value["weak"] > value[f"{DEBATE_CONTROL}shuffled"] + 0.05
    assert value[f"{DEBATE_CONTROL}transcript"] > 0.6  # the debaters know, and give it away
    student = results[results["method"] == "student-xent"].set_index("metric")["value"]
    expected = (value["student-xent"] - value[BASE]) / (value["ceiling"] - value[BASE])
    assert student["pgr_base_auroc"] == pytest.approx(expected)
    assert set(pd.read_csv(folder / "comparisons.csv")["metric"]) >= {"pgr_auroc", "pgr_base_auroc"}


def test_the_record_and_the_transcripts_say_what_was_argued(folder: Path) -> None:
    (made,) = read_json(folder / "run.json")["runs"].values()
    told = made["debate"]
    assert (told["protocol"], told["members"], told["rows"], told["turns"]) == ("debate", 2, 160, 160 * 2 * 2)
    assert (told["names"], told["named_by_task"]) == (["noisy", "quiet"], True)
    assert told["tokens"] <= told["turns"] * 12
    assert abs(told["a_for_truth"] - 0.5) < 4 * 0.5 / told["a_rows"] ** 0.5
    assert made["methods"][f"{DEBATE_CONTROL}shuffled"] == {"own_kept": 0}
    assert 0 < made["methods"]["weak"]["sd"] < 0.5
    labels = read_table(folder / "labels" / f"{TASK}-0-weak.jsonl")
    assert labels["sd"].between(0, 0.5).all()
    said = read_transcripts(folder / debate_file(TASK, 0), labels["id"].tolist(), members=2, protocol="debate")
    assert len(said) == 2 * 50
    assert all(one.key for one in said)
    assert f"debates/{TASK}-0.jsonl.gz" in read_json(folder / "run.json")["files"]


def test_what_was_said_is_not_generated_again_and_can_be_read_from_its_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Debate, "generator", None)
    before = pd.read_csv(folder / "results.csv")
    again = read_recipe(
        RECIPES / "debate.toml", [*SMALL, "debate.members=1", "methods=student-xent,control-debate-shared"]
    )
    run(again, tmp_path / "one", cache=folder)
    file = folder / debate_file(TASK, 0)
    methods = "methods=student-xent,control-debate-shuffled"
    run(read_recipe(RECIPES / "debate.toml", [*SMALL, f"debate.file={file}", methods]), tmp_path / "read")
    found = pd.read_csv(tmp_path / "read" / "results.csv")
    for name in ("weak", "student-xent", BASE, f"{DEBATE_CONTROL}shuffled"):
        left, right = (table[table["method"] == name]["value"].to_numpy() for table in (before, found))
        np.testing.assert_allclose(left, right, atol=1e-9, err_msg=name)


def test_a_dry_run_knows_what_is_kept_and_a_plan_counts_what_is_not(folder: Path) -> None:
    recipe = read_recipe(RECIPES / "debate.toml", SMALL)
    kept = {stage.name: stage.kept for stage in stages(recipe, folder)}
    assert all(kept.values())
    changed = read_recipe(RECIPES / "debate.toml", [*SMALL, "debate.temperature=0.5"])
    assert not {stage.name: stage.kept for stage in stages(changed, folder)}["weak"]
    splits = {TASK: list(split_task(recipe, TASK).values())}
    costs = debate_costs(recipe, splits)
    assert costs is not None
    assert costs.generations == 160 * 2 * 2 * 4  # the run's own debate, and those of three controls
    assert costs.new_tokens == costs.generations * 12
    assert costs.flops > 2 * 100_000 * costs.new_tokens
    by_sizes = debate_costs(recipe, {TASK: None}, 24)
    assert by_sizes is not None
    assert by_sizes.generations == costs.generations
    with pytest.raises(InputError, match="--tokens-per-row"):
        debate_costs(recipe, {TASK: None})
    assert debate_costs(read_recipe(RECIPES / "demo.toml"), splits) is None


def test_the_report_reads_transcripts_side_by_side(folder: Path) -> None:
    html = page(read_folder(folder))
    assert "Supervisors under each protocol and control, by task" in html
    assert "transcripts of other rows; 0 rows have their own" in html
    assert "drawn at random by seed 0" in html
    assert html.count('<table class="said">') == 3
    assert 'colspan="2">member 1</th>' in html
    assert "A: quiet" in html
    assert "(oracle)" in html
    assert "PGR from base" in html


def long_said(rows: pd.DataFrame) -> Iterator[Transcript]:
    for row in rows["id"]:
        yield Transcript(row, 0, "consultancy", {"A": 1}, (Turn("A", 1, "cheap <script>alert(1)</script> " * 100),))


def test_a_head_reads_as_much_as_its_window_holds_and_the_page_escapes_what_was_said(tmp_path: Path) -> None:
    file = tmp_path / "said.jsonl"
    settings = [f"debate.file={file}", "debate.protocol=consultancy", "debate.members=1", "data.n_train=60"]
    settings += ["data.n_val=20", "data.n_test=60"]
    recipe = recipe_with(tmp_path, HEAD | {"n_truth": 60}, *settings)
    sets = split_task(recipe, "miniature_price")[0]
    write_transcripts(long_said(pd.concat(list(sets.tables.values()))), file)
    run(recipe, tmp_path / "out")
    (made,) = read_json(tmp_path / "out" / "run.json")["runs"].values()
    told = made["debate"]
    assert told["transcripts_cut"] == 1
    assert told["kept_tokens"] < told["transcript_tokens"]
    assert 100 < told["row_tokens"] + told["kept_tokens"] <= 128
    assert "tokens" not in told
    results = pd.read_csv(tmp_path / "out" / "results.csv")
    auroc = results[results["metric"] == "auroc"].set_index("method")["value"]
    assert auroc["weak"] != auroc[BASE]
    html = page(read_folder(tmp_path / "out"))
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html
