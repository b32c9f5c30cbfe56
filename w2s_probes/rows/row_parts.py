"""Rows a few at a time, so that what is computed of each takes little memory beside the rows."""

from collections.abc import Iterator

BLOCK = 1 << 22  # numbers held at once


def row_parts(rows: int, width: int, block: int | None = None) -> Iterator[slice]:
    """Slices of `rows` rows of `width` numbers each, one after another, none of more than `block` numbers or one row.

    `block` is BLOCK unless given.

    >>> list(row_parts(5, 3, block=6))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    step = max(1, (BLOCK if block is None else block) // max(1, width))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))
