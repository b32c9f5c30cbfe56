"""Commands that write several files to one place: a second one is refused in a line while another is at it."""

import inspect
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.analyses.robustness.conftest import SMALL as FEW
from tests.w2s_probes.cli.test_run import demo
from w2s_probes.cli.app import VERBS, load
from w2s_probes.places.claims import CLAIMS, Claims

Failing = Callable[..., str]
# One file each, whole or not there: that of the command that ends last stays.
ONE_FILE = {
    *("ask", "debate", "combine", "foretell", "filter", "relabel", "tokens", "predict", "compare", "calibrate"),
    *("deception", "report", "results"),
    "audit",  # three commands
}
# Files of parts that any process may write, each under the name of its content, and a manifest of one identity.
PARTS = {"extract", "import", "pull"}
ELSEWHERE = {"demo": "run of another recipe"}
SETTINGS = [word for one in [*FEW, "seeds=[0]", "robustness.families=random"] for word in ("--set", one)]


@pytest.fixture
def given(tmp_path: Path) -> Iterator[Path]:
    """A folder in which `taken`, `export`, and the files of a sweep and a steering are claimed."""
    with Claims() as claims:
        for name in ("taken/student.json", "taken/run.json", "taken/robust.json", "export", "taken.json"):
            assert claims.take(tmp_path / name) is not None
        assert claims.take(tmp_path / "taken.parts" / "taken.json") is not None
        yield tmp_path


def words(verb: str, world: Path, model: Path, here: Path) -> list[object]:
    """A command that writes to a place that is taken."""
    weak, out = world / "weak.jsonl", here / "taken"
    return {
        "student": ["student", world / "acts", weak, "--layer", 1, "--epochs", 1, "--out", out],
        "student, tuned": ["student", weak, "--kind", "full", "--model", model, "--epochs", 1, "--out", out],
        "export": ["export", weak, "--format", "hf", "--out", here / "export"],
        "sweep": ["sweep", world / "acts", weak, "--knn-k", 5, "--out", here / "taken.csv"],
        "steer": [
            *("steer", model, world / "acts", weak, "--layer", 1, "--rows", world / "test.jsonl"),
            *("--answers", "w1,w20", "--prompt", "{text}", "--random", 3, "--out", here / "taken.json"),
        ],
        "run": demo(out),
        "robust": ["robust", "robust", *SETTINGS, "--out", out],
    }[verb]


@pytest.mark.parametrize("verb", ["student", "student, tuned", "export", "sweep", "steer", "run", "robust"])
def test_a_second_command_is_refused_in_one_line_and_writes_nothing(
    verb: str, fails: Failing, given: Path, world: Path, checkpoint: Callable[..., Path]
) -> None:
    before = sorted(given.rglob("*"))
    said = fails(*words(verb, world, checkpoint(), given))
    assert f": process {os.getpid()} on " in said
    assert "is writing there: wait until it has ended, or give another --out" in said
    assert sorted(given.rglob("*")) == before


def test_what_has_ended_leaves_no_claim(w2s: Callable[..., None], world: Path, tmp_path: Path) -> None:
    out = tmp_path / "sweep.csv"
    w2s("sweep", world / "acts", world / "weak.jsonl", "--knn-k", 5, "--layers", 1, "--out", out)
    w2s("student", world / "acts", world / "weak.jsonl", "--layer", 1, "--epochs", 1, "--out", tmp_path / "st")
    w2s("export", world / "weak.jsonl", "--format", "eai", "--out", tmp_path / "e")
    assert out.exists()
    assert not list(tmp_path.rglob(CLAIMS))


def test_every_command_with_an_out_is_of_a_known_kind() -> None:
    claimed = {"student", "export", "sweep", "steer", "run", "robust"}
    writing = set()
    for verb in VERBS:
        command = load(verb)
        for one in getattr(command, "commands", {"": command}).values():
            if "out" in inspect.signature(inspect.unwrap(one.callback)).parameters:
                writing.add(verb)
    assert writing == ONE_FILE | PARTS | claimed | set(ELSEWHERE)
