"""Heads taught together beside the plain loop that teaches one after another: a mix of all losses on the same rows."""

from collections.abc import Iterator

import numpy as np

from tests.benchmarks.data import activations
from tests.benchmarks.plain_head import plain_head
from tests.benchmarks.timing import Line, in_turns
from w2s_probes.losses import LOSS_NAMES
from w2s_probes.students import HeadLesson, train_heads

SIZES = (  # heads, rows, width, epochs, rows a batch, pairs of runs, bar
    (1, 300, 64, 30, 16, 9, 1.0),
    (12, 1_500, 64, 12, 128, 5, 20.0),
    (36, 5_000, 384, 6, 128, 3, 25.0),
    (36, 5_000, 4_096, 4, 128, 2, 10.0),
)


def cases() -> Iterator[Line]:
    """The lines of the table."""
    for heads, rows, width, epochs, batch, pairs, bar in SIZES:
        X, factors = activations(rows + rows // 5, width)
        rng = np.random.default_rng(0)
        margin = factors[:, : width // 4].sum(axis=1) / (width // 4) ** 0.5
        weak = 1 / (1 + np.exp(-2 * margin - rng.normal(size=len(X))))
        lessons = [
            HeadLesson(
                weak[:rows],
                val_labels=weak[rows:],
                loss=LOSS_NAMES[i % len(LOSS_NAMES)],
                epochs=epochs,
                patience=epochs,
                seed=i // len(LOSS_NAMES),
            )
            for i in range(heads)
        ]

        def ours() -> object:
            return train_heads(X[:rows], lessons, X[rows:], batch_size=batch)  # noqa: B023

        def reference() -> object:
            return [plain_head(X[:rows], lesson, X[rows:], batch_size=batch) for lesson in lessons]  # noqa: B023

        fast, slow, ratio = in_turns(ours, reference, pairs)
        what = f"{heads} head{'s' * (heads > 1)} of {'all losses' if heads > 1 else 'xent'} on {rows:,} x {width:,}"
        yield Line(f"{what}, {epochs} epochs", fast, slow, "s", "one by one in PyTorch", ratio, bar)
