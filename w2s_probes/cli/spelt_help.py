"""Help texts that name what is in a registry, spelt out when a command is made: a plugin may have added to it."""

import re
from typing import Any

from ..printable import listed
from ..probes.registry import PROBES

MARK = re.compile(r"\{(probes|readers|defaults|losses|exporters):?(\w*)\}")


def spell_out(command: Any) -> None:
    """Replace each mark in the help of a command's options, in place.

    Marks are {probes}, {losses}, {exporters}, and for a value or option of probes {readers:k} and {defaults:k}.
    """
    for option in command.params:
        if getattr(option, "help", None):
            option.help = MARK.sub(lambda mark: _spelt(mark[1], mark[2]), option.help)


def _spelt(kind: str, of: str) -> str:
    if kind == "readers":
        return listed(name for name, entry in PROBES.items() if of in (entry.value, *entry.options))
    if kind == "defaults":
        values = [f"{entry.default:g}".removeprefix("0") for entry in PROBES.values() if entry.value == of]
        return listed(dict.fromkeys(values))
    if kind == "losses":
        from ..losses.names import LOSSES

        return ", ".join(LOSSES)
    if kind == "exporters":
        from ..export.formats import EXPORTERS

        return ", ".join(EXPORTERS)
    return ", ".join(PROBES)
