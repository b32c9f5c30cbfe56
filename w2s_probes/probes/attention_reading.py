"""Rows of tokens as one attention probe reads them: log-odds, what each token adds, pooled vectors; block by block."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from ..store.token_activations import Tokens
from .attention_pass import AttentionWeights, Pool, read
from .token_rows import blocks


@dataclass(frozen=True)
class TokenReading:
    """Some rows as a probe reads them, tokens in the order of the rows."""

    log_odds: NDArray[np.float64]  # (rows,)
    attention: NDArray[np.float64]  # (tokens,) the mean of the heads', of each row 1 in all
    score: NDArray[np.float64]  # (tokens,) the row's log-odds if all attention lay there
    contribution: NDArray[np.float64]  # (tokens,) what adds up to the row's log-odds
    pooled: NDArray[np.float32] | None  # (rows, width) the tokens averaged by attention, where asked for

    @classmethod
    def joined(cls, offsets: NDArray[np.int64], parts: "list[tuple[NDArray[np.intp], TokenReading]]") -> "TokenReading":
        """All rows, from readings of some of them each."""
        rows = len(offsets) - 1
        log_odds = np.empty(rows)
        pooled = None
        columns = {name: np.empty(int(offsets[-1])) for name in ("attention", "score", "contribution")}
        for chosen, part in parts:
            log_odds[chosen] = part.log_odds
            lengths = np.diff(offsets)[chosen]
            ends = np.cumsum(lengths)
            at = np.repeat(offsets[chosen] - (ends - lengths), lengths) + np.arange(ends[-1])
            for name, column in columns.items():
                column[at] = getattr(part, name)
            if part.pooled is not None:
                pooled = np.empty((rows, part.pooled.shape[1]), np.float32) if pooled is None else pooled
                pooled[chosen] = part.pooled
        return cls(log_odds, **columns, pooled=pooled)


def read_tokens(
    weights: AttentionWeights,
    tokens: Tokens,
    pool: Pool,
    skip_first: bool,
    *,
    rows: NDArray[np.intp] | None = None,
    pooled: bool = False,
) -> TokenReading:
    """Some rows (all) by one probe's weights on raw activations, a pass of `token_rows.PASS_TOKENS` at a time."""
    found: list[TokenReading] = []
    intercept = float(weights.intercept[0])
    for _, block in blocks(tokens, rows):
        X = torch.from_numpy(block.values)
        seen = read(weights, X, block.offsets, pool, skip_first)
        attention = seen.attention[:, 0].astype(np.float64)  # (tokens, heads)
        values = seen.values[:, 0].astype(np.float64)
        mean = attention.mean(axis=1)
        contribution = (attention * values).sum(axis=1) + mean * intercept
        vectors = None
        if pooled:
            weighted = block.values * mean[:, None].astype(np.float32)
            vectors = np.add.reduceat(weighted, block.offsets[:-1], axis=0)
        log_odds = seen.log_odds[:, 0].astype(np.float64)
        found.append(TokenReading(log_odds, mean, values.sum(axis=1) + intercept, contribution, vectors))
    columns = {name: np.concatenate([getattr(part, name) for part in found]) for name in ("log_odds", "attention")}
    columns |= {name: np.concatenate([getattr(part, name) for part in found]) for name in ("score", "contribution")}
    vectors = np.concatenate([part.pooled for part in found if part.pooled is not None]) if pooled else None
    return TokenReading(**columns, pooled=vectors)


def token_frame(tokens: Tokens, reading: TokenReading) -> pd.DataFrame:
    """A line a token: `id`, `position`, `token_id`, `attention`, `score`, `contribution`."""
    lengths = np.diff(tokens.offsets)
    names = np.arange(len(lengths)) if tokens.ids is None else tokens.ids
    return pd.DataFrame(
        {
            "id": np.repeat(names, lengths),
            "position": np.arange(int(lengths.sum())) - np.repeat(tokens.offsets[:-1], lengths),
            "token_id": tokens.token_ids,
            "attention": reading.attention,
            "score": reading.score,
            "contribution": reading.contribution,
        }
    )
