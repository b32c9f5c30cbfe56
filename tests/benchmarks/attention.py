"""An epoch of the attention probe beside the two matrix products that it cannot do without."""

from collections.abc import Iterator

import numpy as np
import torch

from tests.benchmarks.timing import Line, in_turns
from w2s_probes.probes.attention_training import BATCH, AttentionSettings, train
from w2s_probes.probes.token_rows import TokenMoments
from w2s_probes.store import TokenActivations

SIZES = (  # rows, tokens, width, hidden, pairs of runs, bar: small products leave more to what is around them
    (1_000, 20, 32, 16, 9, 20.0),
    (2_000, 60, 384, 64, 5, 2.0),
    (10_000, 60, 384, 64, 3, 1.5),
)


def cases() -> Iterator[Line]:
    """The lines of the table."""
    for rows, length, width, hidden, pairs, bar in SIZES:
        rng = np.random.default_rng(0)
        values = rng.normal(size=(rows * length, width)).astype(np.float32)
        ends = np.arange(0, rows * length + 1, length)
        tokens = TokenActivations(values, ends, np.zeros(rows * length, np.int32))
        labels, taught = rng.random((1, rows)), np.ones((1, rows), dtype=bool)
        moments = TokenMoments.of(tokens, False)
        how = AttentionSettings(hidden, 1e-3, False, 1, False, 1, "attention", 0)
        X = torch.from_numpy(values)
        columns, slopes = torch.randn(hidden + 1, width), torch.randn(BATCH * length, hidden + 1)

        def ours() -> object:
            return train(tokens, labels, taught, moments, how)  # noqa: B023

        def products() -> None:
            for batch in torch.split(X, BATCH * length):  # noqa: B023
                _ = batch @ columns.T  # noqa: B023
                _ = slopes[: len(batch)].T @ batch  # noqa: B023

        here, least, ratio = in_turns(ours, products, pairs)
        what = f"attention epoch: {rows:,} rows x {length} tokens x {width}"
        yield Line(what, here, least, "s", "its matrix products alone", 1 / ratio, bar, False)
