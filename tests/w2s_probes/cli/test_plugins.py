"""What a plugin adds is used from the command line as ours are, on two processes as on one."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.worlds.plugged import PLUGIN, install, look_again, registries_as_they_are
from tests.worlds.sweeping import Swept, planted_store
from w2s_probes.io.tables import read_table, write_table
from w2s_probes.probes.registry import ENTRIES, PROBES
from w2s_probes.sweep import SweepResult

SWEEP = ("--means-l2", "0.1,1", "--knn-k", "5")


@pytest.fixture(autouse=True)
def _undone() -> Iterator[None]:
    with registries_as_they_are():
        yield


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    return planted_store(tmp_path_factory.mktemp("plugged") / "acts", apart=(0.0, 4.0))


@pytest.fixture
def here(world: Swept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which one stands, with mine.py and the labels of the world in weak.jsonl."""
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(PLUGIN)
    write_table(world.table, "weak.jsonl")
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    from w2s_probes.cli import main

    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_sweep_has_its_option_and_is_the_same_in_two_processes(
    world: Swept, here: Path, w2s: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    w2s("sweep", world.path, "weak.jsonl", *SWEEP, "--out", "one.csv", "--plugin", "mine.py")
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "plugin mine.py: adds probe means, loss mine, reader .tsv, format words"
    assert said[-1].startswith("Next: w2s filter ")
    assert said[-1].endswith(" --plugin mine.py")
    w2s("--plugin", "mine.py", "sweep", world.path, "weak.jsonl", *SWEEP, "--out", "two.csv", "--jobs", 2)
    one, two = (pd.read_csv(name) for name in ("one.csv", "two.csv"))
    pd.testing.assert_frame_equal(one, two)
    assert {"means", "knn"} <= set(one["probe"])
    assert json.loads(Path("one.json").read_text())["grid"]["means_l2"] == [0.1, 1.0]
    found = SweepResult.read("one.csv").table
    assert found.loc[found["probe"] == "means", "value"].notna().all()


def test_an_edit_makes_what_it_made_anew_and_nothing_else(world: Swept, here: Path, w2s: Callable[..., None]) -> None:
    def parts(*options: str, made: int) -> None:
        before = set(Path("sweep.parts").iterdir()) if Path("sweep.parts").exists() else set()
        w2s("sweep", world.path, "weak.jsonl", "--layer", 1, *options, "--out", "sweep.csv", "--plugin", "mine.py")
        assert len(set(Path("sweep.parts").iterdir()) - before) == made

    def brier() -> float:
        table = pd.read_csv("sweep.csv").query("probe == 'means' and metric == 'weak_brier' and rows == 'training'")
        return float(table["value"].min())

    parts(*SWEEP, made=1)
    before = brier()
    parts("--knn-k", "5", made=1)
    first = pd.read_csv("sweep.csv")
    Path("mine.py").write_text(PLUGIN.replace("FACTOR = 1.0", "FACTOR = 9.0"))
    parts("--knn-k", "5", made=0)
    pd.testing.assert_frame_equal(pd.read_csv("sweep.csv"), first)
    parts(*SWEEP, made=1)
    assert brier() > before + 0.01  # too sure of everything: it is the edited file that ran


def test_its_probe_filters_and_its_reader_and_format_are_known(
    world: Swept, here: Path, w2s: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    world.table.to_csv("weak.tsv", sep="\t", index=False)
    more = ("--plugin", "mine.py")
    w2s("filter", world.path, "weak.tsv", "--layer", 1, "--by", "means", "--means-l2", 1, "--out", "kept.jsonl", *more)
    w2s("filter", world.path, "weak.jsonl", "--layer", 1, "--by", "means", "--l2", 1, "--out", "same.jsonl", *more)
    kept, same = read_table("kept.jsonl"), read_table("same.jsonl")
    assert kept["p"].tolist() == same["p"].tolist()
    assert set(kept["probe"]) == {"means"}
    w2s("export", "kept.jsonl", "--format", "words", "--out", "kept.txt", *more)
    rows = kept[kept["keep"].astype(bool)]
    expected = [f"{row} {'yes' if p > 0.5 else 'no'}" for row, p in zip(rows["id"], rows["label"], strict=True)]
    assert Path("kept.txt").read_text().splitlines() == expected
    assert "words, 144 rows of 160; left out: 16 dropped by the filter" in capsys.readouterr().out
    w2s("student", world.path, "kept.jsonl", "--layer", 1, "--loss", "mine", "--out", "student", "--epochs", 5, *more)
    assert json.loads(Path("student/student.json").read_text())["parameters"]["loss"] == "mine"


def test_names_are_proposed_and_listed_with_those_of_a_plugin_and_a_package(
    world: Swept, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = (world.path, "weak.jsonl")
    plain = f"w2s: --by mean: known: {', '.join(sorted(PROBES))}; or module:Class of a scikit-learn classifier"
    command = ("filter", *labels, "--layer", 1, "--out", "kept.jsonl")
    assert refused(capsys, *command, "--by", "mean") == plain  # the control
    more = ("--plugin", here / "mine.py")
    assert "did you mean 'means'?" in refused(capsys, *command, "--by", "mean", *more)
    assert "did you mean --means-l2?" in refused(capsys, "sweep", *labels, "--mean-l2", 1, "--out", "a.csv", *more)
    sweep = ("sweep", *labels, "--out", "a.csv")
    assert "did you mean 'mine'?" in refused(capsys, *sweep, "--students", "mime", *more)
    assert "did you mean 'words'?" in refused(capsys, "export", "weak.jsonl", "--format", "word", "--out", "a", *more)
    line = refused(capsys, "sweep", world.path, "a.x", "--out", "a.csv", *more)
    assert line.endswith("in one of .jsonl, .jsonl.gz, .csv, .csv.gz, .parquet, .tsv")
    assert "did you mean --plugin?" in refused(capsys, *command, "--plugn", "a")

    text = "from w2s_probes.losses import xent as borrowed\n"
    points = {"losses": {"borrowed": "added_loss.all:borrowed"}}
    monkeypatch.syspath_prepend(install(here / "site", "added_loss", {"all.py": text}, points))
    look_again()
    assert "did you mean 'borrowed'?" in refused(capsys, *sweep, "--students", "borowed")


@pytest.mark.parametrize("verb", ["sweep", "student", "filter", "export"])
def test_the_help_lists_what_is_there(
    verb: str, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from w2s_probes.cli import main

    monkeypatch.setenv("COLUMNS", "200")
    texts = []
    for more in ([], ["--plugin", "mine.py"], []):
        with registries_as_they_are(), pytest.raises(SystemExit):
            main([verb, *more, "--help"])
        texts.append(" ".join(capsys.readouterr().out.replace("│", " ").split()))
    shown = {
        "sweep": "--means-l2",
        "student": "mine;",
        "filter": f"{ENTRIES[-1].name}, means,",
        "export": "cleanlab, words",
    }[verb]
    assert [shown in text for text in texts] == [False, True, False]


def test_a_plugin_that_fails_is_one_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("wrong.py").write_text("import numpy as np\n\nnp.no_such_thing\n")
    line = refused(capsys, "sweep", "acts", "weak.jsonl", "--out", "a.csv", "--plugin", "wrong.py")
    where = here / "wrong.py"
    assert line == f"w2s: plugin {where}, line 3: AttributeError: module 'numpy' has no attribute 'no_such_thing'"
    assert refused(capsys, "--plugin", "none.py", "verify", "a").endswith("cannot be read (No such file or directory)")
    assert "whose name ends in .py" in refused(capsys, "verify", "a", "--plugin", "weak.jsonl")
    assert "requires an argument" in refused(capsys, "verify", "a", "--plugin")


def test_a_saved_probe_of_a_plugin_is_read_again(here: Path) -> None:
    from w2s_probes import LogisticProbe, load_probe, save_probe
    from w2s_probes.plugins import load_plugins
    from w2s_probes.probes import PROBES

    load_plugins(["mine.py"])
    X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    probe = PROBES["means"].make(1.0).fit(X, (X[:, 0] > 0) * 0.8 + 0.1)
    save_probe(probe, here / "means")
    assert np.array_equal(load_probe(here / "means").predict_proba(X), probe.predict_proba(X))
    PROBES["logistic"] = replace(PROBES["means"], name="logistic")
    save_probe(LogisticProbe().fit(X, X[:, 0] > 0), here / "ours")  # whose class is known whatever has taken its place
    assert isinstance(load_probe(here / "ours"), LogisticProbe)
