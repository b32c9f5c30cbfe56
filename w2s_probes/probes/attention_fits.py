"""Fits of attention probes to one set of rows: checked labels, moments, folds, and weights as arrays."""

from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, did_you_mean
from ..labels.label_set import ids_of, refuse_other_ids
from ..memory_limit import empty_rows
from ..rows.folds import fold_numbers
from ..rows.row_parts import row_parts
from ..store.token_activations import Tokens
from .attention_pass import AttentionWeights, Pool
from .attention_training import AttentionSettings, train
from .logistic import LogisticProbe
from .token_rows import TokenMoments, checked_tokens
from .validation import is_soft, soft_labels

# On raw activations: W1 (units, d), b1 (units,), w2 (heads, hidden), v (heads, d), b.
AttentionArrays = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], float]


def checked_settings(how: AttentionSettings) -> AttentionSettings:
    """The settings themselves; InputError for one that no probe can have."""
    for name in ("hidden", "epochs", "heads"):
        value = getattr(how, name)
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
            raise InputError(f"{name}={value!r}: an attention probe needs a whole number of at least 1")
    if how.pool not in get_args(Pool):
        raise InputError(f"pool={str(how.pool)!r}: {did_you_mean(str(how.pool), get_args(Pool))}")
    if not np.isfinite(how.l2) or how.l2 < 0:
        raise InputError(f"l2={how.l2}: a penalty is a number of at least 0")
    if how.pool == "mean" and how.heads > 1:
        raise InputError(f"heads={how.heads}: the mean of all tokens is one; several heads are for attention and max")
    return how


def as_raw_weights(
    W1: NDArray[Any], b1: NDArray[Any], w2: NDArray[Any], v: NDArray[Any], b: NDArray[Any], *, gated: bool
) -> AttentionWeights:
    """One probe's arrays as a pass reads them."""
    projection = torch.from_numpy(np.concatenate([W1.reshape(-1, v.shape[1]), v])[None].astype(np.float32))
    offset = torch.from_numpy(np.concatenate([b1, np.zeros(len(v))])[None].astype(np.float32))
    attention = torch.from_numpy(w2[None].astype(np.float32))
    return AttentionWeights(projection, offset, attention, torch.from_numpy(b.astype(np.float32)), gated)


@dataclass(frozen=True, eq=False)
class AttentionFits:
    """Rows to learn from, read once for all fits."""

    how: AttentionSettings
    tokens: Tokens
    p: NDArray[np.float64]  # (n,) P(second class)
    classes: NDArray[Any]
    soft: bool
    moments: TokenMoments

    @classmethod
    def of(cls, how: AttentionSettings, tokens: Tokens, y: ArrayLike, *, together: int = 1) -> "AttentionFits":
        """Checked rows and labels, for fits of which so many are trained `together`.

        InputError for labels of one class, and of other rows than the tokens.
        """
        hidden = how.hidden * (1 + how.gated) if how.pool == "attention" else 0
        columns = 0 if how.pool == "mean" else together * (hidden + how.heads)
        rows = checked_tokens(tokens, how.skip_first, columns=columns)
        refuse_other_ids({"tokens": tokens.ids, "labels": ids_of(y)})
        p, classes = soft_labels(y, len(rows.offsets) - 1)
        moments = TokenMoments.of(rows, how.skip_first, means=how.pool == "mean")
        return cls(how, rows, p, classes, is_soft(p), moments)

    def folds(self, groups: ArrayLike | None, count: int) -> NDArray[np.intp]:
        """The fold (n,) of each row; rows of one group, and rows of equal means, share one."""
        stand_in = self.moments.equal[:, None].astype(np.float32)
        return fold_numbers(stand_in, self.p, groups=groups, folds=count, seed=self.how.seed)

    def trained(self, labels: NDArray[np.float64], taught: NDArray[np.bool_]) -> list[AttentionArrays]:
        """Arrays of a probe for each label set (M, n), which learns the rows of its mask (M, n)."""
        if self.how.pool == "mean":
            return [self._mean(y, rows) for y, rows in zip(labels, taught, strict=True)]
        weights = train(self.tokens, labels, taught, self.moments, self.how)
        heads = self.how.heads
        return [
            (
                projection[:-heads].numpy(),
                offset[:-heads].numpy(),
                attention.numpy(),
                projection[-heads:].numpy(),
                float(intercept + offset[-heads:].sum()),  # the attention of each head is 1 in all
            )
            for projection, offset, attention, intercept in zip(*weights.parts, strict=True)
        ]

    def _mean(self, y: NDArray[np.float64], taught: NDArray[np.bool_]) -> AttentionArrays:
        """The logistic probe of the rows' means, on inputs standardised as for attention."""
        raw, rows = self.moments.means, np.flatnonzero(taught)
        assert raw is not None
        means = empty_rows((len(rows), raw.shape[1]), np.float32)
        for part in row_parts(*means.shape):
            means[part] = (raw[rows[part]] - self.moments.mean) / self.moments.scale
        probe = LogisticProbe(self.how.l2, self.how.device).fit(means, y[taught])
        coef = probe.coef_ / self.moments.scale
        intercept = float(probe.intercept_[0] - coef[0] @ self.moments.mean)
        empty = np.empty(0, np.float32)
        return empty.reshape(0, means.shape[1]), empty, empty.reshape(1, 0), coef.astype(np.float32), intercept
