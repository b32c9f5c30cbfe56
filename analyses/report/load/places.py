"""The folders below one that may hold results, and the runs among them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from w2s_probes.errors import InputError

from ...results.names import CURVES, DEBATES, FILTERS, LABELS, PREDICTIONS, RECORD, STUDENTS
from ...robustness.robust_files import ROBUST_RECORD

# Folders of a run, not searched for others.
OWN = {"activations", "kept", LABELS, PREDICTIONS, FILTERS, CURVES, DEBATES, STUDENTS}
WORKING = (".parts",)  # folders where commands keep what is done for going on: all of it stands in their tables
DEEP = 2  # folders below the one that is asked for: pairs of a ladder, or a folder of sweeps


def run_folders(folder: Path, depth: int = DEEP) -> Iterator[Path]:
    """The folder, and those below it that may hold a run, a sweep or labels of their own."""
    yield folder
    if depth:
        own = OWN if (folder / RECORD).exists() or (folder / LABELS).is_dir() else ()  # elsewhere names are the user's
        for one in sorted(folder.iterdir()):
            if one.is_dir() and one.name not in own and not one.name.startswith(".") and not one.name.endswith(WORKING):
                yield from run_folders(one, depth - 1)


@dataclass(frozen=True)
class FoundRuns:
    """The runs in a folder, by their folders below it; empty for that one itself."""

    finished: list[str]
    unfinished: list[str]


def find_runs(folder: Path) -> FoundRuns:
    """The runs in a folder, as `read_folder` finds them; InputError where there is no such folder."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give one that `w2s run` wrote to, or that holds such")
    found = FoundRuns([], [])
    for place in run_folders(folder):
        name = place.relative_to(folder).as_posix() if place != folder else ""
        if (place / RECORD).is_file():
            found.finished.append(name)
        elif (place / LABELS).is_dir() and not (place / ROBUST_RECORD).exists():
            found.unfinished.append(name)
    return found
