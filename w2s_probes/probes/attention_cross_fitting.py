"""Training rows as attention probes read them that did not learn their fold."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from ..store.token_activations import Tokens
from .attention_reading import Readings, TokenReading, log_odds_of, pooled_of, token_frame
from .token_rows import blocks


class FoldReader(Protocol):
    """A fitted attention probe."""

    def read(self, tokens: Tokens, rows: NDArray[np.intp] | None = None, *, pooled: bool = False) -> TokenReading:
        """Some rows (all), and `pooled` vectors where asked for."""
        ...


AnyProbe = TypeVar("AnyProbe", bound=FoldReader)


@dataclass(frozen=True, eq=False)
class CrossFitted(Generic[AnyProbe]):
    """Training rows as probes read them that learned the other folds: no label of a row is in what is said of it."""

    tokens: Tokens
    folds: NDArray[np.intp]  # (n,) of each row
    probes: list[AnyProbe]  # one a fold, which learned no row of it

    @property
    def p(self) -> NDArray[np.float64]:
        """P(second class) (n,)."""
        return np.asarray(expit(log_odds_of(self.readings())))

    @property
    def pooled(self) -> NDArray[np.float32]:
        """Vectors (n, d)."""
        return pooled_of(self.readings(pooled=True), len(self.folds), self.tokens.width)

    @property
    def token_scores(self) -> pd.DataFrame:
        """A line a token, as `AttentionProbe.token_scores`, and the `fold` that its probe did not learn."""
        return pd.concat(list(self.token_score_parts()), ignore_index=True)

    def token_score_parts(self) -> Iterator[pd.DataFrame]:
        """The lines of `token_scores`, some rows at a time: memory does not grow with the tokens."""
        for rows, block, reading in self.readings():
            yield token_frame(rows, block, reading).assign(fold=np.repeat(self.folds[rows], np.diff(block.offsets)))

    def readings(self, *, pooled: bool = False) -> Readings:
        """`AttentionProbe.readings` of all rows, each by its probe."""
        for rows, block in blocks(self.tokens):
            parts = []
            for number in np.unique(self.folds[rows]):
                here = np.flatnonzero(self.folds[rows] == number)
                parts.append((here, self.probes[number].read(block, here, pooled=pooled)))
            yield rows, block, TokenReading.joined(block.offsets, parts)
