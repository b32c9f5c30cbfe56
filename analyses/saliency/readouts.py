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
from w2s_probes.probes import AttentionProbe, MeanDifferenceProbe, MLPProbe
from w2s_probes.store import TokenActivations

Array = NDArray[np.float64]
LinearProbe = LogisticProbe | MeanDifferenceProbe  # the whitened one is of its kind
TokenReadable = LinearProbe | MLPProbe | AttentionProbe  # whose log-odds torch can follow back


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
        scores = states.astype(np.float64) @ self.w + self.b
        attention = _attention(self.position, len(states))
        if self.position == "mean":
            prefixes = np.cumsum(scores) / np.arange(1, len(states) + 1)
        else:
            prefixes = scores if self.position == "last" else np.full(len(states), scores[0])
        return TokenParts(scores, attention, attention * scores, prefixes)


@dataclass(frozen=True, eq=False)
class MLPReadout:
    """An MLP probe of the states' vector at a position.

    What a token contributes to a mean is by the slope at that mean: the log-odds are linear as far as no unit turns on
    or off, so that contributions add up to them.
    """

    position: Position
    probe: MLPProbe

    def log_odds(self, states: Tensor, mask: Tensor) -> Tensor:
        """See `Readout`; the formula anew in torch, which gradients go through."""
        probe = self.probe
        weights = (probe.hidden_coef_, probe.hidden_intercept_, probe.output_coef_, probe.output_intercept_)
        W1, b1, w2, b2 = (torch.from_numpy(array).to(states.device, states.dtype) for array in weights)
        return torch.relu(pool(states, mask, self.position) @ W1.T + b1) @ w2[0] + b2[0]

    def parts(self, states: NDArray[np.float32]) -> TokenParts:
        """See `Readout`."""
        h = states.astype(np.float64)
        counts = np.arange(1, len(h) + 1)[:, None]
        read = {"mean": np.cumsum(h, axis=0) / counts, "last": h, "first": np.broadcast_to(h[0], h.shape)}
        prefixes = self._log_odds(read[self.position])
        whole = read[self.position][-1]
        on = whole @ self.probe.hidden_coef_.T + self.probe.hidden_intercept_ > 0
        slope = (on * self.probe.output_coef_[0]) @ self.probe.hidden_coef_
        attention = _attention(self.position, len(h))
        contribution = attention * (self._log_odds(whole[None]) + (h - whole) @ slope)
        return TokenParts(self._log_odds(h), attention, contribution, prefixes)

    def _log_odds(self, h: Array) -> Array:
        hidden = np.maximum(h @ self.probe.hidden_coef_.T + self.probe.hidden_intercept_, 0)
        log_odds: Array = hidden @ self.probe.output_coef_[0] + self.probe.output_intercept_[0]
        return log_odds


def _attention(position: Position, n: int) -> Array:
    """Where a probe of one vector reads n tokens (n,): all alike, or one."""
    if position == "mean":
        return np.full(n, 1 / n)
    read = n - 1 if position == "last" else 0
    return np.asarray(np.arange(n) == read, dtype=np.float64)


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


def readout(probe: TokenReadable, width: int, position: Position) -> Readout:
    """A fitted probe of `width` columns as a reader uses it; InputError for one that cannot be read so."""
    if isinstance(probe, AttentionProbe):
        _refuse_unfitted(probe, width, "AttentionProbe().fit(store.tokens(layer), y)")
        return AttentionReadout(probe)
    if isinstance(probe, MLPProbe):
        _refuse_unfitted(probe, width, "MLPProbe(l2=...).fit(X, y)")
        read: Readout = MLPReadout(position, probe)
    else:
        read = LinearReadout(position, *linear(probe, width))
    if position == "all":
        raise InputError(f"{type(probe).__name__} reads one vector a text: give position, such as position='mean'")
    return read


def linear(probe: LinearProbe, width: int) -> tuple[Array, float]:
    """Weights (width,) and intercept of a fitted logistic or mean-difference probe; InputError for anything else."""
    if not isinstance(probe, LogisticProbe | MeanDifferenceProbe):
        raise InputError(
            f"{type(probe).__name__} has no log-odds with a slope: use LogisticProbe, MeanDifferenceProbe or MLPProbe"
        )
    _refuse_unfitted(probe, width, "LogisticProbe(l2=...).fit(X, y), or path(...).best_probe()")
    return np.asarray(probe.coef_[0], dtype=np.float64), float(probe.intercept_[0])


def _refuse_unfitted(probe: TokenReadable, width: int, how: str) -> None:
    if not hasattr(probe, "n_features_in_"):
        raise InputError(f"the probe is not fitted: {how}")
    if probe.n_features_in_ != width:
        raise InputError(f"the probe was fitted on {probe.n_features_in_} columns, the model's layers have {width}")
