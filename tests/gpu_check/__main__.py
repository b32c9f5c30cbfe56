"""`python -m tests.gpu_check [GROUP]... --out FOLDER`: what of this project meets a GPU, in at most eight minutes."""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from .checks import Finding, Setting, in_turn
from .gpu_report import machine, write
from .groups import GROUPS, checks_of
from .processes import run_group

BUDGET = 465.0  # seconds of all, so that writing what was found ends within eight minutes


def check(groups: Sequence[str], setting: Setting, out: Path, budget: float, *, one_process: bool = False) -> int:
    """Run groups of checks, write what they found to `out`, and print it; 1 where a bar is missed or a check failed."""
    began = time.monotonic()
    findings: list[Finding] = []
    about: dict[str, Any] = {"device": setting.device, "size": setting.size}

    def seen(line: dict[str, Any]) -> None:
        if "what" in line:
            findings.append(Finding(**line))

    for group in groups:
        if one_process:
            in_turn(checks_of(GROUPS[group]), setting, began + budget, seen)
            about = machine(setting)
        else:
            told = run_group(group, GROUPS[group], setting, began + budget)
            findings += told.findings
            about |= told.machine
        page = write(out, about, findings, time.monotonic() - began)  # after each: what is known is never lost
    sys.stdout.write(page)
    return int(any(finding.status in ("miss", "failed") for finding in findings))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.gpu_check", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="group", help=f"of {', '.join(GROUPS)}; without: all")
    parser.add_argument("--out", type=Path, required=True, help="a folder for gpu-check.json and gpu-check.md")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", choices=("full", "small"), default="full")
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds for all")
    parser.add_argument("--work", type=Path, help="a folder for models and stores, 25 GB; else a temporary one")
    parser.add_argument("--one-process", action="store_true", help="no process for each group: quicker, less safe")
    options = parser.parse_args(arguments)
    if unknown := set(options.groups) - set(GROUPS):
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    work = Path(tempfile.mkdtemp(prefix="gpu-check-", dir=options.work))
    try:
        setting = Setting(options.device, options.size, work)
        groups = options.groups or list(GROUPS)
        return check(groups, setting, options.out, options.budget, one_process=options.one_process)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
