"""Losses that somebody has added to the package's own, or put in their place: other processes do not know them."""

from collections.abc import Iterable

from ..code_hashes import code_hash
from .functions import LOSSES

OWN = dict(LOSSES)  # as the package has them


def added(names: Iterable[str]) -> dict[str, str]:
    """A hash of the code of those losses that are not the package's, by name; it names results that are kept."""
    return {name: code_hash(LOSSES[name]) for name in names if LOSSES[name] is not OWN.get(name)}
