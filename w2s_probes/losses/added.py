"""Losses that somebody has added to the package's own, or put in their place."""

from collections.abc import Iterable

from ..code_hashes import code_hash
from .names import LOSSES


def loss_code(name: str) -> str:
    """A hash of a loss's code, and of the plugin's or the package's files that it is from."""
    code, files = code_hash(LOSSES[name]), LOSSES.code(name)
    return code if files is None else f"{code} {files}"


def added(names: Iterable[str]) -> dict[str, str]:
    """A hash of the code of those losses that are not the package's, by name; it names results that are kept."""
    return {name: loss_code(name) for name in names if not LOSSES.is_own(name)}


def of_this_process(names: Iterable[str]) -> set[str]:
    """Those losses that no other process knows: a program has put them in, and no plugin that workers load."""
    return {name for name in names if not LOSSES.is_known_to_workers(name)}
