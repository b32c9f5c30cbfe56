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
    """The t of ĥ = 1[f > t] of many students: of a batch's predictions.

    `priors` says for each student what share of predictions is above t, or "batch": the mean label of its rows of the
    batch. `begin` an epoch, then ask for the thresholds of one batch after the other.
    """

    def __init__(self, priors: Sequence[float | Literal["batch"]]) -> None:
        self._by_batch = torch.tensor([[prior == "batch"] for prior in priors])
        self._below = torch.tensor([[0.5 if prior == "batch" else 1 - prior] for prior in priors])  # the share up to t
        self._step, self._lasting = 0, False

    def keep(self, students: Tensor) -> None:
        """Go on with these of the students alone, between two epochs."""
        self._by_batch, self._below, self._lasting = self._by_batch[students], self._below[students], False

    def begin(self, soft: Tensor, rows: Tensor | None, batch: int) -> None:
        """Prepare an epoch of labels (students, n) in its order; each student is taught `rows` (students, n)."""
        self._step = 0
        self._start(soft, batch)
        if self._lasting:
            return  # the places are those of the last epoch
        taught = torch.ones_like(soft) if rows is None else rows.to(soft.dtype)
        counts = per_batch(taught, batch)  # (students, steps)
        share, by_batch = self._below, bool(self._by_batch.any())
        if by_batch:
            mean = per_batch(taught * soft, batch) / counts.clamp(min=1)
            share = torch.where(self._by_batch, torch.where(counts > 1, 1 - mean, 0.5), share)  # one row has no share
        self._lasting = self._arrange(share, counts, rows, batch) and rows is None and not by_batch

    def _start(self, soft: Tensor, batch: int) -> None:
        """Make room for an epoch's predictions."""

    def _arrange(self, share: Tensor, counts: Tensor, rows: Tensor | None, batch: int) -> bool:
        """Set where each step's threshold lies; whether that stays so while counts and shares do."""
        self._hidden = None if rows is None else [part.logical_not() for part in batches(rows, batch)]
        self._places = Places.of(share, counts)
        single = counts == 1
        self._single = steps(single) if bool(single.any()) else None
        return True

    def next(self, f: Tensor) -> Tensor:
        """The thresholds (students, 1) for the next batch's predictions f (students, rows)."""
        step, self._step = self._step, self._step + 1
        t = self._places.value(step, f if self._hidden is None else f.masked_fill(self._hidden[step], torch.inf))
        return t if self._single is None else t.masked_fill_(self._single[step], 0.5)


class RecentThresholds(Thresholds):
    """Of the last `size` predictions of the rows that a student is taught, as `RecentPredictions` keeps them."""

    def __init__(self, priors: Sequence[float | Literal["batch"]], size: int) -> None:
        super().__init__(priors)
        self.size = size
        self._held = torch.zeros(len(priors), 1)
        self._recent = torch.full((len(priors), size), torch.inf)

    def keep(self, students: Tensor) -> None:
        super().keep(students)
        self._held, self._recent = self._held[students], self._recent[students]

    def _start(self, soft: Tensor, batch: int) -> None:
        self._past = torch.cat([self._recent, torch.full_like(soft, torch.inf)], dim=1)
        self._starts = range(self.size, self._past.shape[1], batch)

    def _arrange(self, share: Tensor, counts: Tensor, rows: Tensor | None, batch: int) -> bool:
        known = (self._held + counts.cumsum(dim=1)).clamp(max=self.size)
        self._places = Places.of(share, known)
        full = bool((self._held == self.size).all())
        self._held, self._last = known[:, -1:], None
        if rows is not None:
            valid = torch.cat([torch.ones_like(self._recent, dtype=torch.bool), rows], dim=1)
            columns = valid.nonzero()[:, 1]  # those that are taught, in turn, student by student
            ends = valid.sum(dim=1).cumsum(dim=0)
            began = torch.cat([torch.zeros_like(ends[:1]), ends[:-1]])[:, None]
            first = (began + counts.cumsum(dim=1).long())[:, :, None] + torch.arange(self.size)
            self._last = columns[first].unbind(dim=1)
        return full

    def next(self, f: Tensor) -> Tensor:
        """The thresholds (students, 1) with the next batch's predictions f (students, rows) among those remembered."""
        step, self._step = self._step, self._step + 1
        start = self._starts[step]
        end = start + f.shape[1]
        self._past[:, start:end].copy_(f)
        last = self._past[:, end - self.size : end] if self._last is None else self._past.gather(1, self._last[step])
        if end == self._past.shape[1]:
            self._recent = last
        return self._places.value(step, last)


def batches(values: Tensor, batch: int) -> list[Tensor]:
    """The columns of values (students, n), so many at a time; the last batch may have fewer."""
    return [values[:, start : start + batch] for start in range(0, values.shape[1], batch)]


def per_batch(values: Tensor, batch: int) -> Tensor:
    """The sums (students, steps) of values (students, n) over batches of that many columns."""
    students, n = values.shape
    if n % batch:
        values = torch.cat([values, values.new_zeros(students, -n % batch)], dim=1)
    return values.view(students, -1, batch).sum(dim=2)


def steps(values: Tensor) -> Sequence[Tensor]:
    """The columns of values (students, steps), each (students, 1)."""
    return batches(values, 1)
