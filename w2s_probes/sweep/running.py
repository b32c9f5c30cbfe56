"""Running a sweep's units at a place: what is kept is read, the rest is done there."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

import pandas as pd

from ..io.files import remove_abandoned
from ..places import HERE, Place, WorkKind
from ..progress import Progress
from .device_memory import with_room
from .unit import Unit, added_losses

LAYERS = WorkKind(one="layer", many="layers", smaller="sweep fewer rows", again="sweep again")


def run_units(units: Sequence[Unit], place: Place, width: int, progress: Progress) -> list[pd.DataFrame]:
    """The lines of every unit, in their order. What lies in the parts folder is read, not done again.

    Where one layer takes more than the place has, its large arrays lie in files (`memory_limit`), and processes that
    share a GPU are no more than it has room for. A worker that dies
    costs the units that it had in hand: they are done again by the others. Units whose students learn by a loss that is
    not the package's are done in this process: others do not know it.
    """
    for folder in {unit.parts for unit in units if unit.parts is not None}:
        remove_abandoned(folder)
    tables = {unit.key: table for unit in units if (table := unit.kept()) is not None}
    todo = [unit for unit in units if unit.key not in tables]
    unit_bytes = max((unit.memory(width) for unit in todo), default=1)
    least = max((unit.least_memory(width) for unit in todo), default=1)
    if place.max_memory is not None and least <= place.max_memory < unit_bytes:
        todo, unit_bytes = [replace(unit, limit=place.max_memory) for unit in todo], place.max_memory
    unit_bytes = min(unit_bytes, max(least, place.max_memory or 0))
    progress("layers", len(tables), len(units))
    if todo:
        if added_losses(todo[0].grid):
            place = HERE
        place = with_room(place, todo[0].grid, max(unit.device_memory(width) for unit in todo))
        with closing(place.does(todo, unit_bytes, LAYERS)) as results:
            for done in results:
                if done is not None:
                    tables[done[0].key] = done[1]
                progress("layers" if done is not None else "layers (no worker yet)", len(tables), len(units))
    return [tables[unit.key] for unit in units]
