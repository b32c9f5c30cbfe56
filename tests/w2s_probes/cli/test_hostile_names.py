"""Names of files, tasks, labels and options, whatever characters they have, reach the terminal as text and no more."""

import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tests.conftest import ROOT
from tests.worlds.sweeping import Swept, planted_store
from w2s_probes.cli import main, progress, terminal
from w2s_probes.errors import did_you_mean
from w2s_probes.io.tables import write_table
from w2s_probes.printable import LONGEST_LINE, as_utf8, one_line, visible

NAMES = {
    "colours": "\x1b[31mred\x1b[0m",
    "a title of the window": "\x1b]0;owned\x07",
    "one byte that begins a sequence": "a\x9b31mb",
    "a line that returns": "a\rb",
    "a second line": "a\nw2s: b",
    "the other direction": "a\u202egpj.b",
    "no UTF-8": b"a\xff\xfeb".decode(errors="surrogateescape"),
    "markup": "[bold red]x[/] [/nothing]",
    "emoji": ":smile: :warning:",
    "formula": "$a_$b^{",
    "null": "null",
    "other alphabets": "日本語 Ωμέγα é",
    "html": "<b>&amp;",
    "spaces": " a  b ",
}
SEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    return planted_store(tmp_path_factory.mktemp("swept") / "acts", n=60, d=4, apart=(0.0, 3.0))


def call(*arguments: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as end:
        main([str(one) for one in arguments])
    return int(end.value.code or 0), out.getvalue(), err.getvalue()


ARGUED = ("debate", "m", "--rows", "r.jsonl", "--out", "d.jsonl")
ASKED = ("ask", "m", "--rows", "r.jsonl", "--out", "a.jsonl")
STEERED = ("steer", "m", "acts", "l.jsonl", "--layer", "0", "--rows", "r.jsonl", "--out", "s.json")
SAID = ("student", "l.jsonl", "--kind", "lm", "--model", "m", "--rows", "r.jsonl", "--out", "st")


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ((*ARGUED, "--names", "BAD,quiet"), "names"),
        ((*ARGUED, "--question", "BAD"), "question"),
        *(((*command, "--answers", "BAD,quiet"), "answers") for command in (ASKED, STEERED, SAID)),
        *(((*command, "--prompt", "{text} BAD"), "prompt") for command in (ASKED, STEERED, SAID)),
    ],
)
def test_what_models_are_told_is_text(words: tuple[str, ...], what: str) -> None:
    code, _, said = call(*(word.replace("BAD", NAMES["no UTF-8"]) for word in words))
    assert code == 2
    assert re.search(rf"{what} '.*it holds bytes that are no text in UTF-8: give text\n$", said)


@given(st.text(st.characters()))
def test_what_is_made_visible_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    shown = visible(text)
    assert not SEEN.search(shown)
    assert "\n" not in shown
    shown.encode()
    if text.isprintable():
        assert shown == text


@given(st.text(st.characters()))
def test_a_message_is_one_line_that_can_be_read_at_a_glance(text: str) -> None:
    for long in (text, text * 500, " ".join([text] * 500)):
        line = one_line(long)
        assert len(line.splitlines()) <= 1
        assert not SEEN.search(line)
        assert len(line) <= LONGEST_LINE + 1


def test_a_short_message_stays_as_it_is_and_a_long_one_keeps_its_ends() -> None:
    path = "/data/" + "a" * 250 + "/b.jsonl"
    assert one_line(f"{path}: no such file") == f"{path}: no such file"
    shown = one_line("key " + "x" * 9000 + " is unknown: leave it out")
    assert shown.startswith("key xxx")
    assert shown.endswith("xxx is unknown: leave it out")


@pytest.mark.parametrize("name", NAMES)
def test_names_in_refusals_are_shown_and_not_obeyed(name: str, tmp_path: Path, swept: Swept) -> None:
    hostile = NAMES[name]
    at = ["--layer", 1, "--out", tmp_path / "o.jsonl"]
    for arguments in (
        ["filter", swept.path, tmp_path / f"{hostile}.jsonl", *at],
        ["filter", tmp_path / hostile, tmp_path / "x.jsonl", *at],
        ["filter", swept.path, tmp_path / "x.jsonl", "--by", hostile, *at],
        ["filter", swept.path, tmp_path / "x.jsonl", "--layer", hostile, "--out", tmp_path / "o.jsonl"],
        ["export", tmp_path / "x.jsonl", "--format", hostile, "--out", tmp_path / "o"],
        ["plan", ROOT / "analyses" / "recipes" / "demo.toml", "--set", f"{hostile}=1"],
        ["plan", ROOT / "analyses" / "recipes" / "demo.toml", "--set", f'data.tasks=["{name}"]'],
        ["verify", f"--{hostile}"],
        [hostile],
        ["report", tmp_path / hostile],
    ):
        code, out, err = call(*arguments)
        assert code == 2
        assert out == ""
        assert re.fullmatch(r"w2s: [^\n]+\n", err)
        assert not SEEN.search(err)
        if hostile.isprintable() and arguments[0] == "report":
            assert one_line(hostile) in err


