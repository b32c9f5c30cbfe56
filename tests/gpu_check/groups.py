"""The checks by group; each group has a process of its own, since an error of CUDA spoils all that follows it there."""

from importlib import import_module
from typing import Any

from .checks import Check

GROUPS = {
    "probes": "tests.gpu_check.gpu_probes",
    "extraction": "tests.gpu_check.gpu_extraction",
    "tuning": "tests.gpu_check.gpu_tuning",
    "memory": "tests.gpu_check.gpu_memory",
    "torch loops": "tests.gpu_check.gpu_loops",
}


def checks_of(module: str) -> list[Check]:
    """The checks of a module, which is imported only here."""
    found: Any = import_module(module)
    checks: list[Check] = found.CHECKS
    return checks
