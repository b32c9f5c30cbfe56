"""A check that a row's numbers do not depend on the rows beside it: a few rows of a part, alone and in their batch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_probes.checkpoints.tokens import Tokens
from w2s_probes.errors import InputError
from w2s_probes.store.dtypes import StoredDtype, to_float32
from w2s_probes.store.shards import Content

from .part_reading import ReadsRows

ROWS = 4  # of a part that are read again alone
PARTS = 2  # that are looked at
# Largest difference allowed, as a share of the distance between two rows: a wrong token or a seen padding gives
# something near 1. Half precision rounds more the deeper the model; 32 blocks of bfloat16 were seen to stay under .1.
TOLERANCE: dict[StoredDtype, float] = {"float32": 1e-3, "float16": 0.05, "bfloat16": 0.25}
FEW = 64  # rows whose distances give the scale


def rows_to_check(tokens: Sequence[Tokens]) -> list[int]:
    """The places of the rows that are read again: the shortest, where padding shows, the longest, and some between."""
    order = np.argsort([len(row) for row in tokens], kind="stable")
    return sorted(set(order[np.linspace(0, len(order) - 1, min(ROWS, len(order))).round().astype(int)].tolist()))


def refuse_dependent_rows(
    engine: ReadsRows,
    tokens: Sequence[Tokens],
    content: Content,
    dtype: StoredDtype,
    *,
    at: NDArray[np.int64] | None = None,
    quantized: bool = False,
) -> None:
    """InputError where a row read alone differs from the same row in its batch, whose vectors `content` holds.

    `engine` reads each of `rows_to_check` by itself, of marked positions at the tokens `at` (rows, marks). In half
    precision, and `quantized`, rounding may send one row to other experts than alone: there it takes two rows, or a
    difference of twice the tolerance.
    """
    chosen = rows_to_check(tokens)
    names, ends = content.ids, content.offsets if content.offsets is not None else np.arange(len(tokens) + 1)
    allowed = TOLERANCE["bfloat16" if quantized else dtype]
    beyond: list[tuple[float, int, int]] = []  # difference, layer and row, of each row with too much
    for row in chosen:
        alone = engine.read([tokens[row]], [names[row]], at=None if at is None else at[[row]])
        differences = {
            layer: difference(
                to_float32(together[ends[row] : ends[row + 1]], dtype),
                to_float32(alone[layer], dtype),
                to_float32(_few(together), dtype),
            )
            for layer, together in content.layers.items()
        }
        layer = max(differences, key=lambda layer: (np.isnan(differences[layer]), differences[layer]))
        if not differences[layer] <= allowed:
            beyond.append((differences[layer], layer, row))
    exact = dtype == "float32" and not quantized
    if beyond and (exact or len(beyond) > 1 or not beyond[0][0] <= 2 * allowed):
        worst, layer, row = beyond[0]
        raise InputError(
            f"row {names[row]!r} read alone differs from the same row in a batch, by {worst:.2g} of the distance "
            f"between rows at layer {layer} (allowed {allowed:g}): this model lets padding or other rows into a row; "
            "give --batch-tokens 1, or --no-check if that is what you want"
        )


def difference(a: NDArray[np.float32], b: NDArray[np.float32], rows: NDArray[np.float32] | None = None) -> float:
    """The largest distance between partners (n, width), in units of the median distance between different vectors.

    Activations share a large mean, beside which even another row's vector would seem close. The median is over
    `rows` (m, width), those of `a` unless given.
    """
    if a.shape != b.shape:
        return float("nan")
    errors = np.linalg.norm(a.astype(np.float64) - b, axis=1)
    sample = _few(a if rows is None else rows).astype(np.float64)
    distances = np.linalg.norm(sample[:, None] - sample[None], axis=2)[np.triu_indices(len(sample), 1)]
    scale = float(np.median(distances)) if len(distances) else 0.0
    size = float(np.linalg.norm(sample, axis=1).max())
    if scale <= 1e-6 * size:  # such as the first token's embedding, which all rows share
        scale = size
    return float(errors.max() / scale) if scale else float(errors.max())


def _few(vectors: NDArray[Any]) -> NDArray[Any]:
    """At most `FEW` of the vectors (n, width), evenly spread."""
    return np.asarray(vectors[np.linspace(0, len(vectors) - 1, min(len(vectors), FEW)).astype(int)])
