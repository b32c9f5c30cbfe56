"""Several values a task, joined by the tasks' names where they have names."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, preview
from ..tensors import as_numpy

PerTask = ArrayLike | Mapping[str, float]  # one number a task; a mapping or a pandas Series names the tasks


def aligned(values: Mapping[str, PerTask]) -> tuple[list[str], NDArray[np.float64]]:
    """The tasks' names, and the values (kinds, tasks) in the order of the first kind; NaN is left as it is.

    Arrays are taken to be in one order and their tasks are named 0, 1, ..; mappings and Series are joined by name.
    InputError if the tasks of one kind are not those of another, a name is doubled or a value infinite.
    """
    named: dict[str, Mapping[str, float]] = {}
    for kind, numbers in values.items():
        if isinstance(numbers, Mapping):
            named[kind] = numbers
        elif isinstance(numbers, pd.Series):
            if not numbers.index.is_unique:
                raise InputError(f"{kind} has a task twice: give one value a task")
            named[kind] = {str(task): value for task, value in numbers.items()}
    if named and len(named) < len(values):
        unnamed = [kind for kind in values if kind not in named]
        raise InputError(
            f"{preview(list(named))} name their tasks and {preview(unnamed)} do not: give all in the same way"
        )
    if named:
        first, *_ = named
        names = list(named[first])
        for kind, mapping in named.items():
            if uneven := sorted(map(str, set(names) ^ set(mapping))):
                raise InputError(
                    f"{first} and {kind} have not the same tasks ({preview(uneven)}): leave out what one lacks"
                )
        table = np.array([[mapping[name] for name in names] for mapping in named.values()], dtype=np.float64)
    else:
        arrays = {kind: np.asarray(as_numpy(numbers), dtype=np.float64) for kind, numbers in values.items()}
        shapes = {kind: array.shape for kind, array in arrays.items()}
        if any(array.ndim != 1 for array in arrays.values()) or len(set(shapes.values())) > 1:
            raise InputError(f"shapes {shapes}: one number a task is needed of each")
        table = np.array(list(arrays.values()))
        names = [str(task) for task in range(table.shape[1])]
    if np.isinf(table).any():
        raise InputError("a value is infinite: give NaN for a task that has none")
    return [str(name) for name in names], table
