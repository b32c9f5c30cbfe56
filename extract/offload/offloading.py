"""The memory of an offloaded extraction: what it needs at least, and what is left for states and vectors."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from w2s_probes.errors import InputError
from w2s_probes.places.memory import free_memory

FREE = 0.8  # of the memory that is free, unless a limit is given
FREE_DISK = 0.9
BOUNDLESS = 1 << 62


@dataclass(frozen=True)
class Offload:
    """How a model larger than memory is read: block by block over many rows, whose states are kept meanwhile."""

    max_memory: int | None = None  # bytes for weights, states and vectors, beside the program's own; None: what is free
    scratch: Path | None = None  # a folder on a disk for the states; None: they are kept in memory


@dataclass(frozen=True)
class Room:
    """Bytes that may be used until a sweep through the blocks begins."""

    memory: int  # for vectors, and for states that are kept in memory
    disk: int  # for states on disk

    @classmethod
    def of(cls, offload: Offload, model: str, *, frame: int, block: int, batch: int) -> "Room":
        """What a limit leaves beside the frame, two blocks and one batch; InputError where it is less than those."""
        limit, least = offload.max_memory, frame + 2 * block + batch
        if limit is None:
            free = free_memory()
            limit = BOUNDLESS if free is None else int(FREE * free)
        if limit < least:
            given = "the memory that is free" if offload.max_memory is None else f"--max-memory {_megabytes(limit)}"
            raise InputError(
                f"model {model}: {given} is too little for one block at a time: give --max-memory {_megabytes(least)} "
                f"at least ({_megabytes(frame)} outside the blocks, {_megabytes(block)} a block, {_megabytes(batch)} "
                "for a batch, which a lower --batch-tokens makes smaller)"
            )
        there = offload.scratch
        if there is None:
            return cls(limit - least, BOUNDLESS)
        there = next(folder for folder in (there.absolute(), *there.absolute().parents) if folder.exists())
        return cls(limit - least, int(FREE_DISK * shutil.disk_usage(there).free))


def _megabytes(size: int) -> str:
    """Rounded up, so that what is asked for is enough.

    >>> _megabytes(1_000_001)
    '2MB'
    """
    return f"{-(-size // 10**6)}MB"
