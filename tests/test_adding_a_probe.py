"""A probe added as the page on extending says, in two files of a copy of the checkout, is met everywhere."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conftest import ROOT
from tests.test_extending import BLOCKS
from w2s_probes.io.tables import read_table

LABELS = "runs/mine/labels/quiet-0-weak.jsonl"


@pytest.fixture(scope="module")
def contributed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout with the page's two edits, in which the page's commands have been run."""
    folder = tmp_path_factory.mktemp("contributed")
    for name in ("w2s_probes", "extract", "analyses"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "data").symlink_to(ROOT / "data")
    changed = edit(folder)
    assert changed == ["w2s_probes/probes/lda.py", "w2s_probes/probes/registry.py"]
    environment = os.environ | {"PYTHONPATH": str(folder), "HF_HUB_OFFLINE": "1"}
    for kind, text in BLOCKS:
        own = re.match(r"# (mine/\S+)\n", text)
        if own:
            (folder / own[1]).write_text(text)
        elif kind == "python" and "rows/quiet" in text and "to_csv" in text and "Path(" in text:
            subprocess.run([sys.executable, "-c", text], cwd=folder, env=environment, check=True)
        elif kind == "sh" and ("--out runs/mine" in text or "--out runs/quiet" in text or "with the probe" in text):
            for line in text.splitlines():
                if line.startswith("w2s "):
                    command = [sys.executable, "-m", "w2s_probes", *shlex.split(line)[1:]]
                    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
                    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return folder


def edit(folder: Path) -> list[str]:
    """Make the edits of the section on probes; the files that they touch."""
    (source,) = [text for kind, text in BLOCKS if kind == "python" and text.startswith("# w2s_probes/probes/")]
    first, _, rest = source.partition("\n")
    (folder / first.removeprefix("# ")).write_text(rest)
    (diff,) = [text for kind, text in BLOCKS if kind == "diff" and "ProbeEntry" in text]
    ((name, before, line),) = re.findall(r"^--- (\S+)\n (.*)\n\+(.*)$", diff, flags=re.MULTILINE)
    text = (folder / name).read_text()
    assert text.count(f"{before}\n") == 1
    (folder / name).write_text(text.replace(f"{before}\n", f"{before}\n{line}\n"))
    return [first.removeprefix("# "), name]


def test_a_sweep_measures_it_at_every_value(contributed: Path) -> None:
    table = pd.read_csv(contributed / "runs/lda/sweep.csv")
    cells = table[(table["probe"] == "lda") & (table["metric"] == "auroc") & (table["rows"] == "training")]
    assert sorted(cells["l2"].unique()) == [0.1, 1, 10]
    assert cells["value"].between(0.6, 1).all()
    assert json.loads((contributed / "runs/lda/sweep.json").read_text())["grid"]["lda_l2"] == [0.1, 1, 10]
    assert (contributed / "runs/lda/sweep.png").stat().st_size > 10_000


def test_a_filter_drops_the_rows_that_it_disbelieves_most(contributed: Path) -> None:
    kept = read_table(contributed / "runs/lda/kept.jsonl")
    judged = kept[kept["split"] == "train"]
    assert set(judged["probe"]) == {"lda"}
    drop = ~judged["keep"].astype(bool).to_numpy()
    assert drop.sum() == round(len(judged) / 10)
    scores = judged["score"].astype(float).to_numpy()
    assert scores[drop].min() >= scores[~drop].max()
    assert set(judged["fold"].astype(int)) == {0, 1, 2, 3, 4}  # its scores are out of sample
    p, truth = judged["p"].astype(float), judged["truth"].astype(float)
    assert np.corrcoef(p, truth)[0, 1] > 0.4


def test_a_recipe_has_its_methods_with_their_ceiling_and_value(contributed: Path) -> None:
    results = pd.read_csv(contributed / "runs/lda/run/results.csv")
    assert {"probe-lda", "ceiling-lda", "filter-lda", "student-xent"} <= set(results["method"])
    filtered = results[results["method"] == "filter-lda"]
    assert set(filtered["probe"]) == {"lda"}
    assert set(filtered["l2"]) == {1.0}
    auroc = results[results["metric"] == "auroc"].set_index("method")["value"]
    assert auroc["weak"] < auroc["probe-lda"] < auroc["ceiling-lda"]
    assert results[results["method"] == "ceiling-lda"]["oracle"].all()


def test_the_report_shows_its_methods_and_its_curve(contributed: Path) -> None:
    page = (contributed / "runs/lda/report.html").read_text()
    for shown in ("probe-lda", "filter-lda", "Shrinkage of LDA", "LDA"):
        assert shown in page


def test_an_edited_probe_is_measured_anew_and_the_others_are_not(contributed: Path) -> None:
    """The last test here: it edits the class."""
    parts = contributed / "runs/lda/sweep.parts"
    before = {file.name for file in parts.iterdir()}
    file = contributed / "w2s_probes/probes/lda.py"
    file.write_text(file.read_text() + "\n# another version\n")
    environment = os.environ | {"PYTHONPATH": str(contributed), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "w2s_probes", "sweep", "runs/quiet", LABELS, "--out", "runs/lda/sweep.csv"]
    for values, made in ((["--lda-l2", "0.1,1,10", "--logistic-l2", "1e-4,1e-2"], True), (["--knn-k", "5"], True)):
        subprocess.run([*command, *values], cwd=contributed, env=environment, check=True, capture_output=True)
        after = {file.name for file in parts.iterdir()}
        assert bool(after - before) == made
        before = after
    file.write_text(file.read_text() + "\n# a third version\n")
    subprocess.run([*command, "--knn-k", "5"], cwd=contributed, env=environment, check=True, capture_output=True)
    assert {file.name for file in parts.iterdir()} == before  # kNN has nothing of it
