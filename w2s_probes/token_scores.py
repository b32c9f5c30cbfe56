"""Scores of every token of labelled rows, out of sample, beside what the mean of the tokens says of the same rows."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from .errors import InputError
from .metrics.recovery import auroc
from .probes.attention import AttentionProbe
from .probes.token_rows import checked_tokens
from .probes.validation import soft_labels
from .store.token_activations import Tokens
from .ties import above_half


@dataclass(frozen=True, eq=False)
class ScoredTokens:
    """Tokens of rows as an attention probe reads them, and how well it and its control rank the rows' weak labels."""

    frame: pd.DataFrame  # a line a token; `fold` is that of its row, missing where the row was not learned from
    attention: float  # AUROC of out-of-sample row scores against the weak labels
    mean: float  # the same of the mean of all tokens, the control

    @property
    def remarks(self) -> list[str]:
        """What the two figures say of the row scores; neither says anything of a token."""
        said = f"rows out of sample against their weak labels: AUROC {self.attention:.3f}, mean of the tokens "
        lines = [said + f"{self.mean:.3f}"]
        if self.mean >= self.attention:
            lines.append("the mean of the tokens ranks the rows as well: nothing here speaks for attention")
        return lines


def score_tokens(
    probe: AttentionProbe,
    tokens: Tokens,
    y: ArrayLike,
    *,
    learned: NDArray[np.bool_] | None = None,
    groups: ArrayLike | None = None,
) -> ScoredTokens:
    """Scores of the tokens of n rows by a probe that learns labels y (n,) of those in `learned` (all).

    A row that is learned from is read by a probe that did not learn its fold, which has its group (n,) and duplicates;
    others by the probe of all that are learned. Labels of rows that are not learned from are not read.
    """
    checked_tokens(tokens, probe.skip_first)
    chosen = np.ones(len(tokens.offsets) - 1, dtype=bool) if learned is None else learned
    rows, others = np.flatnonzero(chosen), np.flatnonzero(~chosen)
    if not len(rows):
        raise InputError("no row is to be learned from")
    labels = np.asarray(y)[rows]
    related = None if groups is None else np.asarray(groups, dtype=object)[rows]
    taught = tokens.take(rows) if len(others) else tokens
    fitted = probe.fit(taught, labels, groups=related)
    control = AttentionProbe(l2=probe.l2, skip_first=probe.skip_first, pool="mean", seed=probe.seed)
    control.fit(taught, labels, groups=related)
    parts = [(rows, fitted.cross_fitted_.token_scores)]
    if len(others):
        rest = fitted.token_scores(tokens.take(others))
        parts.append((others, rest.assign(fold=np.full(len(rest), np.nan, dtype=object))))
    order = np.concatenate([np.repeat(at, np.diff(tokens.offsets)[at]) for at, _ in parts])
    frame = pd.concat([part.astype({"fold": object}) for _, part in parts], ignore_index=True)
    frame = frame.iloc[np.argsort(order, kind="stable")].reset_index(drop=True)
    side = above_half(soft_labels(labels, len(rows))[0]).astype(np.float64)
    return ScoredTokens(frame, auroc(side, fitted.out_of_sample_), auroc(side, control.out_of_sample_))
