"""The solver's matrices, NumPy arrays or torch tensors on a device: the few things in which the two differ.

What belongs to a fit, one number each, is always a float64 array on the processor.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def column(values: NDArray[Any], like: Any) -> Any:
    """Numbers of fits (k,) as a column (k, 1), in the dtype of a matrix and where that is."""
    if isinstance(like, np.ndarray):
        return values[:, None].astype(like.dtype)
    return like.new_tensor(values)[:, None]


def in_eights(rows: NDArray[Any]) -> NDArray[Any]:
    """Rows (k, m) and rows of 0 up to a multiple of eight: BLAS takes longer for a product of six than of eight.

    One row is left alone: that is a product of its own kind.
    """
    k = len(rows)
    if k == 1 or k % 8 == 0:
        return rows
    out = np.zeros((k + -k % 8, rows.shape[1]), rows.dtype)
    out[:k] = rows
    return out


def host(matrix: Any) -> NDArray[Any]:
    """A matrix as an array on the processor."""
    return matrix if isinstance(matrix, np.ndarray) else np.asarray(matrix.cpu().numpy())


def products(a: Any, b: Any) -> Any:
    """Row by row inner products (k,), in the dtype of the rows and where they are."""
    return np.einsum("kd,kd->k", a, b) if isinstance(a, np.ndarray) else (a * b).sum(dim=1)


def dots(a: Any, b: Any) -> NDArray[np.float64]:
    """Row by row inner products (k,) as float64 on the processor."""
    return host(products(a, b)).astype(np.float64)


def doubled(matrix: Any) -> Any:
    """A matrix in float64, where it is."""
    return matrix.astype(np.float64) if isinstance(matrix, np.ndarray) else matrix.double()
