"""Warnings of files that have changed since a command wrote them."""

from collections.abc import Mapping

from w2s_probes.io.sealed import CHANGED, GONE

REMEDY = {
    "run": "run the recipe again, which reuses what is kept",
    "sweep": "sweep again, which reuses its parts",
    "student": "train the student again",
    "steering": "steer again",
    "robust": "run `w2s robust` again, which reuses what is kept",
}
LISTED = 6


def altered_lines(altered: Mapping[str, str], kind: str, *begins: str) -> list[str]:
    """The lines on files that are not as a `kind` of command wrote them, of those whose names begin so."""
    lines = []
    names = {name: how for name, how in altered.items() if not begins or name.startswith(begins)}
    if changed := [name for name, how in names.items() if how == CHANGED]:
        lines.append(
            f"Not as the {kind} wrote it, so not to be relied on: {_listed(changed)}. To have it anew: {REMEDY[kind]}."
        )
    if gone := [name for name, how in names.items() if how == GONE]:
        lines.append(f"Written by the {kind} and not there any more: {_listed(gone)}.")
    return lines


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
