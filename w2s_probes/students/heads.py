"""Many heads on one activation matrix, taught together."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from ..errors import InputError
from ..probes.validation import check_activations
from .head import HeadStudent
from .head_lesson import HeadLesson
from .head_training import learn


def train_heads(
    X: ArrayLike,
    lessons: Sequence[HeadLesson],
    X_val: ArrayLike | None = None,
    *,
    batch_size: int = 128,
    seed: int | None = None,
    device: str | None = None,
) -> list[HeadStudent | InputError]:
    """A fitted `HeadStudent` for each lesson on activations X (n, d), all trained in one loop of matrix products.

    Each head is what `HeadStudent` makes of its lesson, whatever its company. Heads of one seed read the same batches
    of X in the same order: with random numbers in common, differences between them are those of their lessons. With
    `seed` all heads do, in the order of that one, and a lesson's own seed draws its initial weights alone.
    Where a lesson has `rows`, the head learns from its rows of every batch: the loss is their mean, nothing in a batch
    without any, and standards, thresholds and priors are those of its rows. Epochs are compared on validation rows
    X_val (m, d) by a lesson's own `val_labels`. With a torch `device` such as "cuda" they learn there: the same
    initial weights and batches, and the same heads but for the rounding of products.

    A lesson that cannot be taught, or a head that diverged, has an InputError in its place, and nothing else suffers.
    InputError is raised for wrong activations.

    >>> import numpy as np
    >>> X, weak = np.random.default_rng(0).normal(size=(200, 4)), np.tile([0.1, 0.9], 100)
    >>> X[:, 0] += np.tile([-2.0, 2.0], 100)
    >>> lessons = [HeadLesson(weak, loss=loss, epochs=5) for loss in ("xent", "logconf")]
    >>> lessons.append(HeadLesson(weak, rows=X[:, 0] > -1, epochs=5))
    >>> [head.predict(X[:2]).tolist() for head in train_heads(X, lessons)]
    [[0, 1], [0, 1], [0, 1]]
    """
    matrix = check_activations(X)
    rows = None if X_val is None else check_activations(X_val)
    found = learn(matrix, lessons, rows, batch_size=batch_size, seed=seed, device=device)
    more: dict[str, Any] = {"batch_size": batch_size, "device": device}
    return [
        learned if isinstance(learned, InputError) else HeadStudent.of_lesson(lesson, learned, **more)
        for lesson, learned in zip(lessons, found, strict=True)
    ]
