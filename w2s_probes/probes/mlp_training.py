"""Training of networks of one hidden layer: several penalties and folds of the same rows together, by Adam."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from threadpoolctl import threadpool_limits

from ..memory_limit import empty_rows
from ..randomness import stream
from .class_moments import BLOCK

RATE, FIRST, SECOND, LEAST = 3e-3, 0.9, 0.999, 1e-8  # of Adam; the rate falls evenly to 0
BATCH, FEWEST_BATCHES = 256, 16  # rows; batches of an epoch, of which small sets would have too few
CONSTANT = 1e-6  # deviation, by the mean, up to which a column is its own rounding

Single = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Networks:
    """M networks of h units: log-odds are relu(x W₁ᵀ + b₁) w₂ + b₂."""

    W1: Single  # (M, h, d)
    b1: Single  # (M, h)
    w2: Single  # (M, h)
    b2: Single  # (M,)

    def log_odds(self, X: Single) -> Single:
        """Log-odds (m, M) of rows X (m, d)."""
        found = np.empty((len(X), len(self.b2)), dtype=np.float32)
        for rows in blocks(X, self.b1.size):
            found[rows] = self._read(X[rows])[1]
        return found

    def slopes(self, X: Single, y: Single, share: Single) -> "Networks":
        """The slope of Σ share x BCE(y, log-odds) by every weight, over rows X (m, d), y (m,), share (m, M)."""
        hidden, log_odds = self._read(X)
        slope = share * (expit(log_odds) - y[:, None])
        back = slope[:, :, None] * self.w2
        back *= hidden > 0
        flat = back.reshape(len(X), -1)
        return Networks(
            (flat.T @ X).reshape(self.W1.shape),
            flat.sum(axis=0).reshape(self.b1.shape),
            np.einsum("nm,nmh->mh", slope, hidden),
            slope.sum(axis=0),
        )

    def _read(self, X: Single) -> tuple[Single, Single]:
        """Hidden units (m, M, h) and log-odds (m, M)."""
        hidden = X @ self.W1.reshape(-1, X.shape[1]).T
        hidden += self.b1.reshape(-1)
        np.maximum(hidden, 0, out=hidden)
        units = hidden.reshape(len(X), *self.b1.shape)
        return units, np.einsum("nmh,mh->nm", units, self.w2) + self.b2


@dataclass(frozen=True, eq=False)
class StandardColumns:
    """Rows as networks read them: each column less its mean, by its deviation; 0 where it is constant."""

    mean: NDArray[np.float64]  # (d,)
    scale: NDArray[np.float64]  # (d,) infinite for a constant column
    rows: Single  # (n, d)

    @classmethod
    def of(cls, X: Single) -> "StandardColumns":
        """By all rows of X (n, d), whose labels have no part in it; in float64, in which large means drown nothing."""
        mean = X.mean(axis=0, dtype=np.float64)
        squares = sum((np.square(X[rows] - mean).sum(axis=0) for rows in blocks(X)), start=np.zeros(X.shape[1]))
        deviation = np.sqrt(squares / len(X))
        scale = np.where(deviation > CONSTANT * np.abs(mean), deviation, np.inf)
        rows = empty_rows(X.shape, X.dtype)
        for some in blocks(X):
            rows[some] = (X[some] - mean) / scale
        return cls(mean, scale, rows)


def train(
    rows: Single,
    p: NDArray[np.float64],
    taught: NDArray[np.bool_],
    l2: Sequence[float],
    *,
    hidden: int,
    epochs: int,
    seed: int,
) -> Networks:
    """Networks that learn labels p (n,) of the rows (n, d) of their mask `taught` (M, n), at penalties l2 (M,).

    All begin alike and see the same batches. Each minimises the mean BCE of its rows + l2 (‖W₁‖² + ‖w₂‖²), for a fixed
    number of epochs: nothing stops it, and nothing is chosen.
    """
    networks = begun(p, taught, rows.shape[1], hidden, seed)
    mask, y = np.ascontiguousarray(taught.T, dtype=np.float32), p.astype(np.float32)
    batch = batch_rows(len(rows))
    adam = _FallingAdam(networks, np.asarray(l2, dtype=np.float32), epochs * -(-len(rows) // batch))
    with threadpool_limits(1, user_api="blas"):  # products too small to share out, whose sums hang on the threads
        for some in batches(len(rows), batch, epochs, seed):
            share = mask[some] / np.maximum(mask[some].sum(axis=0), 1)
            adam.step(networks.slopes(rows[some], y[some], share))
    return networks


def batch_rows(n: int) -> int:
    """Rows of a batch, of n."""
    return min(BATCH, max(1, n // FEWEST_BATCHES))


def begun(p: NDArray[np.float64], taught: NDArray[np.bool_], width: int, hidden: int, seed: int) -> Networks:
    """Networks before training, alike but for the intercept, which says the mean label of the rows of each."""
    rng, count = stream(seed, "mlp weights"), len(taught)
    first = rng.normal(size=(hidden, width)) / width**0.5
    second = rng.normal(size=hidden) / hidden**0.5
    mean = (taught @ p) / taught.sum(axis=1)
    return Networks(
        np.repeat(first[None].astype(np.float32), count, axis=0),
        np.zeros((count, hidden), dtype=np.float32),
        np.repeat(second[None].astype(np.float32), count, axis=0),
        np.log(mean / (1 - mean)).astype(np.float32),
    )


def batches(n: int, batch: int, epochs: int, seed: int) -> Iterator[NDArray[np.intp]]:
    """The rows (m,) of every batch of every epoch, each row once an epoch."""
    rng = stream(seed, "mlp batches")
    for _ in range(epochs):
        order = rng.permutation(n)
        for start in range(0, n, batch):
            yield order[start : start + batch]


class _FallingAdam:
    """Adam (Kingma and Ba 2015), the penalty in its slopes, at a rate that falls evenly; changes weights in place."""

    def __init__(self, networks: Networks, l2: Single, steps: int) -> None:
        self._weights, self._steps, self._done = networks, steps, 0
        self._pull = {"W1": 2 * l2[:, None, None], "w2": 2 * l2[:, None]}
        self._first, self._second = ({name: np.zeros_like(of) for name, of in vars(networks).items()} for _ in "12")

    def step(self, slopes: Networks) -> None:
        """One update along these slopes, which are overwritten."""
        rate = RATE * (1 - self._done / self._steps)
        self._done += 1
        short, long = 1 - FIRST**self._done, 1 - SECOND**self._done
        for name, weight in vars(self._weights).items():
            slope = getattr(slopes, name)
            first, second = self._first[name], self._second[name]
            if name in self._pull:
                slope += self._pull[name] * weight
            first += (1 - FIRST) * (slope - first)
            np.square(slope, out=slope)
            slope -= second
            slope *= 1 - SECOND
            second += slope
            np.sqrt(second, out=slope)
            slope += np.float32(LEAST * long**0.5)
            np.divide(first, slope, out=slope)
            slope *= np.float32(rate * long**0.5 / short)
            weight -= slope


def blocks(X: Single, wide: int = 0) -> Iterator[slice]:
    """The rows of X (n, d), some at once: at most `BLOCK` numbers, also where each row has `wide` of them."""
    step = max(1, BLOCK // max(wide, X.shape[1]))
    return (slice(start, start + step) for start in range(0, len(X), step))
