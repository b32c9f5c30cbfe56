"""Streams that are closed or full, and signals: what `w2s` says then, and its exit code."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from w2s_probes.cli.signals import AGAIN, Ended, Ending

W2S = [sys.executable, "-c", "from w2s_probes.cli import main; main()"]
FULL = Path("/dev/full")


@pytest.fixture
def unheeded() -> Iterator[None]:
    """Signals that do what they do by default, as when a command is started."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def shell(line: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["sh", "-c", f'"$@" {line}', "sh", *W2S], cwd=folder, capture_output=True, text=True)


def test_wrong_input_is_an_exit_code_of_2_whatever_streams_are_closed(tmp_path: Path) -> None:
    done = shell("verify nothing >&-", tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("w2s: nothing: ")
    assert shell("verify nothing <&- >&- 2>&-", tmp_path).returncode == 2
    assert shell("--version >&-", tmp_path).returncode == 0


@pytest.mark.skipif(not FULL.exists(), reason="no device here that is always full")
def test_output_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    done = shell(f"--version > {FULL}", tmp_path)
    assert (done.returncode, done.stderr) == (2, "w2s: the output: No space left on device\n")
    assert shell(f"verify nothing 2> {FULL}", tmp_path).returncode == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_an_interruption_with_a_code_of_its_own(
    number: signal.Signals, unheeded: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from w2s_probes.cli import main

    def killed(path: Path) -> None:
        os.kill(os.getpid(), number)
        time.sleep(5)

    monkeypatch.setattr("w2s_probes.store.manifest.Manifest.read", killed)
    with pytest.raises(SystemExit) as exit_info:
        main(["verify", "x"])
    assert exit_info.value.code == 128 + number
    assert capsys.readouterr().err == (
        "w2s: interrupted; what was finished is kept, and the same command goes on from there\n"
    )
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_signal_that_comes_twice_at_once_does_not_interrupt_the_clearing_up(
    unheeded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with Ending().heeded():
        with pytest.raises(Ended):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        now[0] += AGAIN
        with pytest.raises(Ended):
            os.kill(os.getpid(), signal.SIGTERM)


def test_signals_that_others_heed_or_that_are_ignored_are_left_alone(
    unheeded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
    with Ending().heeded():
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    monkeypatch.setenv("WORLD_SIZE", "2")
    with Ending().heeded():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


KILL = "os.kill(os.getpid(), signal.{signal})"
MOMENTS = {  # of a process that is done: what is run before the command, and in it
    "libraries clear up": ("", f"atexit.register(lambda: {KILL})", True),
    "the last of them has": (f"atexit.register(lambda: {KILL})", "", False),
    "modules are taken apart": (
        f"class Late:\n def __del__(self, os=os, signal=signal): {KILL}\nlate = Late()",
        "",
        False,
    ),
}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_in_a_commands_last_moments_never_ends_it_without_a_code(moment: str, number: signal.Signals) -> None:
    """While something is cleared up, the signal's; when there is nothing left to end, that of the command itself."""
    before, within, heard = MOMENTS[moment]
    code = (
        "import atexit, os, signal, sys\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # whatever started the tests, nohup say
        "import w2s_probes.cli as cli\n"
        f"{before}\n"
        "real = cli._run\n"
        "def run(arguments):\n"
        f"    {within or 'pass'}\n"
        "    return real(arguments)\n"
        "cli._run = run\n"
        "cli.main()"
    ).replace("{signal}", number.name)
    done = subprocess.run([sys.executable, "-c", code, "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (128 + number if heard else 0, "")
    assert done.stdout.startswith("w2s-probes ")
