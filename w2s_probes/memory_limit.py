"""A limit on the memory of large arrays: those that it has no room for lie in a file of their own, as memory maps."""

import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .errors import InputError

LEAST = 256 << 20  # bytes of a block of rows and of what is computed from it: no limit may be below
SHARE = 4  # of the limit one array may take one part of so many: some are needed at a time
_limit: ContextVar[int | None] = ContextVar("memory_limit", default=None)


@contextmanager
def memory_limit(limit: int | None) -> Iterator[None]:
    """A block in which layers, neighbours and designs of more than a quarter of `limit` bytes are memory maps.

    Their files lie in the system's folder for such (TMPDIR), have no name there and go with the arrays. Numbers are
    those without a limit, but for a logistic path's, whose fits are made in smaller batches: equal to within the
    solver's 1e-6 of the minimum. Without a limit (None) nothing changes. InputError for one below LEAST.

    >>> with memory_limit(10**9):
    ...     type(empty_rows((10, 3), np.float32)).__name__
    'ndarray'
    """
    if limit is not None and limit < LEAST:
        raise InputError(
            f"a memory limit of {limit / 1e6:,g} MB: one block of rows takes {LEAST / 1e6:,.0f} MB while it is "
            f"worked on: give at least --max-memory {math.ceil(LEAST / 1e6)}MB"
        )
    token = _limit.set(limit)
    try:
        yield
    finally:
        _limit.reset(token)


def room() -> int | None:
    """The limit in bytes; None where there is none."""
    return _limit.get()


def has_room(size: int) -> bool:
    """Whether an array of so many bytes may be in memory: it is at most a quarter of the limit, or there is none."""
    limit = room()
    return limit is None or size <= limit // SHARE


def empty_rows(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An array to be filled: in memory where there is room for it, else a memory map."""
    dtype = np.dtype(dtype)
    return np.empty(shape, dtype) if has_room(math.prod(shape) * dtype.itemsize) else mapped(shape, dtype)


def mapped(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """A memory map to be filled; InputError where its file has no room on the disk."""
    dtype = np.dtype(dtype)
    size = max(1, math.prod(shape) * dtype.itemsize)
    folder = tempfile.gettempdir()
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            if hasattr(os, "posix_fallocate"):  # else a full disk would end the process when a page is written
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
            return np.asarray(np.memmap(file, dtype=dtype, mode="r+", shape=shape))
    except OSError as error:
        raise InputError(
            f"{folder}: no room for {size / 1e9:.2f} GB that --max-memory does not let into memory ({error.strerror}): "
            "set TMPDIR to a folder on a disk that has it, or raise --max-memory"
        ) from error
