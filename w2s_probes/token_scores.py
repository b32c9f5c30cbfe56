"""Scores of every token of labelled rows, out of sample, beside what the mean of the tokens says of the same rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from .errors import InputError
from .labels.label_set import ids_of, refuse_other_ids
from .metrics.recovery import auroc
from .probes.attention import AttentionProbe
from .probes.attention_cross_fitting import CrossFitted
from .probes.token_rows import checked_tokens
from .probes.validation import soft_labels
from .store.token_activations import JoinedTokens, Tokens
from .ties import above_half


@dataclass(frozen=True, eq=False)
class ScoredTokens:
    """Tokens of rows as an attention probe reads them, and how well it and its control rank the rows' weak labels."""

    read: CrossFitted[AttentionProbe]  # rows that were not learned from are in one more fold, read by the probe of all
    attention: float  # AUROC of out-of-sample row scores against the weak labels
    mean: float  # the same of the mean of all tokens, the control

    @cached_property
    def frame(self) -> pd.DataFrame:
        """A line a token; `fold` is that of its row, missing where the row was not learned from."""
        return pd.concat(list(self.parts()), ignore_index=True)

    def parts(self) -> Iterator[pd.DataFrame]:
        """The lines of `frame`, some rows at a time: memory does not grow with the tokens."""
        beyond = len(self.read.probes) - 1
        for part in self.read.token_score_parts():
            fold = part["fold"].astype(object)
            yield part.assign(fold=fold.where(part["fold"] < beyond, np.nan))

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
    others by the probe of all that are learned. Labels of rows that are not learned from are not read. Tokens that lie
    on disk are read from there, some rows at a time.
    """
    checked_tokens(tokens, probe.skip_first)
    refuse_other_ids({"tokens": tokens.ids, "labels": ids_of(y)})
    count, values = len(tokens.offsets) - 1, np.asarray(y)
    chosen = np.ones(count, dtype=bool) if learned is None else learned
    for name, given in (("labels", values), ("learned", chosen), ("groups", groups)):
        if given is not None and len(np.asarray(given)) != count:
            raise InputError(f"{name}: {len(np.asarray(given))} of them, and {count} rows of tokens: give one a row")
    rows, others = np.flatnonzero(chosen), np.flatnonzero(~chosen)
    if not len(rows):
        raise InputError("no row is to be learned from")
    labels = values[rows]
    related = None if groups is None else np.asarray(groups, dtype=object)[rows]
    places = np.column_stack([np.zeros(len(rows), dtype=np.intp), rows])
    taught = JoinedTokens([tokens], places) if len(others) else tokens
    fitted = probe.fit(taught, labels, groups=related)
    control = AttentionProbe(
        l2=probe.l2, skip_first=probe.skip_first, pool="mean", seed=probe.seed, device=probe.device
    )
    control.fit(taught, labels, groups=related)
    cross_fitted = fitted.cross_fitted_
    folds = np.full(len(chosen), len(cross_fitted.probes))
    folds[rows] = cross_fitted.folds
    read = CrossFitted(tokens, folds, [*cross_fitted.probes, fitted])
    side = above_half(soft_labels(labels, len(rows))[0]).astype(np.float64)
    return ScoredTokens(read, auroc(side, fitted.out_of_sample_), auroc(side, control.out_of_sample_))
