"""A check on a few rows, before hours of training, that a row's logits do not depend on the rows beside it."""

import numpy as np
import torch

from ...errors import InputError
from ..texts import Tokenized
from .updates import ModelInTraining

ROWS = 6
TOLERANCE = {torch.float32: 0.01, torch.bfloat16: 0.25}  # shares of the spread of the rows' logits
LEAST_SPREAD = 1e-3  # of the largest logit: below it the spread is rounding


def refuse_dependent_rows(student: ModelInTraining, tokenized: Tokenized, model: str) -> None:
    """InputError where a few rows, from the shortest to the longest, have other logits together than each alone."""
    if student.settings.batch_tokens <= 1 or len(tokenized.rows) < 2:
        return
    order = np.argsort(tokenized.lengths, kind="stable")
    chosen = np.unique(order[np.linspace(0, len(order) - 1, ROWS).round().astype(int)])
    together = student.margins_of(tokenized, chosen)
    alone = np.concatenate([student.margins_of(tokenized, [row]) for row in chosen])
    spread = max(float(np.ptp(alone)), LEAST_SPREAD * float(np.abs(alone).max()))
    largest = float(np.abs(together - alone).max())
    if not largest <= TOLERANCE[student.dtype] * spread:
        raise InputError(
            f"model {model}: a text alone has other logits than the same text in a batch, by {largest:.2g} where texts "
            f"differ by {spread:.2g}: it lets padding or other texts in; set batch_tokens = 1"
        )
