"""What can be read again from a store's model by those who read texts themselves: the stream at a named position."""

from collections.abc import Mapping
from typing import Any

from ..errors import InputError

SITE, POSITION, UNSAID = "site", "position", "unknown"  # of a store's identity; what an import that does not know says
CONVERSATIONS = "conversations"  # whether rows are messages that a chat template writes
NAMED = ("last", "first", "mean", "all")


def what_is_held(identity: Mapping[str, Any]) -> str:
    """The position of a store's vectors, and where it is not the residual stream its site: `last, mlp`."""
    said = [str(identity.get(POSITION, "?")), *([str(identity[SITE])] if SITE in identity else [])]
    return ", ".join(text if len(text) <= 60 else f"{text[:57]}..." for text in said)


def read_otherwise(identity: Mapping[str, Any]) -> bool:
    """Whether a store holds another site than the residual stream, or a position that its rows mark."""
    return SITE in identity or identity.get(POSITION, UNSAID) not in (*NAMED, UNSAID)


def refuse_other_reading(identity: Mapping[str, Any], where: str, what: str) -> None:
    """InputError, naming `what` cannot do it, for a store of anything but the residual stream at a named position."""
    if (site := identity.get(SITE)) is not None:
        raise InputError(f"{where}: holds {str(site)[:60]}, and {what} reads the residual stream alone")
    if identity.get(CONVERSATIONS):
        raise InputError(f"{where}: holds conversations, and {what} reads texts alone")
    position = identity.get(POSITION, UNSAID)
    if position not in (*NAMED, UNSAID):
        raise InputError(f"{where}: holds position {str(position)[:60]!r}, and {what} reads {', '.join(NAMED)} alone")
