"""What `w2s` prints besides its files: remarks that --quiet leaves out, colours for terminals alone, exit codes."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import pandas as pd
import pytest
from rich.console import Console

from w2s_probes import ActivationStore
from w2s_probes.cli import main, progress, terminal
from w2s_probes.io.tables import read_table

Call = Callable[..., None]
Failing = Callable[..., str]
ESCAPE = "\x1b["


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    yield
    terminal.hush(False)


@pytest.mark.parametrize("place", [0, 1, -1])
@pytest.mark.parametrize("option", ["--quiet", "-q"])
def test_a_quiet_command_writes_its_file_and_says_nothing(
    place: int, option: str, world: Path, tmp_path: Path, w2s: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "kept.jsonl"
    command: list[Any] = ["filter", world / "acts", world / "weak.jsonl", "--layer", 1, "--k", 9, "--out", out]
    command.insert(len(command) if place == -1 else place, option)
    w2s(*command)
    assert capsys.readouterr() == ("", "")
    assert len(read_table(out)) == 180


def test_the_control_without_it_the_command_speaks_and_a_quiet_one_before_it_leaves_nothing_behind(
    world: Path, tmp_path: Path, w2s: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["filter", world / "acts", world / "weak.jsonl", "--layer", 1, "--k", 9, "--out", tmp_path / "k.jsonl"]
    w2s("--quiet", *command)
    w2s(*command)
    assert "of 150 rows, removed " in capsys.readouterr().out


def test_answers_that_no_file_holds_are_given_quietly_too(
    world: Path, w2s: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    for command, said in (
        (["verify", world / "acts"], "sound; 240 rows"),
        (["cache", "ls", world], "1 store,"),
        (["cache", "gc", world, "--dry-run"], "0 bytes to gain"),
    ):
        w2s(*command, "--quiet")
        assert said in capsys.readouterr().out
    w2s("cache", "gc", world, "--quiet")
    assert capsys.readouterr().out == ""


def test_a_quiet_extraction_into_the_cache_says_only_where(
    place: Path, w2s: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("W2S_CACHE", str(place / "cache"))
    w2s("--quiet", "extract", place / "model", "--rows", place / "rows.jsonl")
    (line,) = capsys.readouterr().out.splitlines()
    assert len(ActivationStore.open(line)) == 40


def test_errors_are_said_quietly_too(tmp_path: Path, fails: Failing) -> None:
    assert "no such store" in fails("--quiet", "verify", tmp_path / "nowhere")


FRAME = pd.DataFrame({"task": ["a"], "method": ["m"], "PGR": [0.5]})


def test_tables_have_no_colours_in_a_pipe_unless_forced_and_none_where_they_are_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal.show(FRAME, by="task")
    assert ESCAPE not in capsys.readouterr().out
    monkeypatch.setenv("FORCE_COLOR", "1")
    terminal.show(FRAME, by="task")
    assert ESCAPE in capsys.readouterr().out


@pytest.mark.parametrize(("variables", "red"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_an_error_is_red_on_a_terminal_unless_colours_are_refused(
    variables: dict[str, str], red: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    said = on_a_terminal(monkeypatch, lambda: main(["verify", str(tmp_path / "nowhere")]))
    assert ("31m" in said) == red
    assert "no such store" in said


def test_an_error_in_a_pipe_has_no_colours_unless_they_are_forced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for forced in (False, True):
        if forced:
            monkeypatch.setenv("FORCE_COLOR", "1")
        with pytest.raises(SystemExit):
            main(["verify", str(tmp_path / "nowhere")])
        assert (ESCAPE in capsys.readouterr().err) == forced


def test_a_bar_is_drawn_on_a_terminal_only_and_not_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> None:
        with progress.steps() as report:
            report("layer 3", 1, 2)
            time.sleep(0.15)  # the bar is drawn ten times a second

    assert "layer 3" in on_a_terminal(monkeypatch, work)
    terminal.hush(True)
    assert on_a_terminal(monkeypatch, work) == ""
    terminal.hush(False)
    monkeypatch.setenv("FORCE_COLOR", "1")  # asks for colours, not for a moving bar in a log
    assert not progress.wanted()


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, call: Callable[[], None]) -> str:
    """What a call writes to stderr where that is a terminal."""
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w") as stream, monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", stream)
        patched.setattr(terminal, "err", Console(stderr=True))  # as a process would make it that starts there
        with contextlib.suppress(SystemExit):
            call()
        stream.flush()
        return drained(ours, stream)


def drained(descriptor: int, stream: TextIO) -> str:
    """All that is in the terminal by now."""
    stream.write("\0")  # an end to read to
    stream.flush()
    text = b""
    while not text.endswith(b"\0"):
        text += os.read(descriptor, 65536)
    os.close(descriptor)
    return text[:-1].decode()


def test_ctrl_c_while_a_commands_module_is_still_imported_ends_with_130(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("w2s_probes.cli.app.import_module", interrupted)
    with pytest.raises(SystemExit) as exit_info:
        main(["verify", str(tmp_path)])
    assert exit_info.value.code == 130
    assert capsys.readouterr().err.startswith("w2s: interrupted")
