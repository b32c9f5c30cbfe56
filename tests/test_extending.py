"""The page on extending: its blocks run and print what it says, and what it adds passes the package's own tests."""

import contextlib
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from analyses.experiment import Experiment, Outcome
from analyses.methods import find_method
from analyses.results.names import CEILING, PROBE, RANDOM
from tests.conftest import ROOT
from tests.test_readme import BLOCK, words
from tests.worlds.plugged import install, look_again, registries_as_they_are
from w2s_probes.code_hashes import code_hash
from w2s_probes.io.tables import read_table
from w2s_probes.losses import LOSS_NAMES, LOSSES, Objective, is_batched
from w2s_probes.plugins import GROUPS

PAGE = (ROOT / "docs" / "extending.md").read_text()
BLOCKS = re.findall(BLOCK, PAGE, flags=re.DOTALL)


def code(beginning: str) -> str:
    """The one Python block that has this in it."""
    (found,) = [text for kind, text in BLOCKS if kind == "python" and beginning in text]
    return str(found)


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The folder in which every block has run in turn, the names of its Python, and what was printed beside the page's.

    What the page has put into the registries is taken out again.
    """
    import io

    from w2s_probes.cli import main

    folder = tmp_path_factory.mktemp("extending")
    (folder / "data").symlink_to(ROOT / "data")
    names: dict[str, Any] = {"__name__": "page"}
    pairs: list[tuple[str, str]] = []
    with registries_as_they_are(), contextlib.chdir(folder):
        printed = ""
        for kind, text in BLOCKS:
            own = re.match(r"# (mine/\S+)\n", text)
            if own:
                Path(own[1]).parent.mkdir(parents=True, exist_ok=True)
                Path(own[1]).write_text(text)
            elif kind == "":
                pairs.append((printed, text))
            elif kind in ("python", "sh"):
                heard = io.StringIO()
                with contextlib.redirect_stdout(heard):
                    if kind == "python":
                        exec(compile(text, "extending.md", "exec"), names)
                    for line in text.splitlines() if kind == "sh" else []:
                        with pytest.raises(SystemExit) as left:
                            main(shlex.split(line)[1:])
                        assert left.value.code == 0, line
                printed = heard.getvalue()
        yield {"folder": folder, "names": names, "pairs": pairs}


pytestmark = pytest.mark.filterwarnings("ignore:'pin_memory' argument:UserWarning")  # Trainer's default, without a GPU


def test_the_blocks_print_what_the_page_says(walked: dict[str, Any]) -> None:
    assert len(walked["pairs"]) == 4
    for printed, expected in walked["pairs"]:
        lines = [line for line in words(printed) if not line[0].startswith("{")]  # Trainer's own log
        assert lines == words(expected)


def test_each_kind_of_student_learns_with_the_new_loss(walked: dict[str, Any]) -> None:
    """All three are far from guessing, .5; the numbers themselves may be others on another machine."""
    (printed,) = [printed for printed, _ in walked["pairs"] if "fine-tuned" in printed]
    found = {name: float(value) for name, value in re.findall(r"^(.+): AUROC ([\d.]+)$", printed, flags=re.MULTILINE)}
    assert set(found) == {"head", "fine-tuned", "Trainer"}
    assert min(found.values()) > 0.65


def test_the_new_task_keeps_its_rule_for_labels_and_groups(walked: dict[str, Any]) -> None:
    folder = walked["folder"]
    own = pd.concat([pd.read_csv(folder / f"mine/rows/quiet/{part}.csv") for part in ("train", "test")])
    verdicts = own.drop_duplicates("review").set_index("review")["verdict"]
    used = [read_table(folder / f"runs/mine/labels/quiet-0-{name}.jsonl") for name in ("weak", "test")]
    for table in used:
        assert verdicts[table["text"]].map({"quiet": 1, "noisy": 0}).tolist() == table["truth"].astype(int).tolist()
    train = used[0][used[0]["split"] == "train"]
    assert (own["verdict"] == "cannot say").any()
    assert not set(train["group"]) & (set(used[0]["group"][used[0]["split"] == "val"]) | set(used[1]["group"]))
    assert train["group"].duplicated().any()  # two reviews of a place: the groups above are not the rows themselves


def test_the_raters_labels_are_what_students_were_taught(walked: dict[str, Any]) -> None:
    folder = walked["folder"]
    given = pd.read_csv(folder / "mine/labels.csv").drop_duplicates("text").set_index("text")["label"]
    rated = read_table(folder / "runs/rated/labels/quiet-0-weak.jsonl")
    assert given[rated["text"]].tolist() == rated["label"].astype(float).tolist()
    assert set(given) == {0.0, 0.5, 1.0}
    results = pd.read_csv(folder / "runs/rated/results.csv").set_index(["method", "metric"])["value"]
    assert 0.55 < results["weak", "auroc"] < results["student-xent", "auroc"]


def test_what_reads_the_truth_is_marked_in_every_line_of_its_results(walked: dict[str, Any]) -> None:
    results = pd.read_csv(walked["folder"] / "runs/methods/results.csv")
    assert results[results["method"] == "control-right-rows"]["oracle"].all()
    others = results[results["method"].isin(["weak", "student-xent", "agreement"])]
    assert not others[others["metric"] != "agreement_on_errors"][
        "oracle"
    ].any()  # a measure that reads the truth itself


def test_a_loss_is_given_the_settings_that_it_has_parameters_for(walked: dict[str, Any]) -> None:
    import torch

    seen: dict[str, Any] = {}

    def spying(logits: Any, soft: Any, alpha: float, radius: float, q: float = 3, *, weight: Any = None) -> Any:
        seen.update(alpha=alpha, radius=radius, q=q)
        return logits.sum()

    LOSSES["spying"] = spying
    objective = Objective("spying", alpha=0.8, warm_up=4, radius=0.2)
    objective.step = 2
    objective(torch.zeros(3, 2, requires_grad=True), torch.zeros(3))
    assert seen == {"alpha": 0.4, "radius": 0.2, "q": 3}
    assert objective.ramping
    assert not Objective("gce").ramping


def test_with_the_pages_edits_the_package_passes_its_own_tests(tmp_path: Path) -> None:
    """A copy of the package, edited as the page says, runs its tests of all losses and methods on the new ones."""
    edited(tmp_path)
    losses = ["tests/w2s_probes/losses", "tests/w2s_probes/students/test_head.py"]
    methods = ["tests/analyses/test_methods.py", "tests/analyses/experiment/test_firewall.py"]
    chosen = "(gce and not wrong) or (wrong and definition) or agreement or control-right-rows or the_names_are"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-k", chosen, *losses, *methods]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    found = re.search(r"(\d+) failed, (\d+) passed", done.stdout)
    assert found, done.stdout[-3000:]
    # The control: the same function under another name, with another exponent in NumPy, is no longer its definition.
    assert found[1] == "1", done.stdout[-3000:]
    assert "_ test_each_loss_is_its_definition[gce-wrong] _" in done.stdout
    assert int(found[2]) >= 18


def edited(folder: Path) -> None:
    """Copy what the tests of losses and methods need, and make the page's edits there, the loss twice."""
    ignore: Callable[..., Any] = shutil.ignore_patterns("__pycache__", "benchmarks", "cli")
    for name in ("w2s_probes", "extract", "analyses"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", folder)
    functions = folder / "w2s_probes/losses/functions.py"
    (function,) = re.findall(r"\n\n(def gce.*?)\n\n\nLOSSES", code("def gce"), flags=re.DOTALL)
    text = functions.read_text()
    assert "\n\nTERMS: dict" in text
    functions.write_text(text.replace("\n\nTERMS: dict", f"\n\n{function}\n\n\nTERMS: dict"))
    (diff,) = [text for kind, text in BLOCKS if kind == "diff" and "gce" in text]
    edits = re.findall(r"^--- (\S+)\n (.*)\n\+(.*)$", diff, flags=re.MULTILINE)
    assert len(edits) == 2
    for name, before, line in edits:
        text = (folder / name).read_text()
        assert text.count(f"{before}\n") == 1, f"{name}: {before}"
        wrong = line.replace('"gce":', '"gce-wrong":').replace("0.7", "0.8")
        (folder / name).write_text(text.replace(f"{before}\n", f"{before}\n{line}\n{wrong}\n"))
    methods, _, _ = code("def agreement").partition('METHODS["undeclared"]')
    kept = "\n".join(line for line in methods.splitlines() if not line.startswith(("METHODS[", "from analyses.")))
    (folder / "analyses/methods/mine.py").write_text(f"from ..experiment import Experiment, Lessons\n{kept}\n")
    entries = "\n".join(line for line in methods.splitlines() if line.startswith("METHODS["))
    init = folder / "analyses/methods/__init__.py"
    init.write_text(f"{init.read_text()}\nfrom .mine import agreement, right_rows\n{entries}\n")


def test_the_page_is_of_todays_losses_and_its_links_lead_somewhere() -> None:
    assert "gce" not in LOSS_NAMES  # the page adds it
    for target in re.findall(r"\]\(([^)#:]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
    for name in re.findall(r"`((?:w2s_probes|analyses|data|tests)/[\w./]*)`", PAGE):
        assert (ROOT / name).exists(), name


def test_what_the_page_says_of_an_experiment_and_an_outcome_is_there() -> None:
    """Every name in the page's tables, and the beginnings of method names that the code reads."""
    (table,) = re.findall(r"What an `Experiment` gives.*?\n\n(\|.*?)\n\n", PAGE, flags=re.DOTALL)
    named = [name for line in table.splitlines()[2:] for name in re.findall(r"`(\w+)", line.split("|")[1])]
    there = {*Experiment.__dataclass_fields__, *dir(Experiment)}
    assert set(named) <= there
    assert len(named) >= 12
    (said,) = re.findall(r"An \[`Outcome`\].*?\n\n", PAGE, flags=re.DOTALL)
    assert set(Outcome.__dataclass_fields__) <= set(re.findall(r"`(\w+)`", said))
    for name in (RANDOM, PROBE, "control-", "filter-", "student-", f"{CEILING}-"):
        assert f"`{name}" in PAGE.partition("The beginning of a method's name is read")[2]


def test_a_changed_loss_has_another_name_in_the_cache_as_the_page_says() -> None:
    def first(logits: Any, soft: Any) -> Any:
        return (logits - soft).sum()

    def second(logits: Any, soft: Any) -> Any:
        return (logits - 2 * soft).sum()

    second.__qualname__ = first.__qualname__
    assert code_hash(first) != code_hash(second)
    assert "of the loss's: what was changed there is run again" in " ".join(PAGE.split())


def test_the_page_names_every_registry_with_where_it_is_from() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `([\w.]+)` \|", PAGE, flags=re.MULTILINE)
    assert [getattr(import_module(module), name).group for name, module in rows] == list(GROUPS)
    for group in GROUPS:
        assert f"`w2s_probes.{group}`" in PAGE


def test_the_format_of_the_page_has_a_line_for_each_row_that_is_kept(walked: dict[str, Any]) -> None:
    folder = walked["folder"]
    kept = read_table(folder / "runs/lda/kept.jsonl")
    rows = kept[kept["keep"].astype(bool) & (kept["split"] == "train")]
    lines = (folder / "runs/lda/train.txt").read_text().splitlines()
    assert [line.partition(" ")[2] for line in lines] == [" ".join(text.split()) for text in rows["text"]]
    assert [line.startswith("__label__1 ") for line in lines] == (rows["label"].astype(float) > 0.5).tolist()


def test_the_package_of_the_page_is_known_where_it_is_installed(
    walked: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = walked["folder"] / "mine/package"
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    points = {group.removeprefix("w2s_probes."): entries for group, entries in project["entry-points"].items()}
    with registries_as_they_are():
        assert "brier" not in LOSSES
        install(tmp_path, project["name"].replace("-", "_"), {}, points, project["version"])
        monkeypatch.syspath_prepend(source)
        monkeypatch.syspath_prepend(tmp_path)
        look_again()
        assert find_method("student-brier").losses == frozenset({"brier"})
        f = np.array([0.5, 0.9])
        logits = torch.tensor(np.stack([np.zeros(2), np.log(f / (1 - f))], axis=-1))
        found = LOSSES["brier"](logits, torch.tensor([1.0, 0.0]), weight=torch.tensor([1.0, 2.0]))
        assert found.item() == pytest.approx((0.25 + 2 * 0.81) / 2)
        assert is_batched(LOSSES["brier"])


def test_a_sweep_measures_the_probe_of_the_page_at_every_value(walked: dict[str, Any]) -> None:
    table = pd.read_csv(walked["folder"] / "runs/lda/sweep.csv")
    cells = table[(table["probe"] == "lda") & (table["metric"] == "auroc") & (table["rows"] == "training")]
    assert sorted(cells["l2"].unique()) == [0.1, 1, 10]
    assert cells["value"].between(0.6, 1).all()
    assert json.loads((walked["folder"] / "runs/lda/sweep.json").read_text())["grid"]["lda_l2"] == [0.1, 1, 10]
    assert (walked["folder"] / "runs/lda/sweep.png").stat().st_size > 10_000


def test_a_filter_by_it_drops_the_rows_that_it_disbelieves_most(walked: dict[str, Any]) -> None:
    kept = read_table(walked["folder"] / "runs/lda/kept.jsonl")
    judged = kept[kept["split"] == "train"]
    assert set(judged["probe"]) == {"lda"}
    drop = ~judged["keep"].astype(bool).to_numpy()
    assert drop.sum() == round(len(judged) / 10)
    scores = judged["score"].astype(float).to_numpy()
    assert scores[drop].min() >= scores[~drop].max()
    assert set(judged["fold"].astype(int)) == {0, 1, 2, 3, 4}  # its scores are out of sample
    p, truth = judged["p"].astype(float), judged["truth"].astype(float)
    assert np.corrcoef(p, truth)[0, 1] > 0.4


def test_a_recipe_with_the_plugin_has_its_methods_with_their_ceiling_and_value(walked: dict[str, Any]) -> None:
    results = pd.read_csv(walked["folder"] / "runs/lda/run/results.csv")
    assert {"probe-lda", "ceiling-lda", "filter-lda", "student-xent"} <= set(results["method"])
    filtered = results[results["method"] == "filter-lda"]
    assert set(filtered["probe"]) == {"lda"}
    assert set(filtered["l2"]) == {1.0}
    auroc = results[results["metric"] == "auroc"].set_index("method")["value"]
    assert auroc["weak"] < auroc["probe-lda"] < auroc["ceiling-lda"]
    assert results[results["method"] == "ceiling-lda"]["oracle"].all()


def test_the_report_shows_its_methods_and_its_curve(walked: dict[str, Any]) -> None:
    page = (walked["folder"] / "runs/lda/report.html").read_text()
    for shown in ("probe-lda", "filter-lda", "Shrinkage of LDA", "LDA"):
        assert shown in page
