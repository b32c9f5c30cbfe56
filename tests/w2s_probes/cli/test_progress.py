"""How far a command is, on a log: lines as text or JSON, one each half minute whatever the work does."""

import json
import re
import time
from collections.abc import Callable

import pytest

from w2s_probes.cli import progress, progress_lines, terminal
from w2s_probes.cli.options import Kind
from w2s_probes.cli.progress_speed import Speed


def work(kind: Kind, capsys: pytest.CaptureFixture[str], last: float = 0.0) -> list[str]:
    with progress.steps(kind) as step:
        step("first", 0, 2)
        step("second", 1, 2)
        time.sleep(last)
        step("done", 2, 2)
    return capsys.readouterr().err.splitlines()


@pytest.fixture
def all_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "STEP", 0.0)


@pytest.mark.usefixtures("all_steps")
def test_plain_lines_name_the_step_its_number_and_the_time(capsys: pytest.CaptureFixture[str]) -> None:
    first, second, done = work("plain", capsys, 0.05)
    assert re.fullmatch(r"\d\d:\d\d:\d\d first: 0 of 2 done, 0:00:00 so far", first)
    assert " second: 1 of 2 done, " in second
    assert re.search(r" done: 2 of 2 done, .*about 0:00:00 left$", done)


@pytest.mark.usefixtures("all_steps")
def test_json_lines_hold_the_same_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [json.loads(line) for line in work("json", capsys, 0.05)]
    assert [line["doing"] for line in lines] == ["first", "second", "done"]
    assert [line["done"] for line in lines] == [0, 1, 2]
    assert lines[0]["eta_s"] is None
    assert lines[-1]["eta_s"] == 0
    assert lines[-1]["elapsed_s"] >= 0.05


def test_steps_that_follow_each_other_within_a_second_are_one_line_and_the_last_is_always_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert [line.split()[1] for line in work("plain", capsys)] == ["first:", "done:"]


def test_a_log_is_told_each_half_minute_while_a_step_lasts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert work("auto", capsys) == []  # a short command leaves a log alone
    monkeypatch.setattr(progress, "EVERY", 0.08)
    lines = work("auto", capsys, 0.5)
    assert 2 <= len(lines) <= 6
    assert all(" second: 1 of 2 done, " in line for line in lines)
    assert progress_lines.EVERY == 30


def test_nothing_is_said_with_none_or_quietly_or_by_torchruns_other_processes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.02)
    assert work("none", capsys, 0.1) == []
    terminal.hush(True)
    assert work("auto", capsys, 0.1) == []
    assert work("json", capsys) != []  # asked for by name
    terminal.hush(False)
    monkeypatch.setenv("RANK", "1")
    assert work("plain", capsys, 0.1) == []


def test_a_log_that_has_gone_does_not_stop_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def write(self, text: str) -> int:
            raise BrokenPipeError

        def isatty(self) -> bool:
            return False

    monkeypatch.setattr("sys.stderr", Gone())
    with progress.steps("plain") as step:
        step("first", 0, 1)
        step("done", 1, 1)


def test_what_was_there_at_the_first_report_counts_for_nothing() -> None:
    speed = Speed()
    assert speed.left() is None
    speed.at(90, 100)
    assert speed.left() is None
    time.sleep(0.05)
    speed.at(95, 100)
    assert 0.01 < (speed.left() or 0) < 0.5


@pytest.mark.parametrize("command", ["run", "demo", "sweep", "filter", "relabel", "student", "report", "extract"])
def test_every_long_command_takes_the_option(
    command: str, w2s: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    w2s(command, "--help")
    assert "--progress" in capsys.readouterr().out


def test_the_time_left_is_of_the_work_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    speed = Speed(0.0)
    for second, done, total in ((0, 1, 3), (10, 0, 1000), (20, 100, 1000), (30, 200, 1000)):
        now[0] = second
        speed.at(done, total)
    assert speed.left() == pytest.approx(80)  # at ten a second, whatever the steps before took
    assert speed.elapsed() == 30
