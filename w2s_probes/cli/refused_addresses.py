"""Addresses where a command reads or writes a place of this machine: refused before it begins, with what to do."""

from functools import wraps
from pathlib import Path
from typing import Any

from ..io.files import is_address, refused_address, refused_target

_LOOKS = "_looks_for_addresses"
OUTPUTS = ("out", "plot", "scratch", "cache")  # the parameters that name what a command writes


def without_addresses(command: Any) -> Any:
    """A command whose paths are looked at first: InputError where one of them is an address, `s3://bucket/acts`."""
    if getattr(command, _LOOKS, False):
        return command

    @wraps(command)
    def called(**named: Any) -> Any:
        for name, value in named.items():
            for path in value if isinstance(value, list) else [value]:
                if isinstance(path, Path) and is_address(path) and not path.exists():
                    raise refused_target(path) if name in OUTPUTS else refused_address(path)
        return command(**named)

    setattr(called, _LOOKS, True)
    return called
