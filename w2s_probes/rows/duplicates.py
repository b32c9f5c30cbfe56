"""Rows that are equal in every number."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .row_parts import row_parts

SAMPLE = 64  # columns that tell most rows apart


def equal_rows(X: NDArray[np.float32]) -> NDArray[np.intp]:
    """A code for each row of X (n, d) that equal rows share: 0, 1, ... by first occurrence.

    Only rows that are alike in a sample of columns are compared in all: by a hash, and then by their numbers.
    """
    sampled = pd.Series(_hashes(X[:, :: -(-X.shape[1] // SAMPLE)]))
    number = np.arange(len(X))
    alike = np.flatnonzero(sampled.duplicated(keep=False))
    if len(alike):
        number[alike] = alike[_first(_hashes(X[alike]))]
        if not _equal(X, alike, number[alike]):  # two rows of one hash differ: never seen
            number[alike] = alike[_first(np.array([(row + np.float32(0)).tobytes() for row in X[alike]], dtype=object))]
    return np.asarray(pd.factorize(number)[0], dtype=np.intp)


def _hashes(X: NDArray[np.float32]) -> NDArray[np.uint64]:
    """A sum of each row's words, each times its own odd number, modulo 2**64."""
    odd = np.random.default_rng(0).integers(1 << 63, size=X.shape[1], dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    keys = np.empty(len(X), dtype=np.uint64)
    for part in row_parts(len(X), X.shape[1]):
        words = (X[part] + np.float32(0)).view(np.uint32)  # -0 becomes 0, which it equals
        keys[part] = words.astype(np.uint64) @ odd
    return keys


def _first(keys: NDArray[Any]) -> NDArray[np.intp]:
    """For each key (m,) the first place where it stands."""
    number = pd.factorize(keys)[0]
    return np.unique(number, return_index=True)[1][number]


def _equal(X: NDArray[np.float32], rows: NDArray[np.intp], others: NDArray[np.intp]) -> bool:
    return all(np.array_equal(X[rows[part]], X[others[part]]) for part in row_parts(len(rows), X.shape[1]))
