"""The thresholds of many students' own labels at once, each from the predictions of the rows that it is taught."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor


@dataclass(frozen=True)
class Places:
    """Where a quantile lies among the sorted predictions of each step, as `torch.quantile` interpolates."""

    below: Sequence[Tensor]  # of each step (students, 1)
    above: Sequence[Tensor]
    between: Sequence[Tensor]  # 0: all of `below`, 1: all of `above`

    @classmethod
    def of(cls, q: Tensor, counts: Tensor) -> "Places":
        """Of the share q of `counts` predictions, both (students, steps)."""
        position = q * (counts - 1).clamp(min=0)
        below = position.long()
        above = torch.minimum(below + 1, (counts - 1).clamp(min=0).long())
        return cls(*(steps(part) for part in (below, above, position - below)))

    def value(self, step: int, values: Tensor) -> Tensor:
        """The quantile (students, 1) of values (students, k); those that do not count are infinite."""
        ordered = values.sort(dim=1).values
        low, high = ordered.gather(1, self.below[step]), ordered.gather(1, self.above[step])
        return low.lerp_(high, self.between[step])


class Thresholds:
    """The t of ĥ = 1[f > t] of many students: of their last `buffer` predictions, or without it of a batch's.

    `priors` says for each student what share of predictions is above t, or "batch": the mean label of its rows of the
    batch. `begin` an epoch, then ask for the thresholds of one batch after the other.
    """

    def __init__(self, priors: Sequence[float | Literal["batch"]], buffer: int | None) -> None:
        self.by_batch = torch.tensor([[prior == "batch"] for prior in priors])
        self.below = torch.tensor([[0.5 if prior == "batch" else 1 - prior] for prior in priors])  # the share up to t
        self.buffer = buffer
        self.held = torch.zeros(len(priors), 1)  # predictions remembered
        self._recent = torch.full((len(priors), buffer or 0), torch.inf)

    def keep(self, students: Tensor) -> None:
        """Go on with these of the students alone, between two epochs."""
        for name in ("by_batch", "below", "held", "_recent"):
            setattr(self, name, getattr(self, name)[students])

    def begin(self, soft: Tensor, rows: Tensor | None, batch: int) -> None:
        """Prepare an epoch of labels (students, n) in its order; each student is taught `rows` (students, n)."""
        taught = torch.ones_like(soft) if rows is None else rows.to(soft.dtype)
        counts = per_batch(taught, batch)  # (students, steps)
        self._rows = None if rows is None else [part.logical_not() for part in batches(rows, batch)]
        mean = per_batch(taught * soft, batch) / counts.clamp(min=1)
        of_batch = torch.where(counts > 1, 1 - mean, 0.5)  # one row has no share
        q = torch.where(self.by_batch, of_batch, self.below)
        self._step = 0
        if self.buffer is None:
            self._places = Places.of(q, counts)
            single = counts == 1
            self._single = steps(single) if bool(single.any()) else None
            return
        known = (self.held + counts.cumsum(dim=1)).clamp(max=self.buffer)
        self._places = Places.of(q, known)
        self.held = known[:, -1:]
        self._past = torch.cat([self._recent, torch.full_like(soft, torch.inf)], dim=1)
        self._starts = range(0, soft.shape[1], batch)
        self._last: Sequence[Tensor] | None = None
        if rows is not None:
            valid = torch.cat([torch.ones_like(self._recent, dtype=torch.bool), rows], dim=1)
            columns = valid.logical_not().to(torch.uint8).argsort(dim=1, stable=True)  # those that are taught, in turn
            first = counts.cumsum(dim=1).long()[:, :, None] + torch.arange(self.buffer)
            self._last = columns.gather(1, first.flatten(1)).view_as(first).unbind(dim=1)

    def next(self, f: Tensor) -> Tensor:
        """The thresholds (students, 1) for the next batch's predictions f (students, rows)."""
        step, self._step = self._step, self._step + 1
        if self.buffer is None:
            t = self._places.value(step, f if self._rows is None else f.masked_fill(self._rows[step], torch.inf))
            return t if self._single is None else t.masked_fill_(self._single[step], 0.5)
        start = self.buffer + self._starts[step]
        end = start + f.shape[1]
        self._past[:, start:end] = f
        last = self._past[:, end - self.buffer : end] if self._last is None else self._past.gather(1, self._last[step])
        if end == self._past.shape[1]:
            self._recent = last
        return self._places.value(step, last)


def batches(values: Tensor, batch: int) -> list[Tensor]:
    """The columns of values (students, n), so many at a time; the last batch may have fewer."""
    return [values[:, start : start + batch] for start in range(0, values.shape[1], batch)]


def per_batch(values: Tensor, batch: int) -> Tensor:
    """The sums (students, steps) of values (students, n) over batches of that many columns."""
    return torch.stack([part.sum(dim=1) for part in batches(values, batch)], dim=1)


def steps(values: Tensor) -> Sequence[Tensor]:
    """The columns of values (students, steps), each (students, 1)."""
    return batches(values, 1)
