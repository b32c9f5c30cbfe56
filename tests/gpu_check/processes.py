"""Groups of checks, each in a process of its own, that may die or hang without hiding what others find."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .checks import Finding, Setting, in_turn, written
from .groups import checks_of

ROOT = Path(__file__).parents[2]
GRACE = 10.0  # seconds beyond a check's own time, after which its process is killed
SPOILED = "CUDA error"  # after which a process can do nothing more on the GPU


@dataclass(frozen=True)
class Told:
    """What a group's processes have told."""

    findings: list[Finding]
    machine: dict[str, Any]


def run_group(name: str, module: str, setting: Setting, until: float, *, about: bool = True) -> Told:
    """All findings of a group. A process that dies is followed by one for the checks after that which killed it."""
    findings: list[Finding] = []
    machine: dict[str, Any] = {}
    begun, ended, skip = None, 0, 0
    for attempt in range(20):
        left = until - time.monotonic()
        if left <= 0:
            findings.append(Finding(name, "what is left of this group", status="left out", said="no time was left"))
            break
        told = setting.folder / f"told-{name}-{attempt}.jsonl"
        reason = _process(module, setting, told, skip, until, about)
        begun = None
        for line in _lines(told):
            if "machine" in line:
                machine = line["machine"]
            elif "began" in line:
                begun = line["began"]
            elif "ended" in line:
                begun, ended = None, ended + 1
            else:
                findings.append(Finding(**line))
        if reason is None:
            break
        if begun is None:
            if reason == SPOILED:
                skip = ended
                continue
            findings.append(Finding(name, "its process", status="failed", said=reason))
            break
        findings.append(Finding(begun, "its process", status="failed", said=reason))
        ended += 1
        skip = ended
    return Told(findings, machine)


def _process(module: str, setting: Setting, told: Path, skip: int, until: float, about: bool) -> str | None:
    """Run a process to its end; why it ended before its checks, or None."""
    options = ["--device", setting.device, "--size", setting.size, "--folder", str(setting.folder)]
    command = [sys.executable, "-m", "tests.gpu_check.processes", module, str(told), "--skip", str(skip), *options]
    command += ["--about"] if about else []
    seconds = max(1.0, until - time.monotonic())
    command += ["--seconds", f"{seconds:.1f}"]
    log = told.with_suffix(".log")
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, stdout=stream, stderr=stream, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )  # fmt: skip
        try:
            code = process.wait(timeout=seconds + GRACE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return "hung, and was killed"
    if code == 0:
        return None
    if code == 3:
        return SPOILED
    last = " ".join(log.read_text(encoding="utf-8", errors="replace").split())[-200:]
    return f"died: {signal.Signals(-code).name if code < 0 else f'exit code {code}'}; {last}"


def _lines(told: Path) -> Iterator[dict[str, Any]]:
    if not told.exists():
        return
    for line in told.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:  # cut short by the end of the process
            return


def main() -> None:
    """The process: run a module's checks from number `skip` on, and tell of each as it goes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("module")
    parser.add_argument("told", type=Path)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--about", action="store_true", help="tell of the machine first")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", default="full")
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--seconds", type=float, default=480.0)
    options = parser.parse_args()
    until = time.monotonic() + options.seconds
    setting = Setting(options.device, options.size, options.folder)
    with options.told.open("a", encoding="utf-8") as stream:

        def seen(line: dict[str, Any]) -> None:
            stream.write(written(line))
            stream.flush()
            if SPOILED in str(line.get("said", "")):
                spoiled.append(line)
            if "ended" in line and spoiled:
                os._exit(3)

        spoiled: list[dict[str, Any]] = []
        checks = checks_of(options.module)
        if options.about:
            from .gpu_report import machine

            seen({"machine": machine(setting)})
        in_turn(checks[options.skip :], setting, until, seen)


if __name__ == "__main__":
    main()
