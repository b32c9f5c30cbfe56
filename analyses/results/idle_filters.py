"""Filters that removed no row in a run, and why."""

from collections.abc import Mapping
from typing import Any


def idle_filters(record: Mapping[str, Any]) -> list[str]:
    """A sentence on each filter that removed no row in some of a run's trials, by its record.

    >>> idle_filters({"runs": {"boolq, seed 0": {"methods": {"filter-overlap": {"removed": 0, "no_change_point": 1}}}}})
    ['filter-overlap removed no row in 1 of 1 trials: no change point (least_gain)']
    """
    notes: dict[str, list[Mapping[str, float]]] = {}
    for made in record["runs"].values():
        for name, own in made.get("methods", {}).items():
            if "removed" in own and name.startswith("filter-"):
                notes.setdefault(name, []).append(own)
    lines = []
    for name, trials in notes.items():
        idle = [own for own in trials if not own["removed"]]
        if idle:
            why = ": no change point (least_gain)" if all(own.get("no_change_point") for own in idle) else ""
            lines.append(f"{name} removed no row in {len(idle)} of {len(trials)} trials{why}")
    return lines
