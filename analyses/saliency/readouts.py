"""How a probe reads a text's states: log-odds that torch can follow back, and what each token has in them."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor

from extract.forward.trace import Position, pool
from w2s_probes import LogisticProbe
from w2s_probes.errors import InputError
from w2s_probes.probes import AttentionProbe
from w2s_probes.store import TokenActivations

Array = NDArray[np.float64]


@dataclass(frozen=True)
class TokenParts:
    """A text's tokens as a probe reads them: log-odds are the sum of the contributions."""

    scores: Array  # (tokens,) the log-odds if all attention lay there
    attention: Array  # (tokens,) 1 in all
    contribution: Array  # (tokens,)
    prefixes: Array  # (tokens,) the log-odds had the text ended there; NaN where a first token that is skipped is alone


class Readout(Protocol):
    """A probe of one layer's states."""

    @property
    def position(self) -> Position:
        """Which states it reads; `all` of a probe that reads every token."""
        ...

    def log_odds(self, states: Tensor, mask: Tensor) -> Tensor:
        """Log-odds (rows,) of texts from states (rows, length, width) by the attention mask (rows, length)."""
        ...

    def parts(self, states: NDArray[np.float32]) -> TokenParts:
        """One text's states (tokens, width), token by token."""
        ...


@dataclass(frozen=True, eq=False)
class LinearReadout:
    """A linear probe of the states' vector at a position: all attention is there, or all tokens have alike."""

    position: Position
    w: Array
    b: float

    def log_odds(self, states: Tensor, mask: Tensor) -> Tensor:
        """See `Readout`."""
        return pool(states, mask, self.position) @ torch.from_numpy(self.w).to(states.device, states.dtype) + self.b

    def parts(self, states: NDArray[np.float32]) -> TokenParts:
        """See `Readout`."""
        n, scores = len(states), states.astype(np.float64) @ self.w + self.b
        if self.position == "mean":
            attention, prefixes = np.full(n, 1 / n), np.cumsum(scores) / np.arange(1, n + 1)
        else:
            attention = (np.arange(n) == (n - 1 if self.position == "last" else 0)).astype(np.float64)
            prefixes = scores if self.position == "last" else np.full(n, scores[0])
        return TokenParts(scores, attention, attention * scores, prefixes)


@dataclass(frozen=True, eq=False)
class AttentionReadout:
    """A fitted attention probe, which reads every token."""

    probe: AttentionProbe
    position: Position = "all"

    def log_odds(self, states: Tensor, mask: Tensor) -> Tensor:
        """See `Readout`; the formula anew in torch, which gradients go through."""
        probe, skip = self.probe, int(self.probe.skip_first)
        h = states[:, : mask.shape[1]][:, skip:]
        there = mask[:, skip:].to(h.device).bool()[..., None]
        W1, b1, w2, v, b = (
            torch.from_numpy(np.asarray(array)).to(h.device, h.dtype)
            for array in (
                *(probe.hidden_coef_, probe.hidden_intercept_, probe.attention_coef_),
                *(probe.coef_, probe.intercept_),
            )
        )
        values = h @ v.T  # (rows, length, heads)
        if probe.pool == "max":
            return values.masked_fill(~there, -torch.inf).amax(dim=1).sum(dim=-1) + b[0]
        if probe.pool == "mean":
            return (values * there).sum(dim=(1, 2)) / there.sum(dim=(1, 2)) + b[0]
        hidden = h @ W1.T + b1
        units = w2.shape[1]
        tanh = torch.tanh(hidden[..., :units])
        tanh = tanh * torch.sigmoid(hidden[..., units:]) if probe.gated else tanh
        attention = torch.softmax((tanh @ w2.T).masked_fill(~there, -torch.inf), dim=1)
        return (attention * values).sum(dim=(1, 2)) + b[0]

    def parts(self, states: NDArray[np.float32]) -> TokenParts:
        """See `Readout`."""
        tokens = TokenActivations(states, np.array([0, len(states)]), np.zeros(len(states), np.int32))
        found = self.probe.read(tokens)
        first = int(self.probe.skip_first)
        prefixes = np.full(len(states), np.nan)
        prefixes[first:] = self._prefixes(states[first:].astype(np.float64))
        return TokenParts(found.score, found.attention, found.contribution, prefixes)

    def _prefixes(self, h: Array) -> Array:
        """Log-odds (tokens,) had the text ended at each token: softmax and mean as they grow, token by token."""
        probe = self.probe
        values = h @ probe.coef_.T.astype(np.float64)  # (tokens, heads)
        if probe.pool == "max":
            return np.asarray(np.maximum.accumulate(values).sum(axis=1) + probe.intercept_[0])
        if probe.pool == "mean":
            return np.asarray(np.cumsum(values.sum(axis=1)) / np.arange(1, len(h) + 1) + probe.intercept_[0])
        hidden, units = h @ probe.hidden_coef_.T + probe.hidden_intercept_, probe.attention_coef_.shape[1]
        tanh = np.tanh(hidden[:, :units])
        tanh = tanh * expit(hidden[:, units:]) if probe.gated else tanh
        attended = tanh @ probe.attention_coef_.T
        shares = np.exp(attended - np.logaddexp.accumulate(attended))  # of the newest token among those so far
        sums, so_far = np.empty(len(h)), np.zeros(values.shape[1])
        for at, (share, value) in enumerate(zip(shares, values, strict=True)):
            so_far = so_far + share * (value - so_far)
            sums[at] = so_far.sum()
        return sums + float(probe.intercept_[0])


def readout(probe: LogisticProbe | AttentionProbe, width: int, position: Position) -> Readout:
    """A fitted probe of `width` columns as a reader uses it; InputError for one that cannot be read so."""
    if isinstance(probe, AttentionProbe):
        if not hasattr(probe, "coef_"):
            raise InputError("the probe is not fitted: AttentionProbe().fit(store.tokens(layer), y)")
        if probe.n_features_in_ != width:
            raise InputError(f"the probe was fitted on {probe.n_features_in_} columns, the model's layers have {width}")
        return AttentionReadout(probe)
    w, b = linear(probe, width)
    if position == "all":
        raise InputError("LogisticProbe reads one vector a text: give position, such as position='mean'")
    return LinearReadout(position, w, b)


def linear(probe: LogisticProbe, width: int) -> tuple[Array, float]:
    """Weights (width,) and intercept of a fitted logistic probe; InputError for anything else."""
    if not isinstance(probe, LogisticProbe):
        raise InputError(
            f"{type(probe).__name__} has no log-odds that are linear in the activations: use LogisticProbe"
        )
    if not hasattr(probe, "coef_"):
        raise InputError("the probe is not fitted: LogisticProbe(l2=...).fit(X, y), or path(...).best_probe()")
    if probe.coef_.shape[1] != width:
        raise InputError(f"the probe was fitted on {probe.coef_.shape[1]} columns, the model's layers have {width}")
    return np.asarray(probe.coef_[0], dtype=np.float64), float(probe.intercept_[0])
