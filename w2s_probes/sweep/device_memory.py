"""The memory that a layer's fits take on their device, and how many layers a card has room for at a time."""

from dataclasses import replace

from ..devices import PROCESSOR, free_memory_of
from ..neighbors.index_names import IndexName
from ..neighbors.other_indexes import CELLS
from ..places import Place
from ..probes.device_design import BLOCK
from ..probes.minimize import BATCH, NUMBERS, TOGETHER
from ..probes.mlp_on_device import SCORED
from ..probes.registry import MLP_HIDDEN
from .grid import Grid

FLOAT = 4  # bytes
LIBRARIES = 1_000_000_000  # bytes of a process's kernels, and of what torch keeps for itself
PAIRS = 160  # bytes a fit and column of what the solver remembers of its steps


def device_memory(grid: Grid, rows: int, width: int) -> int:
    """Bytes that a layer of so many training rows takes on the devices of its fits and of its search, at most.

    A search holds the rows once and half a gigabyte of distances; then a path of penalties holds them twice to the
    end, with what a batch of fits has for each row and column, and networks or heads hold them once more beside it.
    0 where all of it is the processor's.
    """
    layer, search, held, beside = FLOAT * rows * width, 0, 0, [0]
    if grid.graph_k and IndexName.parse(grid.index).is_device and not grid.index.startswith(PROCESSOR):
        search = layer + FLOAT * CELLS
    if grid.device != PROCESSOR:
        if count := len(grid.values["logistic"]) * (1 + grid.folds):
            together = min(count, TOGETHER, max(1, BATCH // rows))
            held = 2 * layer
            beside.append(NUMBERS * together * rows + PAIRS * together * width + 16 * BLOCK)
        if units := len(grid.values["mlp"]) * (1 + grid.folds) * MLP_HIDDEN:
            beside.append(layer + 6 * FLOAT * units * width + 4 * FLOAT * SCORED)
        if grid.students is not None:
            heads = (len(grid.students.kinds) + 1) * len(grid.seeds)
            beside.append(max(held, layer + 16 * heads * (2 * width + 2 * rows)))  # or a path of its rows alone
    most = max(search, held + max(beside))
    return most + LIBRARIES if most else 0


def with_room(place: Place, grid: Grid, unit_bytes: int) -> Place:
    """The place with as many jobs as the card of all its processes has room for layers of so many bytes; one at least.

    A cluster's workers have cards of their own.
    """
    device = grid.device if grid.device != PROCESSOR else IndexName.parse(grid.index).name
    if not unit_bytes or place.backend != "local" or place.jobs == 1 or place.gpus_per_job is not None:
        return place
    free = free_memory_of(device)
    return place if free is None else replace(place, jobs=max(1, min(place.jobs, free // unit_bytes)))
