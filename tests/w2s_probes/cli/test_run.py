"""`w2s run`: what it says, what it refuses, and that several processes do what one does."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from analyses.recipe.read import RECIPES
from tests.conftest import ROOT
from w2s_probes.cli.commands import run as cli_run

Call = Callable[..., Any]
SMALL = [
    "seeds=[0]",
    "data.n_train=128",
    "data.n_val=60",
    "data.n_test=200",
    "weak.n_truth=100",
    "n_boot=100",
    "student.epochs=20",
]
SMALL += ["probes.knn_k=20", 'data.tasks=["miniature_price"]', 'methods=["student-xent", "control-oracle-filter"]']
FULL = ["student.kind=full", "student.finetuning.learning_rate=1e-3", "student.finetuning.epochs=1"]


def demo(out: Path, *settings: str) -> list[Any]:
    """Arguments that run the demo in small."""
    return [
        "run",
        RECIPES / "demo.toml",
        "--out",
        out,
        *(part for one in (*SMALL, *settings) for part in ("--set", one)),
    ]


def test_sizes_and_class_balance_are_said_and_oracles_marked(
    w2s: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    w2s(*demo(tmp_path / "out"))
    said = capsys.readouterr().out
    test = pd.read_csv(tmp_path / "out" / "predictions" / "miniature_price-0.csv")
    assert f"test 200 ({test['truth'].mean():.0%})" in said
    assert "weak 100 (" in said
    assert "train 128 (" in said
    assert "control-oracle-filter*" in said
    assert "* chose by ground truth" in said
    assert "control-oracle-filter*" not in said[said.index("* chose") :]
    written, hint = said.splitlines()[-2:]
    names = [part.removeprefix(f"{tmp_path / 'out'}/") for part in written.removeprefix("Written: ").split(", ")]
    made = {f"{path.name}{'/' * path.is_dir()}" for path in (tmp_path / "out").iterdir()}
    assert set(names) == made - {"activations/", "kept/"}
    assert hint == f"Next: w2s report {tmp_path / 'out'}"


def test_each_kind_of_demo_has_a_folder_of_its_own(w2s: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    places: list[Path] = []
    monkeypatch.setattr(cli_run, "run", lambda recipe, out, settings, show: places.append(out))
    for options in ([], ["--students", "full"], ["--students", "lora"], ["--students", "full", "--out", "mine"]):
        w2s("demo", *options)
    assert places == [Path("runs/demo"), Path("runs/demo-full"), Path("runs/demo-lora"), Path("mine")]


def test_a_dry_run_says_the_stages_and_costs_and_writes_nothing(
    w2s: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    w2s(*demo(tmp_path / "out", *FULL), "--dry-run")
    said = capsys.readouterr().out
    assert "miniature_price, seed 0: to do weak, ceiling, student-xent, control-oracle-filter; kept nothing" in said
    assert "fine-tuning: " in said
    assert "FLOP for 2 students" in said
    assert not (tmp_path / "out").exists()


def test_several_tasks_are_tested_together(w2s: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = ['data.tasks=["miniature_price", "miniature_mood"]', 'methods=["student-xent", "probe-knn"]']
    w2s(*demo(tmp_path / "out", *more))
    said = capsys.readouterr().out
    assert "Over 2 tasks, AUROC: PGR pooled [95 % over tasks]; mean difference to student-xent, tasks" in said
    table = pd.read_csv(tmp_path / "out" / "comparisons.csv").set_index(["metric", "method"])
    assert f"{table['pooled_pgr']['auroc', 'probe-knn']:.2f} [" in said
    assert f"{table['better']['auroc', 'probe-knn']:.0f} of 2" in said


def test_two_processes_share_the_fine_tuning_and_one_of_them_speaks(w2s: Call, tmp_path: Path) -> None:
    only = 'methods=["student-xent"]'
    arguments = [str(part) for part in demo(tmp_path / "two", *FULL, only)]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python"]
    done = subprocess.run(
        [*launch, sys.executable, "-c", "from w2s_probes.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("Written: ") == 1
    w2s(*demo(tmp_path / "one", *FULL, only))
    two, one = (pd.read_csv(tmp_path / name / "predictions" / "miniature_price-0.csv") for name in ("two", "one"))
    for name in ("weak", "ceiling", "student-xent"):
        assert (two[name] - one[name]).abs().max() < 1e-4


class Recorder(ModuleType):
    """Stands in for a tracker's library."""

    def __init__(self) -> None:
        super().__init__("recorder")
        self.names: list[str] = []
        self.steps = 0

    def init(self, *, project: str, name: str, config: dict[str, Any]) -> None:
        self.names.append(name)

    def log(self, numbers: dict[str, float], *, step: int) -> None:
        self.steps += 1

    def finish(self) -> None:
        """Nothing is to be closed."""