@pytest.mark.parametrize("name", NAMES)
def test_names_in_answers_are_shown_and_not_obeyed(name: str, tmp_path: Path, swept: Swept) -> None:
    hostile = NAMES[name]
    labels = tmp_path / f"{hostile}.jsonl"
    write_table(swept.table, labels)
    for arguments in (
        ["sweep", swept.path, labels, "--knn-k", "1,3", "--out", tmp_path / f"s{hostile}.jsonl"],
        ["filter", swept.path, labels, "--layer", 1, "--by", "knn", "--k", 3, "--out", tmp_path / f"k{hostile}.jsonl"],
        ["report", tmp_path, "--out", tmp_path / f"r{hostile}.html"],
    ):
        code, out, err = call(*arguments)
        assert (code, err) == (0, ""), arguments
        assert not SEEN.search(out)
        if hostile.isprintable():
            assert hostile in out or arguments[0] == "filter"


@pytest.mark.parametrize("name", NAMES)
def test_names_in_tables_and_in_bars_are_shown_and_not_obeyed(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = as_utf8(NAMES[name])  # of other characters pandas makes no table
    terminal.show(pd.DataFrame({"task": [hostile], hostile: [hostile], "x": [0.5]}), by="task")
    out = capsys.readouterr().out
    assert not SEEN.search(out)
    if hostile.isprintable():
        assert out.count(hostile.strip()) == 3
    screen = io.StringIO()
    monkeypatch.setattr(terminal, "err", Console(file=screen, force_terminal=True, width=200, emoji=False))
    monkeypatch.setattr(progress, "wanted", lambda: True)
    with progress.steps() as report:
        report(hostile, 1, 2)
    drawn = screen.getvalue()
    for sequence in ("\x1b[31m", "\x1b]0;", "\x9b", "\u202e", "\x07"):
        assert sequence not in drawn or name not in ("colours", "a title of the window", "the other direction")
    if name == "markup":
        assert "[bold red]x[/] [/nothing]" in drawn


class Ascii:
    """A stdout or stderr that knows ASCII alone, and what was written to it."""

    def __init__(self) -> None:
        self._bytes = io.BytesIO()
        self.stream = io.TextIOWrapper(self._bytes, encoding="ascii", errors="strict", write_through=True)

    @property
    def text(self) -> str:
        return self._bytes.getvalue().decode("ascii")


def test_a_terminal_that_knows_ascii_alone_gets_escapes(
    tmp_path: Path, swept: Swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = tmp_path / "日本.jsonl"
    write_table(swept.table, labels)
    for arguments, code, said in (
        (["sweep", swept.path, labels, "--knn-k", 1, "--out", tmp_path / "é.csv"], 0, r"\u65e5\u672c, knn: "),
        (["verify", tmp_path / "é"], 2, r"\xe9"),
        (["--help"], 0, "Weak-to-strong"),
        (["sweep", "--help"], 0, "--knn-k"),
        (["plan", ROOT / "data/miniature/weak", "--rows", labels, "--test-rows", 50], 2, "text"),
        (["cache", "ls", tmp_path], 0, "0 stores"),
    ):
        out, err = Ascii(), Ascii()
        with monkeypatch.context() as patched, pytest.raises(SystemExit) as end:
            patched.setattr(sys, "stdout", out.stream)
            patched.setattr(sys, "stderr", err.stream)
            main([str(one) for one in arguments])
        assert (end.value.code or 0) == code, err.text
        assert said in out.text + err.text


def test_an_environment_without_utf8_is_no_traceback(tmp_path: Path, swept: Swept) -> None:
    write_table(swept.table, tmp_path / "é.jsonl")
    command: list[Any] = ["filter", swept.path, tmp_path / "é.jsonl", "--layer", "1", "--k", "3", "--by", "knn"]
    code = "import sys; from w2s_probes.cli import main; main(sys.argv[1:])"
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}
    done = subprocess.run(
        [sys.executable, "-c", code, *command, "--out", tmp_path / "ü.jsonl"],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "kept" in done.stdout
    assert (tmp_path / "ü.jsonl").exists()


@pytest.mark.parametrize("count", [1, 12, 13, 500])
def test_a_list_of_known_names_is_short_whatever_their_number(count: int) -> None:
    known = [f"layer.{i}.output" for i in range(count)]
    assert did_you_mean("layer.0.outptu", known) == "did you mean 'layer.0.output'?"
    said = did_you_mean("qqq", known)
    assert said.startswith("known: layer.0.output")
    assert len(said) < 300
    shown = said.removeprefix("known: ").partition(" and ")[0].count(",") + 1
    assert count == shown or said.endswith(f" and {count - shown:,} more")


@pytest.mark.parametrize("known", [["x" * 100_000], ["x" * 5000] * 300, []])
def test_endless_names_make_no_endless_message(known: list[str]) -> None:
    call: Callable[..., str] = did_you_mean
    assert len(call("y" * 100_000, known)) < 300
