"""Training of networks of one hidden layer on a torch device: the same weights to begin with, batches and updates."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..devices import in_words, opened, sent, true_float32
from .mlp_training import (
    FIRST,
    LEAST,
    RATE,
    SECOND,
    Networks,
    Single,
    batch_rows,
    batches,
    begun,
)

SCORED = 1 << 25  # numbers of hidden units at once


@dataclass(frozen=True, eq=False)
class DeviceNetworks:
    """M networks on a device, and the rows that they have learned there."""

    there: dict[str, Any]  # the arrays of `Networks` as tensors
    rows: Any  # (n, d)
    device: str

    @property
    def networks(self) -> Networks:
        """Their weights, on the processor."""
        return Networks(**{name: value.cpu().numpy() for name, value in self.there.items()})

    def log_odds(self) -> Single:
        """Log-odds (n, M) of their rows."""
        import torch

        step = max(1, SCORED // self.there["b1"].numel())
        with _computing(self.device, self.rows.shape):
            found = [_read(self.there, rows)[1].cpu() for rows in torch.split(self.rows, step)]
        return np.asarray(torch.cat(found).numpy())


def train_on_device(
    rows: Single,
    p: NDArray[np.float64],
    taught: NDArray[np.bool_],
    l2: Sequence[float],
    *,
    hidden: int,
    epochs: int,
    seed: int,
    device: str,
) -> DeviceNetworks:
    """As `mlp_training.train`, on a device, which holds the rows (n, d); DeviceError where it is not there, or full.

    The numbers are the processor's but for the rounding of products, which a few hundred updates add up.
    """
    place = opened(device, "device", "'cpu'")
    import torch

    first, size = begun(p, taught, rows.shape[1], hidden, seed), batch_rows(len(rows))
    with _computing(device, rows.shape), torch.inference_mode():
        there = {name: torch.from_numpy(value).to(place) for name, value in vars(first).items()}
        X, y = sent(rows, place), torch.from_numpy(p.astype(np.float32)).to(place)
        mask = torch.from_numpy(np.ascontiguousarray(taught.T, dtype=np.float32)).to(place)
        pull = torch.from_numpy(2 * np.asarray(l2, dtype=np.float32)).to(place)
        adam = _FallingAdamThere(there, pull, epochs * -(-len(rows) // size))
        for batch in batches(len(rows), size, epochs, seed):
            some = torch.from_numpy(batch).to(place)
            taken = mask[some]
            adam.step(_slopes(there, X[some], y[some], taken / taken.sum(dim=0).clamp_min(1)))
    return DeviceNetworks(there, X, device)


def _computing(device: str, shape: tuple[int, int]) -> Any:
    """A block in which products are float32's own, and lack of memory is said in words."""
    from contextlib import ExitStack

    stack = ExitStack()
    n, d = shape
    stack.enter_context(in_words(device, f"{n} rows of {d} numbers ({4e-9 * n * d:.2g} GB) and networks", "use 'cpu'"))
    stack.enter_context(true_float32())
    return stack


def _read(of: dict[str, Any], X: Any) -> tuple[Any, Any]:
    """Hidden units (m, M, h) and log-odds (m, M) of rows X (m, d)."""
    import torch

    hidden = torch.addmm(of["b1"].reshape(-1), X, of["W1"].reshape(-1, X.shape[1]).T).relu_()
    units = hidden.view(len(X), *of["b1"].shape)
    return units, (units * of["w2"]).sum(dim=2) + of["b2"]


def _slopes(of: dict[str, Any], X: Any, y: Any, share: Any) -> dict[str, Any]:
    """As `Networks.slopes`."""
    hidden, log_odds = _read(of, X)
    slope = share * (log_odds.sigmoid() - y[:, None])
    back = slope[:, :, None] * of["w2"]
    back *= hidden > 0
    flat = back.reshape(len(X), -1)
    return {
        "W1": (flat.T @ X).view(of["W1"].shape),
        "b1": flat.sum(dim=0).view(of["b1"].shape),
        "w2": (slope[:, :, None] * hidden).sum(dim=0),
        "b2": slope.sum(dim=0),
    }


class _FallingAdamThere:
    """As `mlp_training`'s Adam."""

    def __init__(self, of: dict[str, Any], pull: Any, steps: int) -> None:
        import torch

        self._of, self._steps, self._done = of, steps, 0
        self._pull = {"W1": pull[:, None, None], "w2": pull[:, None]}
        self._first, self._second = ({name: torch.zeros_like(value) for name, value in of.items()} for _ in "12")

    def step(self, slopes: dict[str, Any]) -> None:
        """One update along these slopes, which are overwritten."""
        rate = RATE * (1 - self._done / self._steps)
        self._done += 1
        short, long = 1 - FIRST**self._done, 1 - SECOND**self._done
        for name, weight in self._of.items():
            slope, first, second = slopes[name], self._first[name], self._second[name]
            if name in self._pull:
                slope.addcmul_(self._pull[name].expand_as(weight), weight)
            first.lerp_(slope, 1 - FIRST)
            second.lerp_(slope.square_(), 1 - SECOND)
            weight.addcdiv_(first, second.sqrt().add_(LEAST * long**0.5), value=-rate * long**0.5 / short)