def test_curves_are_drawn_only_when_asked_for(
    w2s: Call, fails: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder()
    monkeypatch.setitem(sys.modules, "wandb", recorder)
    only = 'methods=["student-xent"]'
    w2s(*demo(tmp_path / "a", *FULL, only))
    assert not recorder.names
    w2s(*demo(tmp_path / "b", *FULL, only), "--track", "wandb")
    assert recorder.names == ["miniature_price-seed-0-ceiling", "miniature_price-seed-0-student-xent"]
    assert recorder.steps >= 2
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert "track 'wandb': not installed: pip install" in fails(*demo(tmp_path / "c"), "--track", "wandb")
    assert not (tmp_path / "c").exists()


LABELS = '{"text": "not in the task", "label": 1}\n'
BAD: dict[str, tuple[list[str], str]] = {
    "a misspelt baseline": (
        ["baseline=student-xnet"],
        r"baseline: method 'student-xnet': did you mean 'student-xent'\?",
    ),
    "an unknown key of fine-tuning": (
        ["student.finetuning.epoch=1"],
        r"unknown key 'student.finetuning.epoch'; did you",
    ),
    "a position with many vectors": (
        ["strong.position=all"],
        r"strong.position: position 'all': give last, first, mean, attention or regex:PATTERN",
    ),
    "bootstrapping through nothing": (['methods=["bootstrap"]'], r"add \[\[intermediate\]\] to the recipe"),
    "one class left by a filter": (
        ["probes.contamination=0.99", 'methods=["filter-knn"]'],
        r"'filter-knn' cannot be used here: filtering leaves 1 of 128 training rows, all labelled [01][0-9.]*: lower",
    ),
    "a batch of more rows than there are": (
        ["student.kind=full", "student.finetuning.batch_size=200"],
        "batch_size = 200 needs at least as many rows as data.n_train = 128",
    ),
    "a diverging student": (
        ["student.kind=full", "student.finetuning.learning_rate=1e30"],
        r"update \d+|step \d+",
    ),
    "too few rows": (
        ["data.n_train=99999"],
        "but train has [0-9]+ after balancing: lower them, or set data.at_most = true",
    ),
    "no such model": (["strong.model=./nowhere"], "nowhere"),
    "labels of other rows": (
        ["weak={kind='labels', file='FILE'}"],
        "none of them match: ",
    ),
    "no file of labels": (["weak={kind='labels', file='none.csv'}"], "none.csv: no such file"),
    "a supervisor with another's key": (["weak.file=x.csv"], "kind = 'head' takes no `file`"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_runs_end_with_one_line_and_no_results(name: str, tmp_path: Path, fails: Call) -> None:
    settings, message = BAD[name]
    (tmp_path / "labels.jsonl").write_text(LABELS)
    settings = [one.replace("FILE", str(tmp_path / "labels.jsonl")) for one in settings]
    said = fails(*demo(tmp_path / "out", *settings))
    assert re.search(message, said), said
    assert not (tmp_path / "out" / "results.csv").exists()


def test_a_position_that_rows_lack_is_refused_before_anything_is_trained(tmp_path: Path, fails: Call) -> None:
    said = fails(*demo(tmp_path / "out", "strong.position='regex:zzzqq'"))
    assert re.search(r"w2s: task \w+: position 'regex:zzzqq' is nowhere in (\d{3,}) of \1 rows .*: check it\n", said)
    assert not (tmp_path / "out").exists()


def test_a_site_of_what_is_no_token_is_refused_before_anything_is_trained(tmp_path: Path, fails: Call) -> None:
    said = fails(*demo(tmp_path / "out", "strong.site='logits:zzzqq'"))
    assert re.search(r"w2s: model \S+: site logits: 'zzzqq' is not in its vocabulary, and .*: give other words", said)
    assert not (tmp_path / "out").exists()


def test_the_output_folder_of_a_recipe_by_name_hides_neither_the_recipe_nor_its_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, w2s: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    w2s("run", "demo", "--out", "demo", "--dry-run", "--set", "seeds=[0]", "--set", "data.tasks=['miniature_sound']")
    assert "stages to do" in capsys.readouterr().out
    w2s("plan", "demo", "--set", "seeds=[0]")
    assert "w2s run demo" in capsys.readouterr().out
