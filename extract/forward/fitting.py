"""Batches that fit into memory: one that does not is tried again in halves, and those after it are as small."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from w2s_probes.devices import forget_unused, out_of_memory
from w2s_probes.errors import InputError, whole_reason

Read = TypeVar("Read")


def fitting(
    lengths: Sequence[int],
    budget: int,
    deal: Callable[[int, Iterable[int]], Iterable[list[int]]],
    read: Callable[[list[int]], Read | None],
    too_long: Callable[[int], str],
    of: Iterable[int] | None = None,
) -> Iterator[tuple[int, list[int], Read]]:
    """Each batch's budget, rows and what `read` makes of them; `deal(budget, rows)` makes batches of the rows left.

    `lengths` (n,) are the tokens that each row needs, `of` the rows that are read, all unless said. `read` gives None
    for a batch that does not fit. InputError, `too_long(row)`, for a single row that does not.
    """
    queue = deque(deal(budget, range(len(lengths)) if of is None else of))
    while queue:
        rows = queue.popleft()
        found = read(rows)
        if found is not None:
            yield budget, rows, found
            continue
        if len(rows) == 1:
            raise InputError(too_long(rows[0]))
        budget = max(1, min(budget, max(lengths[row] for row in rows) * len(rows)) // 2)
        queue = deque(deal(budget, [*rows, *(row for batch in queue for row in batch)]))


def or_no_memory(run: Callable[[], Read], failed: str, remedy: str) -> Read | None:
    """What `run` gives; None where it does not fit into memory, and InputError where the model fails otherwise."""
    try:
        return run()
    except RuntimeError as error:
        if not out_of_memory(error):
            raise InputError(f"{failed} ({whole_reason(error)}): try {remedy}") from error
    # Here, since until the except clause ends the error holds on to the batch's tensors.
    forget_unused()
    return None
