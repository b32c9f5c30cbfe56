"""Rows of tokens as one attention probe reads them: log-odds, what each token adds, pooled vectors; block by block."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from ..devices import PROCESSOR, sent
from ..memory_limit import empty_rows
from ..rows.offsets import offsets_of
from ..store.token_activations import TokenActivations, Tokens
from .attention_on_device import on_device, read_there
from .attention_pass import AttentionWeights, Pool, read
from .matrices import host
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
            ends = offsets_of(lengths)
            at = np.repeat(offsets[chosen] - ends[:-1], lengths) + np.arange(ends[-1])
            for name, column in columns.items():
                column[at] = getattr(part, name)
            if part.pooled is not None:
                pooled = np.empty((rows, part.pooled.shape[1]), np.float32) if pooled is None else pooled
                pooled[chosen] = part.pooled
        return cls(log_odds, **columns, pooled=pooled)


Readings = Iterator[tuple[NDArray[np.intp], TokenActivations, TokenReading]]  # row numbers, their tokens, and both read


def readings(
    weights: AttentionWeights,
    tokens: Tokens,
    pool: Pool,
    skip_first: bool,
    *,
    rows: NDArray[np.intp] | None = None,
    pooled: bool = False,
    device: str = PROCESSOR,
) -> Readings:
    """Some rows (all) by one probe's weights on raw activations, a pass (`token_rows.blocks`) at a time."""
    for at, block in blocks(tokens, rows):
        if device == PROCESSOR:
            yield at, block, _read_block(weights, block, pool, skip_first, pooled, torch.device("cpu"), read)
            continue
        with on_device(device, f"an attention probe of width {tokens.width} and its tokens") as place:
            reading = _read_block(weights.to(place), block, pool, skip_first, pooled, place, read_there)
        yield at, block, reading  # outside of the block, whose modes are not for what others do


def _read_block(
    weights: AttentionWeights,
    block: TokenActivations,
    pool: Pool,
    skip_first: bool,
    pooled: bool,
    place: torch.device,
    read: Any,
) -> TokenReading:
    """Some rows by the pass `read`, of weights that lie at a place."""
    intercept = float(weights.intercept.cpu()[0])
    seen = read(weights, sent(block.values, place), block.offsets, pool, skip_first)
    attention = host(seen.attention)[:, 0].astype(np.float64)  # (tokens, heads)
    values = host(seen.values)[:, 0].astype(np.float64)
    mean = attention.mean(axis=1)
    contribution = (attention * values).sum(axis=1) + mean * intercept
    vectors = None
    if pooled:
        weighted = block.values * mean[:, None].astype(np.float32)
        vectors = np.add.reduceat(weighted, block.offsets[:-1], axis=0)
    log_odds = seen.log_odds[:, 0].astype(np.float64)
    return TokenReading(log_odds, mean, values.sum(axis=1) + intercept, contribution, vectors)


def all_of(passes: Readings) -> TokenReading:
    """Readings one after another, as one."""
    found = [reading for _, _, reading in passes]
    names = ("log_odds", "attention", "score", "contribution")
    columns = {name: np.concatenate([getattr(part, name) for part in found]) for name in names}
    vectors = [part.pooled for part in found if part.pooled is not None]
    return TokenReading(**columns, pooled=np.concatenate(vectors) if vectors else None)


def log_odds_of(passes: Readings) -> NDArray[np.float64]:
    """The log-odds (rows,) alone, of which a row has one."""
    return np.concatenate([reading.log_odds for _, _, reading in passes])


def pooled_of(passes: Readings, rows: int, width: int) -> NDArray[np.float32]:
    """The vectors (rows, width) alone, of readings that have them."""
    vectors, start = empty_rows((rows, width), np.float32), 0
    for at, _, reading in passes:
        vectors[start : start + len(at)] = reading.pooled
        start += len(at)
    return np.asarray(vectors)


def token_frame(rows: NDArray[np.intp], tokens: TokenActivations, reading: TokenReading) -> pd.DataFrame:
    """A line a token: `id`, or the row's number, `position`, `token_id`, `attention`, `score`, `contribution`."""
    lengths = np.diff(tokens.offsets)
    return pd.DataFrame(
        {
            "id": np.repeat(rows if tokens.ids is None else tokens.ids, lengths),
            "position": np.arange(int(lengths.sum())) - np.repeat(tokens.offsets[:-1], lengths),
            "token_id": tokens.token_ids,
            "attention": reading.attention,
            "score": reading.score,
            "contribution": reading.contribution,
        }
    )
